//! What must hold, one file each. A check looks at the whole history of a run.

use crate::world::World;

mod back_to_the_best;
mod commits_and_intents_agree;
mod components_settle;
mod enough_stay_available;
mod epochs_never_decrease;
mod failovers_need_a_loss;
mod failovers_need_silence;
mod improvements_wait;
mod knowledge_is_linearizable;
mod moves_have_causes;
mod moves_stay_in_budget;
mod nothing_is_evicted;
mod nothing_moves_for_nothing;
mod nothing_older_after_a_barrier;
mod once_only;
mod releases_never_go_back;
mod reports_are_kept;
mod revisions_never_go_back;

type Check = fn(&World) -> Result<(), String>;

pub(crate) type Invariant = (&'static str, Check);

/// Whatever happens.
const ALWAYS: [Invariant; 9] = [
    ("epochs never decrease along the branch", epochs_never_decrease::check),
    ("nothing older is published after a barrier", nothing_older_after_a_barrier::check),
    ("no older revision is published after a newer one", revisions_never_go_back::check),
    (
        "every commit is known to the Knowledge Base, and the other way round",
        commits_and_intents_agree::check,
    ),
    ("no acknowledged report is lost", reports_are_kept::check),
    ("no agent accepts an older release", releases_never_go_back::check),
    ("after healing every component runs on its cluster, and nowhere else", components_settle::check),
    ("nothing fails over from a cluster that lives", failovers_need_a_loss::check),
    ("what must not run twice never does", once_only::check),
];

/// Only here somebody reads; and over weeks the clock is a cause, too: residence, failback and budgets.
pub(crate) const OF_A_STORM: [Invariant; 2] = [
    ("the Knowledge Base is linearizable", knowledge_is_linearizable::check),
    ("no component moves without a cause", moves_have_causes::check),
];

/// What needs a fleet with budgets, and peace after its weather.
pub(crate) const OF_SEASONS: [Invariant; 7] = [
    ("nothing fails over from a cluster that flaps", failovers_need_silence::check),
    ("enough stay available through every move", enough_stay_available::check),
    ("what begins to move fits its budgets", moves_stay_in_budget::check),
    ("what would only be better off waits for its time", improvements_wait::check),
    ("nothing is evicted, nothing goes by what cannot be read", nothing_is_evicted::check),
    ("constant and trembling input moves nothing", nothing_moves_for_nothing::check),
    ("everything is back at its best place after healing", back_to_the_best::check),
];

/// What does not hold of that which always must, or of the rest.
pub(crate) fn broken(world: &World, rest: &[Invariant]) -> Vec<String> {
    let all = ALWAYS.iter().chain(rest);
    all.filter_map(|(name, check)| Some(format!("{name}: {}", check(world).err()?))).collect()
}
