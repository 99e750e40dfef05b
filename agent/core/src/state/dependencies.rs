//! Who waits for whom: a component is rolled out once those that it calls on this cluster are Ready.

use std::collections::{BTreeMap, BTreeSet};

use qonnect_schema::documents::snapshot::Health;

use super::State;
use crate::release::{Desired, Owner, Verified};

/// What a component says that waits for another one.
pub(super) const WAITS: &str = "WaitingForDependency";

/// So long a component that rolls out may keep others waiting: time enough to pull large images, and half of what a
/// move has by default. What never becomes Ready must not hold others for ever.
const ROLL_OUT_MAX_MINUTES: u64 = 5;
const ROLL_OUT_MAX_MS: u64 = ROLL_OUT_MAX_MINUTES * 60_000;

/// Who calls whom in the release, and how far those have come that are called.
#[derive(Debug, Default)]
pub(super) struct Dependencies {
    /// Callees first.
    order: Vec<Owner>,
    callees: BTreeMap<Owner, Vec<Owner>>,
    called: BTreeMap<Owner, RollOut>,
}

/// How far a component has come with the objects that the release has of it; others begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RollOut {
    /// It waits for others itself.
    Waits,
    Since(u64),
    /// It was Ready once. That it fails later holds nobody: the next release may be what mends it.
    Done,
    /// Nobody waits any longer.
    Late,
}

impl Dependencies {
    /// Those of a release; what it does not change goes on as before.
    pub(super) fn of(release: &Verified, before: &Self, changed: &BTreeSet<Owner>) -> Self {
        let mut dependencies = Self::default();
        for application in release.spec.order.iter().filter(|application| !application.depends_on.is_empty())
        {
            let owner = |component: &String| Owner::new(&application.application, component);
            for (at, caller) in application.components.iter().enumerate() {
                // The order of the release lets nobody wait in a circle.
                let called = application.depends_on.get(caller).into_iter().flatten();
                let called = called.filter(|callee| application.components[..at].contains(callee));
                dependencies.callees.insert(owner(caller), called.map(owner).collect());
                dependencies.order.push(owner(caller));
            }
        }
        let known = |owner: &Owner| before.called.get(owner).filter(|_| !changed.contains(owner)).copied();
        let called = dependencies.callees.values().flatten();
        dependencies.called =
            called.map(|owner| (owner.clone(), known(owner).unwrap_or(RollOut::Waits))).collect();
        dependencies
    }

    /// Of those that a component calls, the first that still rolls out.
    fn awaited(&self, caller: &Owner) -> Option<&Owner> {
        let rolls_out =
            |callee: &&Owner| matches!(self.called.get(*callee), Some(RollOut::Waits | RollOut::Since(_)));
        self.callees.get(caller)?.iter().find(rolls_out)
    }
}

impl State {
    /// Looks how far those have come that others wait for.
    pub(super) fn look_at_dependencies(&mut self, now: u64) {
        if self.dependencies.called.values().all(|roll_out| *roll_out == RollOut::Done) {
            return;
        }
        let wanted = self.release.iter().flat_map(|release| &release.objects);
        let unready: BTreeSet<Owner> = wanted
            .filter(|desired| {
                self.dependencies.called.contains_key(&desired.owner) && !self.is_ready(desired)
            })
            .map(|desired| desired.owner.clone())
            .collect();
        for at in 0..self.dependencies.order.len() {
            let owner = &self.dependencies.order[at];
            let Some(before) = self.dependencies.called.get(owner) else { continue };
            let next = match *before {
                RollOut::Done => continue,
                _ if !unready.contains(owner) => RollOut::Done,
                RollOut::Late => continue,
                _ if self.dependencies.awaited(owner).is_some() => RollOut::Waits,
                RollOut::Waits => RollOut::Since(now),
                RollOut::Since(since) if now < since + ROLL_OUT_MAX_MS => continue,
                RollOut::Since(_) => RollOut::Late,
            };
            let owner = owner.clone();
            if next == RollOut::Late && self.awaited_by_any(&owner) {
                let message = format!(
                    "it was not Ready within {ROLL_OUT_MAX_MINUTES} minutes; what depends on it is rolled out all the same"
                );
                self.notice(true, "DependencyLate", owner.clone(), message);
            }
            self.dependencies.called.insert(owner, next);
        }
    }

    fn is_ready(&self, desired: &Desired) -> bool {
        self.is_applied(desired)
            && self.live.get(&desired.id).is_some_and(|live| live.assessment.health == Health::Ready)
            && !self.troubles.contains_key(&desired.id)
    }

    fn awaited_by_any(&self, callee: &Owner) -> bool {
        let mut wanted = self.release.iter().flat_map(|release| &release.objects);
        wanted.any(|desired| self.awaited(desired) == Some(callee))
    }

    /// For whom an object waits. What was in place and is put right waits for nobody, nor does what has to end.
    pub(super) fn awaited(&self, desired: &Desired) -> Option<&Owner> {
        let waits = !self.is_applied(desired) && !self.is_stopped(&desired.id);
        self.dependencies.awaited(&desired.owner).filter(|_| waits)
    }

    /// When somebody has waited long enough.
    pub(super) fn waiting_ends(&self) -> Option<u64> {
        let ends = self.dependencies.called.values().filter_map(|roll_out| match roll_out {
            RollOut::Since(since) => Some(since + ROLL_OUT_MAX_MS),
            _ => None,
        });
        ends.min()
    }
}

pub(super) fn waits_for(callee: &Owner) -> String {
    format!("it waits until {callee} is Ready, for {ROLL_OUT_MAX_MINUTES} minutes at most")
}
