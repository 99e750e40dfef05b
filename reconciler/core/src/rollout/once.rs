//! What must not run twice: it leaves before it comes, and waits where nobody can say that it has left.

use qonnect_schema::documents::application::{MoveStrategy, OnLost};
use qonnect_schema::documents::placement::{ComponentPlacement, Move};

use super::step::{Subject, stayed, stranded, turned};
use super::{Progress, Step};

impl Subject<'_> {
    /// It runs nowhere, or still where it was: only what is seen to be gone may be placed.
    pub(super) fn leaving(
        &self,
        deployed: &ComponentPlacement,
        under_way: &Move,
        to: &str,
        aim: Option<(&ComponentPlacement, &str)>,
    ) -> Progress {
        let from = under_way.from.as_str();
        let elsewhere = aim.filter(|(_, aim)| *aim != from && *aim != to);
        if self.world.gone(from, self.application, &self.component.name)
            || self.world.expired(from, self.component)
        {
            return match elsewhere {
                Some((wanted, aim)) => left(wanted, from, aim),
                None if self.world.lost(to) => stayed(deployed),
                None => left(deployed, from, to),
            };
        }
        // What remains of it is there, and nowhere else.
        if let Some((wanted, _)) = aim.filter(|(_, aim)| *aim == from) {
            return self.rolled_back(wanted.clone(), to, "it is wanted where it was");
        }
        if self.world.lost(to) && !self.world.lost(from) {
            return self.rolled_back(turned(deployed, from), to, "the target is lost");
        }
        if under_way.deadline <= self.now() && !self.world.lost(from) {
            let back = ComponentPlacement { gave_up: Some(self.give_up(to)), ..turned(deployed, from) };
            return self.rolled_back(back, to, "it was not gone in time");
        }
        stayed(deployed)
    }

    /// It must not run twice, its cluster is lost, and nobody vouches that nothing runs there.
    pub(super) fn may_run_there(&self, cluster: &str) -> bool {
        self.component.strategy == MoveStrategy::Recreate
            && self.is_given_up(cluster)
            && !self.world.fenced(cluster)
            && !self.world.expired(cluster, self.component)
    }

    pub(super) fn waiting(
        &self,
        deployed: &ComponentPlacement,
        wanted: Option<&ComponentPlacement>,
        on: &str,
    ) -> Progress {
        if deployed.stranded {
            return stayed(deployed);
        }
        let mut waiting = stranded(deployed, wanted.unwrap_or(deployed), on);
        if let Step::Stranded { why, .. } = &mut waiting.step {
            let fence = format!("`qonnect fence {on}` says that nothing runs there any more");
            *why = match self.component.on_lost {
                OnLost::Stay => format!("it must not run twice: {fence}"),
                OnLost::AfterLease => {
                    format!("it must not run twice: its lease has to end there, or {fence}")
                }
            };
        }
        waiting
    }
}

fn left(placement: &ComponentPlacement, from: &str, to: &str) -> Progress {
    Progress {
        placement: ComponentPlacement { moving: None, stranded: false, ..placement.clone() },
        step: Step::Left { from: from.into(), to: to.into() },
    }
}
