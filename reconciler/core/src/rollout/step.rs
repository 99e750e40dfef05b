//! One component, one step.

use jiff::{SignedDuration, Timestamp};
use qonnect_schema::documents::application::{Component, MoveStrategy};
use qonnect_schema::documents::placement::{
    Arrival, Candidate, Cause, ComponentPlacement, GaveUp, Move, MovePhase,
};
use qonnect_schema::revision::ApplicationSource;
use sha2::{Digest, Sha256};

use super::budget::{after, is_recent};
use super::{Progress, Step, World, callers, moving};
use crate::placement::patience_ends;

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
        let progress = self.step(deployed, wanted);
        let before = deployed.and_then(|deployed| deployed.cluster.as_ref());
        let arrived = match progress.placement.cluster.as_ref() == before {
            true => deployed.and_then(|deployed| deployed.arrived),
            false => Some(Arrival { at: self.now(), cause: self.cause(&progress.step) }),
        };
        let arrived = arrived.filter(|_| progress.placement.cluster.is_some());
        let begins = matches!(progress.step, Step::Started { .. })
            && deployed.is_some_and(|deployed| deployed.moving.is_none())
            && arrived.is_some_and(|arrived| arrived.cause == Cause::Improved);
        let mut improved = deployed.map(|deployed| deployed.improved.clone()).unwrap_or_default();
        // Where nothing else changes, the clock alone writes nothing.
        if progress.step != Step::Stayed {
            improved.retain(|at| is_recent(*at, self.now()));
            improved.extend(begins.then(|| self.now()));
        }
        Progress {
            placement: ComponentPlacement { arrived, improved, ..progress.placement },
            step: progress.step,
        }
    }

    fn step(&self, deployed: Option<&ComponentPlacement>, wanted: Option<&ComponentPlacement>) -> Progress {
        let aim = wanted.and_then(|wanted| Some((wanted, wanted.cluster.as_deref()?)));
        let Some((deployed, at)) =
            deployed.and_then(|deployed| Some((deployed, deployed.cluster.as_deref()?)))
        else {
            return first(deployed, wanted);
        };
        // While the brake is on, everything is wanted where it is.
        let aim = aim.filter(|(_, to)| *to == at || !self.world.is_braked());
        let aim = aim.filter(|(_, to)| *to == at || !self.waits_for(at));
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
            _ if self.may_run_there(at) => self.waiting(deployed, aim.map(|(wanted, _)| wanted), at),
            Some((wanted, to)) if to != at && self.world.lost(at) => failed_over(wanted, at, to),
            Some((wanted, to)) if to != at => self.left(deployed, wanted, at, to),
            Some((wanted, _)) if self.is_given_up(at) && !deployed.stranded => stranded(deployed, wanted, at),
            _ if deployed.stranded && !self.world.lost(at) => Progress {
                placement: ComponentPlacement { stranded: false, ..deployed.clone() },
                step: Step::Returned { on: at.into() },
            },
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
            _ if under_way.phase == MovePhase::Leaving => {}
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
            MovePhase::Leaving => self.leaving(deployed, under_way, to, aim),
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

    /// What failed where it was is not sent back there for a while.
    fn left(
        &self,
        deployed: &ComponentPlacement,
        wanted: &ComponentPlacement,
        from: &str,
        to: &str,
    ) -> Progress {
        let Progress { mut placement, step } = self.started(wanted, from, to);
        if self.cause(&step) == Cause::Failed {
            placement.tries = 1 + self.tries(deployed);
            placement.gave_up = Some(self.give_up(from));
        }
        Progress { placement, step }
    }

    /// On how many clusters it has failed lately.
    fn tries(&self, deployed: &ComponentPlacement) -> u32 {
        let counts = deployed.gave_up.as_ref().is_some_and(|gave_up| {
            self.now() < gave_up.until && gave_up.manifests == fingerprint(self.source, &self.component.name)
        });
        if counts { deployed.tries } else { 0 }
    }

    fn cause(&self, step: &Step) -> Cause {
        let from = match step {
            Step::FailedOver { .. } => return Cause::FailedOver,
            Step::RolledBack { .. } => return Cause::RolledBack,
            Step::Started { from, .. } => from,
            _ => return Cause::New,
        };
        let name = &self.component.name;
        let plan = self.world.plan.applications.get(self.application);
        let forced = plan.is_some_and(|plan| plan.forced.contains(name));
        let state = self.world.snapshot.clusters.get(from);
        let key = format!("{}/{name}", self.application);
        let patience = state.and_then(|state| state.failing.get(&key));
        let patience = patience.map(|since| patience_ends(*since, &self.world.revision.fleet.moves));
        let placed = self.world.snapshot.placements.get(self.application);
        let asked = placed.is_some_and(|placed| {
            !placed.spec.asked.is_empty() && placed.spec.asked != super::asked(self.source)
        });
        match (forced, asked) {
            (true, _) if patience.is_some_and(|end| end <= self.now()) => Cause::Failed,
            (_, true) => Cause::Asked,
            (true, false) => Cause::Forced,
            (false, false) => Cause::Improved,
        }
    }

    /// The cluster is lost, but the application waits for it.
    fn waits_for(&self, cluster: &str) -> bool {
        let wait = self.source.application.spec.failover_after;
        let since = self.world.snapshot.clusters.get(cluster).map(|state| state.since);
        let ends = wait.zip(since).map(|(wait, since)| after(since, wait));
        self.world.lost(cluster) && ends.is_some_and(|end| self.now() < end)
    }

    pub(super) fn is_given_up(&self, cluster: &str) -> bool {
        self.world.lost(cluster) && !self.world.is_braked() && !self.waits_for(cluster)
    }

    fn started(&self, wanted: &ComponentPlacement, from: &str, to: &str) -> Progress {
        let phase = match self.component.strategy {
            MoveStrategy::MakeBeforeBreak => MovePhase::Placing,
            MoveStrategy::Recreate => MovePhase::Leaving,
        };
        let moving = moving(from, phase, self.deadline());
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
    pub(super) fn rolled_back(&self, back: ComponentPlacement, from: &str, why: &'static str) -> Progress {
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

    pub(super) fn give_up(&self, cluster: &str) -> GaveUp {
        let until = later(self.now(), self.phase_length() * HOLD_OFF_DEADLINES);
        let manifests = fingerprint(self.source, &self.component.name);
        GaveUp { cluster: cluster.into(), until, manifests }
    }

    pub(super) fn now(&self) -> Timestamp {
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

pub(super) fn stayed(deployed: &ComponentPlacement) -> Progress {
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

/// It stays assigned: nothing is evicted without a target.
pub(super) fn stranded(deployed: &ComponentPlacement, wanted: &ComponentPlacement, on: &str) -> Progress {
    // The cluster that came furthest through the filters is the one to mend.
    let refusals = wanted.others.iter().filter(|other| other.cluster != on);
    let refusals = refusals.filter_map(|other| Some((&other.cluster, other.refused.as_ref()?)));
    let why = refusals.max_by_key(|(_, refused)| refused.filter);
    let why = why.map(|(cluster, refused)| format!("{cluster} {}", refused.message));
    Progress {
        placement: ComponentPlacement {
            stranded: true,
            others: wanted.others.clone(),
            score: wanted.score.clone(),
            ..deployed.clone()
        },
        step: Step::Stranded {
            on: on.into(),
            why: format!("no other cluster takes it; {}", why.unwrap_or_else(|| "there is no other".into())),
        },
    }
}

/// The same decision, with the runner-up `back` as the winner.
pub(super) fn turned(deployed: &ComponentPlacement, back: &str) -> ComponentPlacement {
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
        gave_up: deployed.gave_up.clone(),
        tries: deployed.tries,
        score,
        others,
        ..ComponentPlacement::default()
    }
}
