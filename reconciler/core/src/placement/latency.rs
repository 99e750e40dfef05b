//! Round trips between clusters.
//!
//! Inside one cluster it is zero. Between two, the first that is known counts: a valid signal between the two
//! clusters, what their documents say of each other, a valid signal between their regions, what their
//! documents say of each other's region, the default of the fleet. Where two documents disagree the longer
//! round trip counts, since a limit may hang on it.

use std::collections::BTreeMap;

use qonnect_schema::Cluster;
use qonnect_schema::documents::fleet::FleetDefaults;

use super::signals::Current;

/// Round trips in microseconds, by the position of the clusters in the order of their names.
#[derive(Debug)]
pub(super) struct Latencies {
    /// The region of each cluster.
    region: Vec<usize>,
    regions: usize,
    /// Between regions.
    between: Vec<u64>,
    /// What the document of a cluster says of a region, where no signal knows better.
    toward: Vec<Option<u64>>,
    /// What is known of two clusters, by cluster, sorted by the other one.
    known: Vec<Vec<(usize, u64)>>,
}

impl Latencies {
    pub(super) fn new(clusters: &[&Cluster], signals: &Current<'_>, defaults: &FleetDefaults) -> Self {
        let mut names: Vec<Option<&str>> = clusters.iter().map(|c| c.spec.region.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        let place = |name: Option<&str>| names.binary_search(&name).expect("every region was collected");
        let signal = |a: Option<&str>, b: Option<&str>| signals.round_trip(a?, b?);
        let default = |a: Option<&str>, b| match a.is_some() && a == b {
            true => defaults.same_region_latency.0,
            false => defaults.other_region_latency.0,
        };
        let pairs = names.iter().flat_map(|a| names.iter().map(move |b| (*a, *b)));
        let toward = |cluster: &Cluster| {
            let ours = cluster.spec.region.as_deref();
            let table = &cluster.spec.latency.regions;
            let said = |theirs: Option<&str>| table.get(theirs?).map(|latency| latency.0);
            names
                .iter()
                .map(|theirs| said(*theirs).filter(|_| signal(ours, *theirs).is_none()))
                .collect::<Vec<_>>()
        };
        Self {
            region: clusters.iter().map(|cluster| place(cluster.spec.region.as_deref())).collect(),
            regions: names.len(),
            between: pairs.map(|(a, b)| signal(a, b).unwrap_or_else(|| default(a, b))).collect(),
            toward: clusters.iter().flat_map(|cluster| toward(cluster)).collect(),
            known: known(clusters, signals),
        }
    }

    /// The round trip between two clusters, in microseconds.
    pub(super) fn between(&self, a: usize, b: usize) -> u64 {
        if a == b {
            return 0;
        }
        if let Ok(found) = self.known[a].binary_search_by_key(&b, |(other, _)| *other) {
            return self.known[a][found].1;
        }
        let toward = |from: usize, to: usize| self.toward[from * self.regions + self.region[to]];
        let said = toward(a, b).max(toward(b, a));
        said.unwrap_or(self.between[self.region[a] * self.regions + self.region[b]])
    }
}

/// What documents and signals say of two clusters by their names.
fn known(clusters: &[&Cluster], signals: &Current<'_>) -> Vec<Vec<(usize, u64)>> {
    let position = |name: &str| clusters.binary_search_by(|cluster| cluster.name().cmp(name)).ok();
    let mut pairs: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for (a, cluster) in clusters.iter().enumerate() {
        for (name, latency) in &cluster.spec.latency.clusters {
            if let Some(b) = position(name).filter(|b| *b != a) {
                let longest = pairs.entry((a.min(b), a.max(b))).or_default();
                *longest = latency.0.max(*longest);
            }
        }
    }
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
    use qonnect_schema::ClusterSpec;
    use qonnect_schema::units::Latency;

    fn cluster(name: &str, region: &str) -> Cluster {
        Cluster::new(name, ClusterSpec { region: Some(region.into()), ..Default::default() })
    }

    fn between(clusters: &[&Cluster], signals: &Current<'_>, a: usize, b: usize) -> u64 {
        let latencies = Latencies::new(clusters, signals, &FleetDefaults::default());
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
    fn clusters_without_a_region_are_far_from_all() {
        let clusters = ["a", "b"].map(|name| Cluster::new(name, ClusterSpec::default()));
        assert_eq!(between(&[&clusters[0], &clusters[1]], &Current::default(), 0, 1), 40);
    }
}
