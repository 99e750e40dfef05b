//! Counts the silence of clusters while this lead leads, and logs the edges; while it follows, tells the leader who
//! was heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use qonnect_core::knowledge::Change;
use qonnect_core::knowledge::liveness::{self, Edges, Terms};
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::revision::Revision;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::consensus::{Consensus, Leadership, Note};

/// How often silence is looked at: late by a second is early enough against leases of many.
const TICK: Duration = Duration::from_millis(500);

/// A follower that has not reached the leader for so long hears nobody: agents then turn to another lead, long
/// before a lease ends.
const RELAY_MAX: Duration = Duration::from_secs(3);

/// Signs of life come in from the API at any time.
pub struct Liveness {
    /// Stands still while the machine sleeps: then nobody's silence counts.
    started: Instant,
    state: Mutex<liveness::Liveness>,
    relay: Mutex<Relay>,
}

/// What the leader has to be told.
#[derive(Default)]
struct Relay {
    /// When each cluster was heard, since the last note.
    heard: BTreeMap<String, Instant>,
    /// When the leader last took a note.
    taken: Option<Instant>,
}

impl Default for Liveness {
    fn default() -> Self {
        Self { started: Instant::now(), state: Mutex::default(), relay: Mutex::default() }
    }
}

impl Liveness {
    pub fn heard(&self, cluster: &str) {
        self.state().heard(cluster, self.started.elapsed());
        self.relay().heard.insert(cluster.into(), Instant::now());
    }

    /// Another lead has heard them, so many milliseconds ago.
    pub fn told(&self, clusters: &BTreeMap<String, u64>) {
        let now = self.started.elapsed();
        let mut state = self.state();
        for (cluster, ago) in clusters {
            state.heard(cluster, now.saturating_sub(Duration::from_millis(*ago)));
        }
    }

    /// Whether a word that is heard here counts: this lead leads, or what it hears reaches the leader.
    pub fn counts(&self, consensus: &Consensus) -> bool {
        consensus.leadership().borrow().is_some()
            || self.relay().taken.is_some_and(|taken| taken.elapsed() < RELAY_MAX)
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
            if leads.is_none() {
                self.relay_to(&consensus).await;
            }
            let fleet = revision.borrow().clone();
            let (Some(now), Some(fleet)) = (leads, fleet) else {
                // Nobody is judged by a lease that is not known; leases begin when it is.
                led = None;
                continue;
            };
            let lease = liveness::stretched(&fleet.fleet.lease, fleet.clusters.len());
            let knowledge = consensus.knowledge();
            if led.replace(now) != Some(now) {
                *self.state() = liveness::Liveness::lead(self.started.elapsed(), &lease, &knowledge.clusters);
            }
            let terms = Terms::new(&lease, &fleet, &knowledge);
            let Edges { brake, status, expired } = self.state().tick(self.started.elapsed(), TICK, &terms);
            if let Some(clusters) = brake {
                match clusters.is_empty() {
                    true => tracing::info!("enough clusters answer again, or are gone: the brake is off"),
                    false => {
                        tracing::error!(?clusters, "too many clusters fell silent at once: nothing moves");
                    }
                }
                log(&consensus, now, Change::Brake { clusters }).await;
            }
            if !status.is_empty() {
                tracing::info!(clusters = ?status, "the status of clusters has changed");
                log(&consensus, now, Change::Status { clusters: status }).await;
            }
            if !expired.is_empty() {
                tracing::warn!(clusters = ?expired, "what runs by a lease has ended there");
                log(&consensus, now, Change::Expired { clusters: expired }).await;
            }
            let gone = gone(&fleet, &knowledge.clusters);
            if !gone.is_empty() {
                log(&consensus, now, Change::Forget { clusters: gone }).await;
            }
        }
    }

    async fn relay_to(&self, consensus: &Consensus) {
        let heard = std::mem::take(&mut self.relay().heard);
        let ages = heard.iter().map(|(cluster, at)| {
            (cluster.clone(), u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX))
        });
        let taken = consensus.note(Note::Heard(ages.collect())).await.is_ok();
        let mut relay = self.relay();
        if taken {
            relay.taken = Some(Instant::now());
        } else {
            // Said again with the next note, unless they were heard again meanwhile.
            for (cluster, at) in heard {
                relay.heard.entry(cluster).or_insert(at);
            }
        }
    }

    fn relay(&self) -> MutexGuard<'_, Relay> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner)
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
