//! How long a cluster counts as alive without a word from it.
//!
//! Soft state of one leadership: heartbeats never enter the log, only the edges that [`Liveness::tick`] finds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use qonnect_schema::documents::fleet::{Failover, Lease};
use qonnect_schema::documents::snapshot::{Brake, ClusterState, ClusterStatus};
use qonnect_schema::revision::Revision;
use qonnect_schema::units::Span;

use super::brake::{self, Batches, Silent};
use super::{Knowledge, lease};

/// A tick that comes this much later than it should was held up by ourselves.
const STALL: Duration = Duration::from_millis(500);

/// Signs of life that all leads together take in: at half a millisecond each, a quarter of a core.
const HEARTBEATS_PER_SECOND_MAX: u64 = 500;

/// The lease of a fleet of so many clusters: large fleets speak less often, and are waited for longer.
pub fn stretched(lease: &Lease, clusters: usize) -> Lease {
    let asked = lease.heartbeat.0.max(1);
    let least = u64::try_from(clusters).unwrap_or(u64::MAX).saturating_mul(1_000) / HEARTBEATS_PER_SECOND_MAX;
    let heartbeat = asked.max(least);
    let stretch = |span: Span| Span(span.0.saturating_mul(heartbeat) / asked);
    Lease {
        heartbeat: Span(heartbeat),
        suspect_after: stretch(lease.suspect_after),
        lost_after: stretch(lease.lost_after),
    }
}

/// When each cluster was last heard, on the clock of this process (time since its start).
#[derive(Debug, Clone, Default)]
pub struct Liveness {
    clusters: BTreeMap<String, Heard>,
    /// Since when this leadership knows that they are lost.
    lost: BTreeMap<String, Duration>,
    ticked: Option<Duration>,
    batches: Batches,
}

/// What silence is judged by.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    /// As [`stretched`].
    pub lease: &'a Lease,
    pub failover: &'a Failover,
    pub known: &'a BTreeMap<String, Arc<ClusterState>>,
    pub brake: Option<&'a Brake>,
    /// When leases end on a lost cluster, as [`lease::ends`](super::lease::ends).
    pub ends: BTreeMap<String, Duration>,
}

impl<'a> Terms<'a> {
    /// `lease` is that of the whole revision.
    pub fn new(lease: &'a Lease, revision: &'a Revision, knowledge: &'a Knowledge) -> Self {
        let known = &*knowledge.clusters;
        let ends = match known.values().any(|state| waits(state)) {
            true => lease::ends(revision, knowledge),
            false => BTreeMap::new(),
        };
        let brake = knowledge.brake.as_deref();
        Self { lease, failover: &revision.fleet.failover, known, brake, ends }
    }
}

/// What is another one now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edges {
    /// Said before the statuses: the clusters that hold the brake, none to lift it.
    pub brake: Option<BTreeSet<String>>,
    pub status: BTreeMap<String, ClusterStatus>,
    /// Clusters on which what runs by a lease has ended.
    pub expired: BTreeSet<String>,
}

impl Edges {
    pub fn is_empty(&self) -> bool {
        self.brake.is_none() && self.status.is_empty() && self.expired.is_empty()
    }
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    /// The time from which its silence counts.
    at: i64,
    /// It has spoken under this leadership; otherwise `at` is a grant.
    spoke: bool,
}

impl Liveness {
    /// A leadership begins: every Ready cluster gets one fresh lease, a Suspect one two heartbeats. What is
    /// Lost has to speak first.
    pub fn lead(now: Duration, lease: &Lease, clusters: &BTreeMap<String, Arc<ClusterState>>) -> Self {
        let grant = |status| match status {
            ClusterStatus::Ready => Some(ms(now)),
            ClusterStatus::Suspect => {
                Some(ms(now) + 2 * lease.heartbeat.0.cast_signed() - lease.lost_after.0.cast_signed())
            }
            ClusterStatus::Unknown | ClusterStatus::Lost => None,
        };
        let granted = clusters.iter().filter_map(|(name, state)| {
            Some((name.clone(), Heard { at: grant(state.status)?, spoke: false }))
        });
        Self { clusters: granted.collect(), ticked: Some(now), ..Self::default() }
    }

    /// Words that another lead has heard come late: an older one takes nothing back.
    pub fn heard(&mut self, cluster: &str, at: Duration) {
        match self.clusters.get_mut(cluster) {
            Some(known) => *known = Heard { at: known.at.max(ms(at)), spoke: true },
            None => {
                self.clusters.insert(cluster.into(), Heard { at: ms(at), spoke: true });
            }
        }
    }

    /// What has changed. `every` is how often this is called: time that we missed ourselves is counted against
    /// nobody.
    ///
    /// A cluster that is silent for too long stays Suspect while the brake is on, and until its batch goes.
    pub fn tick(&mut self, now: Duration, every: Duration, terms: &Terms<'_>) -> Edges {
        let Self { clusters, lost, ticked, batches } = self;
        let late = now.saturating_sub(ticked.replace(now).unwrap_or(now) + every);
        if late > STALL {
            for heard in clusters.values_mut() {
                heard.at = ms(now).min(heard.at + ms(late));
            }
        }
        let (mut edges, mut silent) = (Edges::default(), Vec::new());
        for (cluster, heard) in &*clusters {
            let Some(before) = terms.known.get(cluster).map(|state| state.status) else { continue };
            let after = heard.status(now, terms.lease, before);
            if after >= ClusterStatus::Suspect && heard.is_silent(now, terms.lease) {
                let overdue = after == ClusterStatus::Lost;
                silent.push(Silent { cluster, since: heard.at, overdue });
            }
            let after = if before < ClusterStatus::Lost { after.min(ClusterStatus::Suspect) } else { after };
            if after != before {
                edges.status.insert(cluster.clone(), after);
            }
        }
        edges.brake = brake::next(&terms.failover.brake, terms.brake, &silent, terms.known);
        let braked = match &edges.brake {
            Some(clusters) => !clusters.is_empty(),
            None => terms.brake.is_some_and(Brake::is_engaged),
        };
        // Counted from when the loss is in the log, and anew by each leadership.
        lost.retain(|cluster, _| terms.known.get(cluster).is_some_and(|state| waits(state)));
        for cluster in terms.known.iter().filter(|(_, state)| waits(state)).map(|(cluster, _)| cluster) {
            let since = *lost.entry(cluster.clone()).or_insert(now);
            if terms.ends.get(cluster).is_some_and(|end| now.saturating_sub(since) >= *end) {
                edges.expired.insert(cluster.clone());
            }
        }
        if !braked {
            let lost = batches.next(&terms.failover.batch, ms(now), &silent, terms.known);
            edges.status.extend(lost.into_iter().map(|cluster| (cluster.to_owned(), ClusterStatus::Lost)));
        }
        edges
    }
}

/// Whether leases may still run on what is lost.
fn waits(state: &ClusterState) -> bool {
    state.status == ClusterStatus::Lost && !state.expired
}

impl Heard {
    fn is_silent(self, now: Duration, lease: &Lease) -> bool {
        ms(now) - self.at >= lease.suspect_after.0.cast_signed()
    }

    fn status(self, now: Duration, lease: &Lease, before: ClusterStatus) -> ClusterStatus {
        let silent = ms(now) - self.at;
        if before == ClusterStatus::Unknown {
            // It has to register first.
            before
        } else if silent >= lease.lost_after.0.cast_signed() {
            ClusterStatus::Lost
        } else if silent >= lease.suspect_after.0.cast_signed() {
            before.max(ClusterStatus::Suspect)
        } else if self.spoke {
            ClusterStatus::Ready
        } else {
            before
        }
    }
}

pub(super) fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
