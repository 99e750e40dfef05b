//! How long a cluster counts as alive without a word from it.
//!
//! Soft state of one leadership: heartbeats never enter the log, only the edges that [`Liveness::tick`] finds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use qonnect_schema::documents::fleet::Lease;
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::units::Span;

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
    ticked: Option<Duration>,
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
        Self { clusters: granted.collect(), ticked: Some(now) }
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

    /// Clusters whose status is another one now. `every` is how often this is called: time that we missed
    /// ourselves is counted against nobody.
    pub fn tick(
        &mut self,
        now: Duration,
        every: Duration,
        lease: &Lease,
        known: &BTreeMap<String, Arc<ClusterState>>,
    ) -> BTreeMap<String, ClusterStatus> {
        let late = now.saturating_sub(self.ticked.replace(now).unwrap_or(now) + every);
        if late > STALL {
            for heard in self.clusters.values_mut() {
                heard.at = ms(now).min(heard.at + ms(late));
            }
        }
        let edges = self.clusters.iter().filter_map(|(cluster, heard)| {
            let before = known.get(cluster)?.status;
            let after = heard.status(now, lease, before);
            (after != before).then(|| (cluster.clone(), after))
        });
        edges.collect()
    }
}

impl Heard {
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

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClusterStatus::{Lost, Ready, Suspect, Unknown};

    const EVERY: Duration = Duration::from_millis(500);

    fn fleet(status: ClusterStatus) -> BTreeMap<String, Arc<ClusterState>> {
        BTreeMap::from([("fog".to_owned(), Arc::new(ClusterState { status, ..Default::default() }))])
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Ticks on time until `until` and gives the edges with their seconds.
    fn run(
        liveness: &mut Liveness,
        mut status: ClusterStatus,
        from: u64,
        until: u64,
    ) -> Vec<(u64, ClusterStatus)> {
        let mut seen = Vec::new();
        let mut now = secs(from);
        while now < secs(until) {
            now += EVERY;
            for (_, edge) in liveness.tick(now, EVERY, &Lease::default(), &fleet(status)) {
                status = edge;
                seen.push((now.as_secs(), edge));
            }
        }
        seen
    }

    #[test]
    fn silence_makes_suspect_then_lost_and_a_word_makes_ready() {
        let mut liveness = Liveness::lead(secs(0), &Lease::default(), &fleet(Ready));
        assert_eq!(run(&mut liveness, Ready, 0, 100), [(15, Suspect), (30, Lost)]);
        liveness.heard("fog", secs(100));
        assert_eq!(run(&mut liveness, Lost, 100, 101), [(100, Ready)]);
    }

    #[test]
    fn a_new_leader_grants_ready_a_lease_suspect_two_heartbeats_and_lost_nothing() {
        let lead = |status| Liveness::lead(secs(50), &Lease::default(), &fleet(status));
        assert_eq!(run(&mut lead(Ready), Ready, 50, 90), [(65, Suspect), (80, Lost)]);
        assert_eq!(run(&mut lead(Suspect), Suspect, 50, 90), [(60, Lost)]);
        assert_eq!(run(&mut lead(Lost), Lost, 50, 90), []);
    }

    #[test]
    fn a_stall_of_our_own_counts_against_nobody() {
        let mut liveness = Liveness::lead(secs(0), &Lease::default(), &fleet(Ready));
        assert_eq!(run(&mut liveness, Ready, 0, 10), []);
        // Held up for a minute.
        assert_eq!(liveness.tick(secs(70), EVERY, &Lease::default(), &fleet(Ready)), BTreeMap::new());
        assert_eq!(run(&mut liveness, Ready, 70, 80), [(74, Suspect)]);
    }

    #[test]
    fn a_large_fleet_speaks_less_often_and_is_waited_for_longer() {
        let lease = Lease::default();
        assert_eq!([0, 9, 2_500].map(|clusters| stretched(&lease, clusters)), [lease; 3]);
        let large = stretched(&lease, 5_000);
        let secs = [large.heartbeat, large.suspect_after, large.lost_after].map(|span| span.0 / 1_000);
        assert_eq!(secs, [10, 30, 60]);
    }

    #[test]
    fn a_word_that_comes_late_takes_no_newer_one_back() {
        let mut liveness = Liveness::lead(secs(0), &Lease::default(), &fleet(Ready));
        liveness.heard("fog", secs(10));
        liveness.heard("fog", secs(8));
        assert_eq!(run(&mut liveness, Ready, 10, 50), [(25, Suspect), (40, Lost)]);
    }

    #[test]
    fn who_has_not_registered_has_no_status_to_lose() {
        let mut liveness = Liveness::default();
        liveness.heard("fog", secs(1));
        liveness.heard("stranger", secs(1));
        assert_eq!(run(&mut liveness, Unknown, 1, 60), []);
    }
}
