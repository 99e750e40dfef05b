//! Counts the silence of clusters while this lead leads, and logs the edges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use qonnect_core::knowledge::{Change, liveness};
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::revision::Revision;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::consensus::{Consensus, Leadership};

/// How often silence is looked at: late by a second is early enough against leases of many.
const TICK: Duration = Duration::from_millis(500);

/// Signs of life come in from the API at any time.
pub struct Liveness {
    /// Stands still while the machine sleeps: then nobody's silence counts.
    started: Instant,
    state: Mutex<liveness::Liveness>,
}

impl Default for Liveness {
    fn default() -> Self {
        Self { started: Instant::now(), state: Mutex::default() }
    }
}

impl Liveness {
    pub fn heard(&self, cluster: &str) {
        self.state().heard(cluster, self.started.elapsed());
    }

    /// Goes on until the consensus has ended.
    pub async fn run(&self, consensus: Consensus, revision: watch::Receiver<Option<Arc<Revision>>>) {
        let mut leadership = consensus.leadership();
        let mut led: Option<Leadership> = None;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                changed = leadership.changed() => if changed.is_err() { return },
            }
            let leads = *leadership.borrow_and_update();
            let fleet = revision.borrow().clone();
            let (Some(now), Some(fleet)) = (leads, fleet) else {
                // Nobody is judged by a lease that is not known; leases begin when it is.
                led = None;
                continue;
            };
            let lease = fleet.fleet.lease;
            let known = consensus.knowledge().clusters.clone();
            if led.replace(now) != Some(now) {
                *self.state() = liveness::Liveness::lead(self.started.elapsed(), &lease, &known);
            }
            let edges = self.state().tick(self.started.elapsed(), TICK, &lease, &known);
            if !edges.is_empty() {
                tracing::info!(clusters = ?edges, "the status of clusters has changed");
                log(&consensus, now, Change::Status { clusters: edges }).await;
            }
            let gone = gone(&fleet, &known);
            if !gone.is_empty() {
                log(&consensus, now, Change::Forget { clusters: gone }).await;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, liveness::Liveness> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What fails is found again by the next tick.
async fn log(consensus: &Consensus, leadership: Leadership, change: Change) {
    if let Err(error) = consensus.propose_as(leadership, consensus.command(change)).await {
        tracing::warn!(%error, "the status of clusters could not be logged");
    }
}

/// Clusters that have left the fleet and fell silent.
fn gone(fleet: &Revision, known: &BTreeMap<String, Arc<ClusterState>>) -> BTreeSet<String> {
    let left = known
        .iter()
        .filter(|(name, state)| state.status == ClusterStatus::Lost && !fleet.clusters.contains_key(*name));
    left.map(|(name, _)| name.clone()).collect()
}
