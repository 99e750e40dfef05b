//! When what runs by a lease has ended on a cluster that is lost, and when it may run there again.
//!
//! ```text
//!          lost for the length of a lease and more        answers, holds its newest release, no commit is under way
//!  leased ────────────────────────────────────────▶ expired ───────────────────────────────────────────────────────▶ leased
//! ```
//!
//! *Guarantees:* a lead vouches only after a linearizable read, so no lease begins after the entry that calls its
//! cluster lost. A commit that counts on an end is not recorded after that end was taken back, and an end is not
//! taken back while such a commit may still arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use qonnect_schema::api::EventSeverity;
use qonnect_schema::documents::application::OnLost;
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::layout::{LEASE, whole};
use qonnect_schema::revision::{ApplicationSource, Revision};

use super::{Answer, Knowledge, Outcome};

/// Until an agent has noticed that a lease has ended, and its API server has taken that.
const NOTICE: Duration = Duration::from_secs(15);

/// What Kubernetes gives a pod to end unless its manifest says otherwise.
const GRACE_SECS: u64 = 30;

/// By cluster: how long after its loss what runs there by a lease has ended for sure; only clusters with such a
/// component.
pub(super) fn ends(revision: &Revision, knowledge: &Knowledge) -> BTreeMap<String, Duration> {
    let mut ends: BTreeMap<String, Duration> = BTreeMap::new();
    for (name, source) in &revision.applications {
        let Some(placement) = knowledge.placements.get(name) else { continue };
        for component in &source.application.spec.components {
            if component.on_lost != OnLost::AfterLease {
                continue;
            }
            // Clocks may differ by a hundredth.
            let end = LEASE + LEASE / 100 + NOTICE + Duration::from_secs(grace(source, &component.name));
            let parts = placement.spec.components.iter().filter(|(part, _)| whole(part) == component.name);
            let places = parts.flat_map(|(_, placed)| {
                placed.cluster.iter().chain(placed.moving.as_ref().map(|moving| &moving.from))
            });
            for cluster in places {
                let known = ends.entry(cluster.clone()).or_default();
                *known = end.max(*known);
            }
        }
    }
    ends
}

/// The longest that its pods may take to end, in seconds.
fn grace(source: &ApplicationSource, component: &str) -> u64 {
    let manifests = source.manifests.get(component).map_or(&[][..], Vec::as_slice);
    let said = manifests.iter().filter_map(|manifest| {
        let pods = manifest.object.pointer("/spec/template/spec")?;
        Some(pods["terminationGracePeriodSeconds"].as_u64().unwrap_or(GRACE_SECS))
    });
    said.max().unwrap_or(GRACE_SECS)
}

impl Knowledge {
    /// Whether a lead may vouch for what runs on a cluster by a lease, if it has read this linearizably.
    pub fn vouches_for(&self, cluster: &str) -> bool {
        let state = self.clusters.get(cluster);
        state.is_some_and(|state| state.status < ClusterStatus::Lost && !state.expired)
    }

    pub(super) fn expire(&mut self, clusters: &BTreeSet<String>) -> Answer {
        let mut answer = Answer::Unchanged;
        for cluster in clusters {
            let lost = |state: &&Arc<ClusterState>| state.status == ClusterStatus::Lost && !state.expired;
            let Some(state) = self.clusters.get(cluster).filter(lost) else { continue };
            let expired = ClusterState { expired: true, ..ClusterState::clone(state) };
            Arc::make_mut(&mut self.clusters).insert(cluster.clone(), Arc::new(expired));
            let message = "what runs there by a lease has ended, and is placed elsewhere";
            self.tell(EventSeverity::Warning, "LeaseExpired", format!("cluster/{cluster}"), message);
            answer = Answer::Done;
        }
        answer
    }

    /// Takes back that leases have ended, where nothing counts on it any more.
    pub(super) fn renew(&mut self) {
        let over = |(name, state): &(&String, &Arc<ClusterState>)| {
            let newest = self.releases.get(*name);
            let holds = newest.is_none_or(|newest| {
                (newest.generation, &newest.digest) == (state.mark.generation, &state.mark.digest)
            });
            state.expired && state.status == ClusterStatus::Ready && holds
        };
        let over: Vec<String> = self.clusters.iter().filter(over).map(|(name, _)| name.clone()).collect();
        if over.is_empty() || self.intents.iter().any(|intent| intent.outcome == Outcome::Unknown) {
            return;
        }
        self.renewed = self.index;
        for cluster in over {
            let renewed = ClusterState { expired: false, ..ClusterState::clone(&self.clusters[&cluster]) };
            Arc::make_mut(&mut self.clusters).insert(cluster.clone(), Arc::new(renewed));
            let message = "what runs by a lease may run there again";
            self.tell(EventSeverity::Normal, "LeaseRenewed", format!("cluster/{cluster}"), message);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use qonnect_schema::Epoch;
    use qonnect_schema::api::{Registration, ReleaseHint, Report};
    use qonnect_schema::documents::release::Mark;

    use super::*;
    use crate::knowledge::{Change, Command, Intent};

    /// A cluster that holds generation 1, in an epoch of its own.
    struct Fog {
        knowledge: Knowledge,
        incarnation: u64,
        seq: u64,
    }

    impl Fog {
        fn new() -> Self {
            let mut fog = Self { knowledge: Knowledge::default(), incarnation: 0, seq: 0 };
            fog.apply(Change::OpenEpoch { node: 1, term: 1, group: "g".into() });
            fog.registers(1);
            fog.published(1);
            fog.holds(1);
            fog
        }

        fn apply(&mut self, change: Change) -> Answer {
            let index = self.knowledge.index + 1;
            let now = Timestamp::from_second(index.cast_signed()).unwrap();
            self.knowledge.apply(index, &Command { key: index.to_string(), now, change })
        }

        fn registers(&mut self, incarnation: u64) {
            let version = String::new;
            let registration =
                Registration { incarnation, agent_version: version(), kubernetes_version: version() };
            (self.incarnation, self.seq) = (incarnation, 0);
            self.apply(Change::Register { cluster: "fog".into(), registration });
        }

        fn is(&mut self, status: ClusterStatus) {
            self.apply(Change::Status { clusters: BTreeMap::from([("fog".into(), status)]) });
        }

        fn expires(&mut self) -> Answer {
            self.apply(Change::Expired { clusters: BTreeSet::from(["fog".into()]) })
        }

        /// Its agent has accepted this release.
        fn holds(&mut self, generation: u64) {
            self.seq += 1;
            let digest = format!("sha256:{generation}");
            let mark = Mark { epoch: Epoch::default(), generation, digest };
            let report = Report { incarnation: self.incarnation, seq: self.seq, mark, ..Report::default() };
            self.apply(Change::Report { cluster: "fog".into(), report: Box::new(report) });
        }

        /// Records a commit that brings this release, planned on the entry before.
        fn intends(&mut self, generation: u64, kb_index: u64) -> Answer {
            let digest = format!("sha256:{generation}");
            let hint = ReleaseHint { commit: "c".into(), generation, digest };
            self.apply(Change::Intent(Box::new(Intent {
                id: generation.to_string(),
                epoch: self.knowledge.epoch,
                base: None,
                commit: "c".into(),
                revision: String::new(),
                kb_index,
                files: BTreeMap::new(),
                message: String::new(),
                time: Timestamp::UNIX_EPOCH,
                placements: BTreeMap::new(),
                releases: BTreeMap::from([("fog".into(), hint)]),
                notes: Vec::new(),
                completes: None,
                outcome: Outcome::Unknown,
            })))
        }

        fn published(&mut self, generation: u64) {
            assert_eq!(self.intends(generation, self.knowledge.index), Answer::Done);
            self.arrived(generation);
        }

        fn arrived(&mut self, generation: u64) {
            self.apply(Change::Outcome { intent: generation.to_string(), outcome: Outcome::Published });
        }

        fn vouched_for(&self) -> bool {
            self.knowledge.vouches_for("fog")
        }
    }

    #[test]
    fn nobody_vouches_for_what_is_lost_and_only_that_expires() {
        let mut fog = Fog::new();
        assert!(fog.vouched_for());
        assert_eq!(fog.expires(), Answer::Unchanged, "it answers");
        fog.is(ClusterStatus::Suspect);
        assert!(fog.vouched_for(), "whoever asks is alive");
        fog.is(ClusterStatus::Lost);
        assert!(!fog.vouched_for());
        fog.is(ClusterStatus::Ready);
        assert!(fog.vouched_for(), "it was back before the end");
        fog.is(ClusterStatus::Lost);
        assert_eq!((fog.expires(), fog.expires()), (Answer::Done, Answer::Unchanged));
        assert!(!fog.knowledge.vouches_for("stranger"));
    }

    #[test]
    fn an_end_is_taken_back_when_its_cluster_holds_the_newest_release() {
        let mut fog = Fog::new();
        fog.is(ClusterStatus::Lost);
        fog.expires();
        fog.published(2);
        fog.is(ClusterStatus::Ready);
        fog.holds(1);
        assert!(!fog.vouched_for(), "it may still hold what was placed elsewhere");
        fog.holds(2);
        assert!(fog.vouched_for());
        let last = fog.knowledge.events.back().unwrap();
        assert_eq!(last.reason, "LeaseRenewed");
    }

    #[test]
    fn a_cluster_that_was_forgotten_holds_the_newest_release_first() {
        let mut fog = Fog::new();
        fog.is(ClusterStatus::Lost);
        fog.published(2);
        fog.apply(Change::Forget { clusters: BTreeSet::from(["fog".into()]) });
        fog.registers(2);
        fog.holds(1);
        assert!(!fog.vouched_for());
        fog.holds(2);
        assert!(fog.vouched_for());
    }

    #[test]
    fn a_commit_that_is_under_way_counts_on_the_end() {
        let mut fog = Fog::new();
        fog.is(ClusterStatus::Lost);
        fog.expires();
        fog.intends(2, fog.knowledge.index);
        fog.is(ClusterStatus::Ready);
        fog.holds(1);
        assert!(!fog.vouched_for(), "the commit may arrive");
        fog.arrived(2);
        assert!(!fog.vouched_for());
        fog.holds(2);
        assert!(fog.vouched_for());
    }

    #[test]
    fn what_was_planned_on_an_end_that_was_taken_back_is_not_recorded() {
        let mut fog = Fog::new();
        fog.is(ClusterStatus::Lost);
        fog.expires();
        let planned_on = fog.knowledge.index;
        fog.is(ClusterStatus::Ready);
        assert!(fog.vouched_for(), "it holds the newest release already");
        assert_eq!(fog.intends(2, planned_on), Answer::Superseded);
        assert_eq!(fog.intends(2, fog.knowledge.index), Answer::Done);
    }
}
