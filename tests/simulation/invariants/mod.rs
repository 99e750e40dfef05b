//! What must hold, one file each. A check looks at the whole history of a run.

use crate::world::World;

mod commits_and_intents_agree;
mod components_settle;
mod epochs_never_decrease;
mod failovers_need_a_loss;
mod knowledge_is_linearizable;
mod moves_have_causes;
mod nothing_older_after_a_barrier;
mod once_only;
mod releases_never_go_back;
mod reports_are_kept;
mod revisions_never_go_back;

pub(crate) type Check = fn(&World) -> Result<(), String>;

pub(crate) const ALL: [(&str, Check); 11] = [
    ("epochs never decrease along the branch", epochs_never_decrease::check),
    ("nothing older is published after a barrier", nothing_older_after_a_barrier::check),
    ("no older revision is published after a newer one", revisions_never_go_back::check),
    (
        "every commit is known to the Knowledge Base, and the other way round",
        commits_and_intents_agree::check,
    ),
    ("no acknowledged report is lost", reports_are_kept::check),
    ("the Knowledge Base is linearizable", knowledge_is_linearizable::check),
    ("no agent accepts an older release", releases_never_go_back::check),
    ("no component moves without a cause", moves_have_causes::check),
    ("after healing every component runs on its cluster, and nowhere else", components_settle::check),
    ("nothing fails over from a cluster that lives", failovers_need_a_loss::check),
    ("what must not run twice never does", once_only::check),
];
