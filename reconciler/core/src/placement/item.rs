//! A component as planning sees it: what it asks for, where it runs, and whom it has to do with.

use jiff::Timestamp;

use super::bond::Bond;
use super::communication::Flow;
use super::extended::Extended;
use super::limit::Used;
use super::member::{Amounts, RESOURCES};
use super::pack::Parcel;
use super::requests::{PodCount, PodGroup};

/// A component.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) app: usize,
    /// Its position in the application's document.
    pub(super) component: usize,
    pub(super) pods: Vec<(PodCount, Amounts)>,
    /// The same pods, in the order of packing.
    pub(super) parcels: Vec<Parcel>,
    /// Their sum; daemons, of which every node takes one, counted by themselves.
    pub(super) total: Amounts,
    pub(super) per_node: Amounts,
    /// Of each resource, the most that one pod asks.
    pub(super) largest: Amounts,
    /// Where it runs, or is on its way to.
    pub(super) home: Option<usize>,
    /// It runs on a cluster that the revision does not know.
    pub(super) stray: Option<String>,
    /// Where its old copy still sits while it moves.
    pub(super) leaving: Option<usize>,
    /// Where it did not become Ready lately, and until when it is not tried again.
    pub(super) gave_up: Option<(usize, Timestamp)>,
    /// Its dependencies, and the components that depend on it.
    pub(super) calls: Vec<Call>,
    pub(super) bonds: Vec<Bond>,
    /// What clusters it can choose from, and what it adds there.
    pub(super) menu: usize,
    /// What it adds where it runs, if it may stay.
    pub(super) at_home: Option<i64>,
    /// It runs on a silent cluster, which it must not leave.
    pub(super) pinned: bool,
    /// What it adds to be elsewhere than where it runs.
    pub(super) moving: i64,
    /// What it uses at the least, where its application has a limit.
    pub(super) least: Used,
}

/// One end of a dependency.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// The component at the other end.
    pub(super) other: usize,
    /// The longest round trip, in microseconds.
    pub(super) limit: Option<u64>,
    /// This end is the caller.
    pub(super) outgoing: bool,
    pub(super) flow: Flow,
}

impl Item {
    pub(super) fn new(
        at: usize,
        app: usize,
        component: usize,
        groups: &[PodGroup],
        extended: &Extended,
    ) -> Self {
        let pods: Vec<_> = groups.iter().map(|group| (group.count, extended.asked(&group.pod))).collect();
        let (mut total, mut per_node) = ([0u64; RESOURCES], [0u64; RESOURCES]);
        let mut largest = [0u64; RESOURCES];
        let mut parcels = Vec::with_capacity(pods.len());
        for (count, pod) in &pods {
            let (sum, count) = match *count {
                PodCount::Replicas(count) => (&mut total, Some(count)),
                PodCount::PerNode => (&mut per_node, None),
            };
            for i in 0..RESOURCES {
                sum[i] = sum[i].saturating_add(pod[i].saturating_mul(u64::from(count.unwrap_or(1))));
            }
            (0..RESOURCES).for_each(|i| largest[i] = largest[i].max(pod[i]));
            parcels.push(Parcel::new(at, count, *pod));
        }
        parcels.sort_unstable();
        Self {
            app,
            component,
            pods,
            parcels,
            total,
            per_node,
            largest,
            home: None,
            stray: None,
            leaving: None,
            gave_up: None,
            calls: Vec::new(),
            bonds: Vec::new(),
            menu: 0,
            at_home: None,
            pinned: false,
            moving: 0,
            least: Used::default(),
        }
    }
}
