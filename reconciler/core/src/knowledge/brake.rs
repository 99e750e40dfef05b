//! Brakes and batches: which of the clusters that are silent for too long count as lost now.
//!
//! Many clusters that fall silent together are rather a fault of our own network: nothing moves then, until they
//! answer or a person says that they are gone. The others are emptied a few at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_schema::api::EventSeverity;
use qonnect_schema::documents::fleet::{Batch, BrakeRule};
use qonnect_schema::documents::snapshot::{Brake, ClusterState, ClusterStatus};

use super::liveness::ms;
use super::{Answer, Knowledge};

/// A cluster without a word for longer than `suspectAfter`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Silent<'a> {
    pub(super) cluster: &'a str,
    /// From when its silence counts, on the clock of this process.
    pub(super) since: i64,
    /// For longer than `lostAfter`.
    pub(super) overdue: bool,
}

type Clusters = BTreeMap<String, Arc<ClusterState>>;

/// What the brake is to become: the clusters that hold it, none to lift it. `None`: it stays as it is.
pub(super) fn next(
    rule: &BrakeRule,
    brake: Option<&Brake>,
    silent: &[Silent<'_>],
    known: &Clusters,
) -> Option<BTreeSet<String>> {
    if let Some(brake) = brake.filter(|brake| brake.is_engaged()) {
        let still: Vec<_> = silent.iter().filter(|one| brake.clusters.contains(one.cluster)).collect();
        return (!too_many(rule, still.len(), known, &brake.clusters)).then(BTreeSet::new);
    }
    let gone = brake.map(|brake| &brake.clusters);
    let fresh: Vec<_> =
        silent.iter().filter(|one| gone.is_none_or(|gone| !gone.contains(one.cluster))).collect();
    let newest = fresh.iter().map(|one| one.since).max();
    let from = newest.map(|newest| newest.saturating_sub(ms(rule.within.as_duration())));
    let together = fresh.iter().filter(|one| Some(one.since) >= from);
    let together: BTreeSet<String> = together.map(|one| one.cluster.to_owned()).collect();
    if too_many(rule, together.len(), known, &together) {
        return Some(together);
    }
    // What a person said holds until all of them are back.
    let back = |cluster: &String| known.get(cluster).is_none_or(|state| state.status == ClusterStatus::Ready);
    gone.filter(|gone| gone.iter().all(back)).map(|_| BTreeSet::new())
}

/// Those that were lost before are no part of what could fall silent.
fn too_many(rule: &BrakeRule, count: usize, known: &Clusters, counted: &BTreeSet<String>) -> bool {
    let part = |(name, state): &(&String, &Arc<ClusterState>)| match state.status {
        ClusterStatus::Ready | ClusterStatus::Suspect => true,
        ClusterStatus::Lost => counted.contains(*name),
        ClusterStatus::Unknown => false,
    };
    let all = known.iter().filter(part).count();
    count >= rule.clusters as usize && count as f64 >= rule.share * all as f64
}

/// When the last batch went.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Batches {
    last: Option<i64>,
}

impl Batches {
    /// The clusters that count as lost from now on: those that are silent for longest.
    pub(super) fn next<'a>(
        &mut self,
        batch: &Batch,
        now: i64,
        silent: &[Silent<'a>],
        known: &Clusters,
    ) -> Vec<&'a str> {
        let pause = ms(batch.every.as_duration());
        if self.last.is_some_and(|last| now < last.saturating_add(pause)) {
            return Vec::new();
        }
        let is_lost = |cluster: &str| known.get(cluster).is_none_or(|s| s.status == ClusterStatus::Lost);
        let mut due: Vec<_> =
            silent.iter().filter(|one| one.overdue && !is_lost(one.cluster)).copied().collect();
        due.sort_by_key(|one| (one.since, one.cluster));
        let all = known.values().filter(|state| state.status != ClusterStatus::Unknown).count();
        due.truncate(((batch.share * all as f64) as usize).max(1));
        if !due.is_empty() {
            self.last = Some(now);
        }
        due.into_iter().map(|one| one.cluster).collect()
    }
}

impl Knowledge {
    pub(super) fn hold(&mut self, clusters: &BTreeSet<String>) -> Answer {
        let known = self.brake.as_deref();
        let same = match known {
            Some(brake) => brake.is_engaged() && brake.clusters == *clusters,
            None => clusters.is_empty(),
        };
        if same {
            return Answer::Unchanged;
        }
        let held = known.is_some_and(Brake::is_engaged);
        let names = clusters.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        self.brake = (!clusters.is_empty())
            .then(|| Arc::new(Brake { since: self.now, clusters: clusters.clone(), released: None }));
        if !clusters.is_empty() {
            let message = format!(
                "{} clusters fell silent together: {names}. That is rather our network than theirs: nothing moves \
                 until they answer. If they are gone, run `qonnect brake --release`",
                clusters.len()
            );
            self.tell(EventSeverity::Warning, "Braked", "fleet".into(), message);
        } else if held {
            let message = "enough clusters answer again: what is wanted moves again";
            self.tell(EventSeverity::Normal, "BrakeReleased", "fleet".into(), message);
        }
        Answer::Done
    }

    pub(super) fn release_brake(&mut self) -> Answer {
        let Some(brake) = self.brake.as_deref().filter(|brake| brake.is_engaged()) else {
            return Answer::NotFound;
        };
        self.brake = Some(Arc::new(Brake { released: Some(self.now), ..brake.clone() }));
        let message = "a person says that the silent clusters are gone: they are emptied, batch by batch";
        self.tell(EventSeverity::Warning, "BrakeReleased", "fleet".into(), message);
        Answer::Done
    }
}
