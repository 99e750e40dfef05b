//! One component, one step.

use jiff::{SignedDuration, Timestamp};
use qonnect_schema::documents::application::Component;
use qonnect_schema::documents::placement::{Candidate, ComponentPlacement, GaveUp, Move, MovePhase};
use qonnect_schema::revision::ApplicationSource;
use sha2::{Digest, Sha256};

use super::{Progress, Step, World, callers, moving};

/// A move that failed is tried again after this many of its deadlines: an hour, by default.
const HOLD_OFF_DEADLINES: i32 = 6;

#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) world: &'a World<'a>,
    pub(super) application: &'a str,
    pub(super) source: &'a ApplicationSource,
    pub(super) component: &'a Component,
}

impl Subject<'_> {
    pub(super) fn next(
        &self,
        deployed: Option<&ComponentPlacement>,
        wanted: Option<&ComponentPlacement>,
    ) -> Progress {
        let aim = wanted.and_then(|wanted| Some((wanted, wanted.cluster.as_deref()?)));
        let Some((deployed, at)) =
            deployed.and_then(|deployed| Some((deployed, deployed.cluster.as_deref()?)))
        else {
            return first(deployed, wanted);
        };
        // Where a move must not be tried again yet, nothing is wanted; a failover has no such choice.
        let aim = aim.filter(|(_, to)| self.world.lost(at) || !self.held_off(deployed, to));
        match &deployed.moving {
            None => self.settled(deployed, at, aim),
            Some(under_way) => self.under_way(deployed, under_way, at, aim),
        }
    }

    fn settled(
        &self,
        deployed: &ComponentPlacement,
        at: &str,
        aim: Option<(&ComponentPlacement, &str)>,
    ) -> Progress {
        match aim {
            Some((wanted, to)) if to != at && self.world.lost(at) => failed_over(wanted, at, to),
            Some((wanted, to)) if to != at => self.started(wanted, at, to),
            _ => stayed(deployed),
        }
    }

    fn under_way(
        &self,
        deployed: &ComponentPlacement,
        under_way: &Move,
        to: &str,
        aim: Option<(&ComponentPlacement, &str)>,
    ) -> Progress {
        let from = under_way.from.as_str();
        let aimed = |cluster: &str| aim.filter(|(_, aim)| *aim == cluster);
        match (self.world.lost(from), self.world.lost(to)) {
            (true, true) => {
                let elsewhere = aim.filter(|(_, aim)| *aim != from && *aim != to);
                return elsewhere
                    .map_or_else(|| stayed(deployed), |(wanted, aim)| failed_over(wanted, to, aim));
            }
            (true, false) => return finished(deployed, from, to),
            (false, true) => return self.rolled_back(turned(deployed, from), to, "the target is lost"),
            (false, false) => {}
        }
        match under_way.phase {
            MovePhase::Placing => {
                if let Some((wanted, _)) = aimed(from) {
                    return self.rolled_back(wanted.clone(), to, "it is wanted where it was");
                }
                if let Some((wanted, elsewhere)) = aim.filter(|(_, aim)| *aim != to) {
                    return self.started(wanted, from, elsewhere);
                }
                if under_way.deadline <= self.now() {
                    let back =
                        ComponentPlacement { gave_up: Some(self.give_up(to)), ..turned(deployed, from) };
                    return self.rolled_back(back, to, "it was not Ready in time");
                }
                match self.world.applied(to, self.application, &self.component.name) {
                    (_, false) => stayed(deployed),
                    (_, true) if callers(self.source, &self.component.name).next().is_none() => {
                        finished(deployed, from, to)
                    }
                    (_, true) => self.repointed(deployed, from, to),
                }
            }
            MovePhase::Repointing => {
                // On the way back from a target that was given up, nothing turns it round again.
                let on_the_way_back =
                    deployed.gave_up.as_ref().is_some_and(|gave_up| gave_up.cluster == from);
                let late = under_way.deadline <= self.now();
                if let Some((wanted, _)) = aimed(from) {
                    return self.turned_round(wanted.clone(), from, to, "it is wanted where it was");
                }
                if self.world.callers_settled(self.application, self.source, &self.component.name)
                    || (late && on_the_way_back)
                {
                    return finished(deployed, from, to);
                }
                if late {
                    let back =
                        ComponentPlacement { gave_up: Some(self.give_up(to)), ..turned(deployed, from) };
                    return self.turned_round(back, from, to, "its callers were not Ready in time");
                }
                stayed(deployed)
            }
        }
    }

    fn started(&self, wanted: &ComponentPlacement, from: &str, to: &str) -> Progress {
        let moving = moving(from, MovePhase::Placing, self.deadline());
        Progress {
            placement: ComponentPlacement { moving, gave_up: None, ..wanted.clone() },
            step: Step::Started { from: from.into(), to: to.into() },
        }
    }

    fn repointed(&self, deployed: &ComponentPlacement, from: &str, to: &str) -> Progress {
        let moving = moving(from, MovePhase::Repointing, self.deadline());
        Progress {
            placement: ComponentPlacement { moving, ..deployed.clone() },
            step: Step::Repointed { from: from.into(), to: to.into() },
        }
    }

    /// Back at the source at once: the callers never left it, or have nowhere else to go.
    fn rolled_back(&self, back: ComponentPlacement, from: &str, why: &'static str) -> Progress {
        let to = back.cluster.clone().unwrap_or_default();
        Progress {
            placement: ComponentPlacement { moving: None, ..back },
            step: Step::RolledBack { from: from.into(), to, why },
        }
    }

    /// Back to the source, make before break: callers that use the target already are repointed first.
    fn turned_round(&self, back: ComponentPlacement, from: &str, to: &str, why: &'static str) -> Progress {
        let moving = moving(to, MovePhase::Repointing, self.deadline());
        Progress {
            placement: ComponentPlacement { moving, ..back },
            step: Step::RolledBack { from: to.into(), to: from.into(), why },
        }
    }

    fn held_off(&self, deployed: &ComponentPlacement, to: &str) -> bool {
        deployed.gave_up.as_ref().is_some_and(|gave_up| {
            gave_up.cluster == to
                && self.now() < gave_up.until
                && gave_up.manifests == fingerprint(self.source, &self.component.name)
        })
    }

    fn give_up(&self, cluster: &str) -> GaveUp {
        let until = later(self.now(), self.phase_length() * HOLD_OFF_DEADLINES);
        let manifests = fingerprint(self.source, &self.component.name);
        GaveUp { cluster: cluster.into(), until, manifests }
    }

    fn now(&self) -> Timestamp {
        self.world.snapshot.now
    }

    fn deadline(&self) -> Timestamp {
        later(self.now(), self.phase_length())
    }

    fn phase_length(&self) -> SignedDuration {
        let deadline = self.world.revision.fleet.moves.deadline;
        SignedDuration::try_from(deadline.as_duration()).unwrap_or(SignedDuration::MAX)
    }
}

/// Which manifests a component has.
pub fn fingerprint(source: &ApplicationSource, component: &str) -> String {
    let mut hash = Sha256::new();
    for manifest in source.manifests.get(component).into_iter().flatten() {
        hash.update(manifest.object.to_string());
        hash.update([0]);
    }
    format!("sha256:{:x}", hash.finalize())
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn first(deployed: Option<&ComponentPlacement>, wanted: Option<&ComponentPlacement>) -> Progress {
    let placement = wanted.cloned().unwrap_or_default();
    match (&placement.cluster, deployed) {
        (Some(to), _) => {
            let step = Step::Placed { to: to.clone() };
            Progress { placement, step }
        }
        // It was written down already that no cluster takes it.
        (None, Some(deployed)) => stayed(deployed),
        (None, None) => Progress { placement, step: Step::Unplaced },
    }
}

fn stayed(deployed: &ComponentPlacement) -> Progress {
    Progress { placement: deployed.clone(), step: Step::Stayed }
}

fn finished(deployed: &ComponentPlacement, from: &str, to: &str) -> Progress {
    Progress {
        placement: ComponentPlacement { moving: None, ..deployed.clone() },
        step: Step::Finished { from: from.into(), to: to.into() },
    }
}

fn failed_over(wanted: &ComponentPlacement, from: &str, to: &str) -> Progress {
    Progress { placement: wanted.clone(), step: Step::FailedOver { from: from.into(), to: to.into() } }
}

/// The same decision, with the runner-up `back` as the winner.
fn turned(deployed: &ComponentPlacement, back: &str) -> ComponentPlacement {
    let score =
        deployed.others.iter().find(|other| other.cluster == back).and_then(|other| other.score.clone());
    let was = deployed.cluster.iter().map(|cluster| Candidate {
        cluster: cluster.clone(),
        score: deployed.score.clone(),
        refused: None,
    });
    let others = was.chain(deployed.others.iter().filter(|other| other.cluster != back).cloned()).collect();
    ComponentPlacement {
        cluster: Some(back.into()),
        moving: None,
        gave_up: deployed.gave_up.clone(),
        score,
        others,
    }
}
