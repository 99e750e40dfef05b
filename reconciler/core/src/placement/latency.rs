//! Round trips between clusters.
//!
//! Inside one cluster it is zero. Between two, the first that is known counts: a valid signal between the two
//! clusters, what their agents have measured, what their documents say of each other, a valid signal between their regions, what their
//! documents say of each other's region, the default of the fleet. Where two documents or two agents disagree the
//! longer round trip counts, since a limit may hang on it.

use std::collections::{BTreeMap, BTreeSet};

use qonnect_schema::documents::fleet::FleetDefaults;
use qonnect_schema::{Cluster, ClusterSpec, SnapshotSpec};

use super::signals::Current;

/// Round trips in microseconds, by the position of the clusters in the order of their names.
///
/// Clusters that are equally far from all others share a *site*, so that the table stays small and what a
/// dependency adds is computed once for all of them.
#[derive(Debug, Clone)]
pub(super) struct Latencies {
    /// The site of each cluster.
    site: Vec<u32>,
    sites: usize,
    /// Between two clusters of two sites.
    table: Vec<u64>,
    /// Pairs of clusters whose agents have measured it, the one that comes first by name first.
    measured: BTreeSet<(usize, usize)>,
}

impl Latencies {
    pub(super) fn new(
        clusters: &[&Cluster],
        snapshot: &SnapshotSpec,
        signals: &Current<'_>,
        defaults: &FleetDefaults,
    ) -> Self {
        let measured = measured(clusters, snapshot, signals);
        let known = known(clusters, &measured, signals);
        let mut sites: BTreeMap<Site<'_>, u32> = BTreeMap::new();
        let mut first: Vec<usize> = Vec::new();
        let mut site = Vec::with_capacity(clusters.len());
        for (at, cluster) in clusters.iter().enumerate() {
            let key = Site {
                region: cluster.spec.region.as_deref(),
                toward: cluster
                    .spec
                    .latency
                    .regions
                    .iter()
                    .map(|(name, trip)| (name.as_str(), trip.0))
                    .collect(),
                alone: (!known[at].is_empty()).then_some(at),
            };
            let next = sites.len() as u32;
            site.push(*sites.entry(key).or_insert_with(|| {
                first.push(at);
                next
            }));
        }
        let between = |a: usize, b: usize| {
            if let Ok(found) = known[a].binary_search_by_key(&b, |(other, _)| *other) {
                return known[a][found].1;
            }
            between_regions(&clusters[a].spec, &clusters[b].spec, signals, defaults)
        };
        let pairs = first.iter().flat_map(|a| first.iter().map(move |b| (*a, *b)));
        Self {
            site,
            sites: first.len(),
            table: pairs.map(|(a, b)| between(a, b)).collect(),
            measured: measured.into_keys().collect(),
        }
    }

    /// The round trip between two clusters, in microseconds.
    pub(super) fn between(&self, a: usize, b: usize) -> u64 {
        match a == b {
            true => 0,
            false => self.table[self.site[a] as usize * self.sites + self.site[b] as usize],
        }
    }

    /// Whether it is what agents have measured.
    pub(super) fn is_measured(&self, a: usize, b: usize) -> bool {
        self.measured.contains(&(a.min(b), a.max(b)))
    }

    pub(super) fn sites(&self) -> usize {
        self.sites
    }

    pub(super) fn site(&self, cluster: usize) -> usize {
        self.site[cluster] as usize
    }

    /// The round trips from a cluster to other clusters, by their site.
    pub(super) fn from(&self, cluster: usize) -> &[u64] {
        let row = self.site(cluster) * self.sites;
        &self.table[row..row + self.sites]
    }
}

/// What decides how far a cluster is from others.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Site<'a> {
    region: Option<&'a str>,
    toward: Vec<(&'a str, u64)>,
    /// The cluster itself, if something is known of it by its name.
    alone: Option<usize>,
}

fn between_regions(a: &ClusterSpec, b: &ClusterSpec, signals: &Current<'_>, defaults: &FleetDefaults) -> u64 {
    let regions = a.region.as_deref().zip(b.region.as_deref());
    if let Some(signal) = regions.and_then(|(a, b)| signals.round_trip(a, b)) {
        return signal;
    }
    let toward = |from: &ClusterSpec, to: &ClusterSpec| {
        from.latency.regions.get(to.region.as_deref()?).map(|latency| latency.0)
    };
    toward(a, b).max(toward(b, a)).unwrap_or(match regions {
        Some((a, b)) if a == b => defaults.same_region_latency.0,
        _ => defaults.other_region_latency.0,
    })
}

fn position(clusters: &[&Cluster], name: &str) -> Option<usize> {
    clusters.binary_search_by(|cluster| cluster.name().cmp(name)).ok()
}

type Pairs = BTreeMap<(usize, usize), u64>;

/// What agents have measured between two clusters of which no signal speaks.
fn measured(clusters: &[&Cluster], snapshot: &SnapshotSpec, signals: &Current<'_>) -> Pairs {
    let mut pairs = Pairs::new();
    for (a, cluster) in clusters.iter().enumerate() {
        let state = snapshot.clusters.get(cluster.name());
        for (name, trip) in state.iter().flat_map(|state| &state.measured.round_trips) {
            if let Some(b) = position(clusters, name).filter(|b| *b != a)
                && signals.round_trip(cluster.name(), name).is_none()
            {
                let longest = pairs.entry((a.min(b), a.max(b))).or_default();
                *longest = trip.0.max(*longest);
            }
        }
    }
    pairs
}

/// What documents, agents and signals say of two clusters by their names.
fn known(clusters: &[&Cluster], measured: &Pairs, signals: &Current<'_>) -> Vec<Vec<(usize, u64)>> {
    let position = |name: &str| position(clusters, name);
    let mut pairs = Pairs::new();
    for (a, cluster) in clusters.iter().enumerate() {
        for (name, latency) in &cluster.spec.latency.clusters {
            if let Some(b) = position(name).filter(|b| *b != a) {
                let longest = pairs.entry((a.min(b), a.max(b))).or_default();
                *longest = latency.0.max(*longest);
            }
        }
    }
    pairs.extend(measured);
    for ((a, b), latency) in &signals.round_trips {
        if let (Some(a), Some(b)) = (position(a), position(b)) {
            pairs.insert((a.min(b), a.max(b)), *latency);
        }
    }
    let mut known = vec![Vec::new(); clusters.len()];
    for ((a, b), latency) in pairs {
        known[a].push((b, latency));
        known[b].push((a, latency));
    }
    known.iter_mut().for_each(|others| others.sort_unstable());
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use qonnect_schema::documents::snapshot::ClusterState;
    use qonnect_schema::units::Latency;

    fn cluster(name: &str, region: &str) -> Cluster {
        Cluster::new(name, ClusterSpec { region: Some(region.into()), ..Default::default() })
    }

    fn between(clusters: &[&Cluster], signals: &Current<'_>, a: usize, b: usize) -> u64 {
        let snapshot = SnapshotSpec::default();
        let latencies = Latencies::new(clusters, &snapshot, signals, &FleetDefaults::default());
        assert_eq!(latencies.between(a, b), latencies.between(b, a));
        latencies.between(a, b) / 1000
    }

    #[test]
    fn the_most_particular_source_counts() {
        let (mut a, b, c) = (cluster("a", "r1"), cluster("b", "r1"), cluster("c", "r2"));
        let none = Current::default();
        assert_eq!(between(&[&a, &b, &c], &none, 0, 0), 0);
        assert_eq!(between(&[&a, &b, &c], &none, 0, 1), 2);
        assert_eq!(between(&[&a, &b, &c], &none, 0, 2), 40);

        a.spec.latency.regions.insert("r2".into(), Latency::from_ms(30));
        assert_eq!(between(&[&a, &b, &c], &none, 0, 2), 30);
        assert_eq!(between(&[&a, &b, &c], &none, 1, 2), 40);

        let mut signals = Current::default();
        signals.round_trips.insert(("r1", "r2"), 25_000);
        assert_eq!(between(&[&a, &b, &c], &signals, 0, 2), 25);

        a.spec.latency.clusters.insert("c".into(), Latency::from_ms(20));
        assert_eq!(between(&[&a, &b, &c], &signals, 0, 2), 20);
        assert_eq!(between(&[&a, &b, &c], &signals, 1, 2), 25);

        signals.round_trips.insert(("a", "c"), 15_000);
        assert_eq!(between(&[&a, &b, &c], &signals, 0, 2), 15);
    }

    #[test]
    fn of_two_documents_the_longer_round_trip_counts() {
        let (mut a, mut b) = (cluster("a", "r1"), cluster("b", "r2"));
        a.spec.latency.clusters.insert("b".into(), Latency::from_ms(5));
        b.spec.latency.clusters.insert("a".into(), Latency::from_ms(9));
        assert_eq!(between(&[&a, &b], &Current::default(), 0, 1), 9);
    }

    #[test]
    fn what_agents_measure_counts_before_documents_and_after_signals() {
        let (mut a, b) = (cluster("a", "r1"), cluster("b", "r2"));
        a.spec.latency.clusters.insert("b".into(), Latency::from_ms(5));
        let mut snapshot = SnapshotSpec::default();
        for (from, to, ms) in [("a", "b", 17), ("b", "a", 19), ("b", "gone", 1)] {
            let state: &mut ClusterState = snapshot.clusters.entry(from.into()).or_default();
            state.measured.round_trips.insert(to.into(), Latency::from_ms(ms));
        }
        let latencies =
            |signals: &Current<'_>| Latencies::new(&[&a, &b], &snapshot, signals, &FleetDefaults::default());
        let found = latencies(&Current::default());
        assert_eq!((found.between(0, 1), found.is_measured(1, 0)), (19_000, true));
        let mut signals = Current::default();
        signals.round_trips.insert(("a", "b"), 3_000);
        let found = latencies(&signals);
        assert_eq!((found.between(0, 1), found.is_measured(0, 1)), (3_000, false));
    }

    #[test]
    fn clusters_without_a_region_are_far_from_all() {
        let clusters = ["a", "b"].map(|name| Cluster::new(name, ClusterSpec::default()));
        assert_eq!(between(&[&clusters[0], &clusters[1]], &Current::default(), 0, 1), 40);
    }
}
