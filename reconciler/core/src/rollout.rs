//! Make before break: which copies of a component exist while it moves, and whom its callers use.
//!
//! ```text
//!             placed on the target         Ready there             callers Ready
//!  settled ──────────────────────▶ placing ───────────▶ repointing ─────────────▶ settled, old copy dropped
//!                                     │                      │
//!                 deadline, plan back │                      │ deadline, plan back
//!                                     ▼                      ▼
//!                    settled at the source            repointing, the other way round
//! ```
//!
//! A component that must not run twice goes first and is placed when it is gone:
//!
//! ```text
//!             reported gone, or fenced
//!  leaving ────────────────────────────▶ settled
//!     │ deadline, plan back, target lost
//!     ▼
//!  settled at the source
//! ```
//!
//! The phase and its deadline stand in the `Placement`: Git alone recovers a move. A lost source leaves the
//! target as the only copy, a lost target the source.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use qonnect_schema::SnapshotSpec;
use qonnect_schema::api::ReleaseHint;
use qonnect_schema::documents::application::{Component, OnLost};
use qonnect_schema::documents::placement::{ComponentPlacement, Move, MovePhase};
use qonnect_schema::documents::snapshot::{Brake, ClusterState, ClusterStatus, Health};
use qonnect_schema::revision::{ApplicationSource, Revision};
use sha2::{Digest, Sha256};

use crate::placement::Plan;

pub use wake::next_deadline;

mod available;
mod budget;
mod once;
mod step;
#[cfg(test)]
mod tests;
mod wake;

pub use step::fingerprint;

/// What rolling out reads.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    pub revision: &'a Revision,
    pub plan: &'a Plan,
    /// With the placements that are published.
    pub snapshot: &'a SnapshotSpec,
    /// The newest release of each cluster.
    pub releases: &'a BTreeMap<String, ReleaseHint>,
}

/// Where the objects of one component are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copies {
    pub on: BTreeSet<String>,
    pub callers_use: String,
}

/// The next state of one component.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    pub placement: ComponentPlacement,
    pub step: Step,
}

/// What changed, for readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Stayed,
    Placed {
        to: String,
    },
    /// No cluster takes it.
    Unplaced,
    Started {
        from: String,
        to: String,
    },
    /// Ready on the target: its callers change over.
    Repointed {
        from: String,
        to: String,
    },
    Finished {
        from: String,
        to: String,
    },
    /// Gone where it was, or fenced there: it may run elsewhere.
    Left {
        from: String,
        to: String,
    },
    /// Its cluster is lost.
    FailedOver {
        from: String,
        to: String,
    },
    RolledBack {
        from: String,
        to: String,
        why: &'static str,
    },
    /// Its cluster is lost, and no other takes it: it stays assigned.
    Stranded {
        on: String,
        why: String,
    },
    /// Its lost cluster is back before another one took it.
    Returned {
        on: String,
    },
}

/// The next state of every component of the revision, by application.
pub fn roll_out(world: &World<'_>) -> BTreeMap<String, BTreeMap<String, Progress>> {
    let applications = world.revision.applications.iter();
    let mut progress =
        applications.map(|(name, source)| (name.clone(), application(world, name, source))).collect();
    budget::admit(world, &mut progress);
    progress
}

/// What a person asked for, as a short text to compare.
pub fn asked(source: &ApplicationSource) -> String {
    let spec = serde_json::to_vec(&source.application.spec).expect("our documents have a JSON form");
    hex::encode(&Sha256::digest(spec)[..8])
}

fn application(world: &World<'_>, name: &str, source: &ApplicationSource) -> BTreeMap<String, Progress> {
    let wanted = world.plan.applications.get(name);
    let deployed = world.snapshot.placements.get(name);
    let components = source.application.spec.components.iter();
    components
        .map(|component| {
            let wanted = wanted.and_then(|plan| plan.components.get(&component.name));
            let deployed = deployed.and_then(|placement| placement.spec.components.get(&component.name));
            let subject = step::Subject { world, application: name, source, component };
            (component.name.clone(), subject.next(deployed, wanted))
        })
        .collect()
}

/// The copies that a placement asks for; `None` where no cluster takes the component.
pub fn copies(placement: &ComponentPlacement) -> Option<Copies> {
    let cluster = placement.cluster.clone()?;
    let Some(moving) = &placement.moving else {
        return Some(Copies { on: BTreeSet::from([cluster.clone()]), callers_use: cluster });
    };
    let callers_use = match moving.phase {
        MovePhase::Leaving => return Some(Copies { on: BTreeSet::new(), callers_use: cluster }),
        MovePhase::Placing => moving.from.clone(),
        MovePhase::Repointing => cluster.clone(),
    };
    Some(Copies { on: BTreeSet::from([cluster, moving.from.clone()]), callers_use })
}

impl World<'_> {
    fn deployed(&self, application: &str, component: &str) -> Option<&ComponentPlacement> {
        self.snapshot.placements.get(application)?.spec.components.get(component)
    }

    /// Nothing moves, whatever is wanted.
    fn is_braked(&self) -> bool {
        self.snapshot.brake.as_ref().is_some_and(Brake::is_engaged)
    }

    /// A cluster that has left the fleet, or is fenced, is as good as lost.
    fn lost(&self, cluster: &str) -> bool {
        self.fenced(cluster)
            || self.snapshot.clusters.get(cluster).is_some_and(|state| state.status == ClusterStatus::Lost)
    }

    /// It was there by a lease, which has ended.
    fn expired(&self, cluster: &str, component: &Component) -> bool {
        let lost = |state: &ClusterState| state.status == ClusterStatus::Lost && state.expired;
        component.on_lost == OnLost::AfterLease && self.snapshot.clusters.get(cluster).is_some_and(lost)
    }

    /// Nothing runs there, as far as people can tell: it has left the fleet, or a person vouches for it. A cluster that
    /// answers all the same is believed instead: the word may have stood there for hours before a lead could read it.
    fn fenced(&self, cluster: &str) -> bool {
        let state = self.snapshot.clusters.get(cluster);
        let answers = state.is_some_and(|state| state.status == ClusterStatus::Ready);
        self.revision.clusters.get(cluster).is_none_or(|cluster| cluster.spec.fenced && !answers)
    }

    /// Whether a component that its cluster should not have any more is gone from there.
    fn gone(&self, cluster: &str, application: &str, component: &str) -> bool {
        let Some(state) = self.snapshot.clusters.get(cluster) else { return self.fenced(cluster) };
        let newest = self.releases.get(cluster).map_or(0, |release| release.generation);
        let told = state.release.as_ref().is_some_and(|release| release.generation >= newest);
        let mut statuses = state.components.iter();
        let there = statuses.any(|s| s.application == application && s.component == component);
        self.fenced(cluster) || (!self.lost(cluster) && told && !there)
    }

    /// Whether a cluster has applied its newest release to a component, and whether that is Ready.
    fn applied(&self, cluster: &str, application: &str, component: &str) -> (bool, bool) {
        let newest = self.releases.get(cluster).map_or(0, |release| release.generation);
        let status = self.snapshot.clusters.get(cluster).and_then(|state| {
            state.components.iter().find(|s| s.application == application && s.component == component)
        });
        let applied = status.filter(|status| status.generation >= newest);
        (applied.is_some(), applied.is_some_and(|status| status.health == Health::Ready))
    }

    /// Whether the callers of a component run on with its newest address.
    ///
    /// A caller that moves counts with both copies: the one that is in use must be Ready, the other must at
    /// least have been told.
    fn callers_settled(&self, application: &str, source: &ApplicationSource, callee: &str) -> bool {
        let placements = self.snapshot.placements.get(application);
        callers(source, callee).all(|caller| {
            let placed = placements.and_then(|placement| placement.spec.components.get(&caller.name));
            let Some(copies) = placed.and_then(copies) else { return true };
            copies.on.iter().filter(|cluster| !self.lost(cluster)).all(|cluster| {
                let (told, ready) = self.applied(cluster, application, &caller.name);
                if *cluster == copies.callers_use { ready } else { told }
            })
        })
    }
}

fn callers<'a>(source: &'a ApplicationSource, callee: &'a str) -> impl Iterator<Item = &'a Component> {
    let components = source.application.spec.components.iter();
    components.filter(move |component| component.depends_on.iter().any(|on| on.component == callee))
}

fn moving(from: &str, phase: MovePhase, deadline: Timestamp) -> Option<Move> {
    Some(Move { from: from.into(), phase, deadline })
}
