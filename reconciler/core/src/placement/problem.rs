//! What is to be decided, with positions instead of names: clusters and components in the order of their names.

use std::ops::Range;

use qonnect_schema::SnapshotSpec;
use qonnect_schema::documents::application::{Component, Strategy};
use qonnect_schema::documents::snapshot::Health;
use qonnect_schema::revision::{ApplicationSource, Revision};

use super::latency::Latencies;
use super::member::{Amounts, Member, amounts};
use super::objective::{self, Raw, Scales};
use super::pack::{self, Parcel};
use super::requests::{PodCount, PodGroup, requests};
use super::signals::Current;

#[derive(Debug)]
pub(super) struct Problem<'a> {
    pub(super) members: Vec<Member<'a>>,
    pub(super) latencies: Latencies,
    pub(super) applications: Vec<App<'a>>,
    /// The components of all applications.
    pub(super) items: Vec<Item<'a>>,
}

#[derive(Debug)]
pub(super) struct App<'a> {
    pub(super) name: &'a str,
    pub(super) source: &'a ApplicationSource,
    pub(super) scales: Scales,
    /// Its components among the items.
    pub(super) items: Range<usize>,
    /// The most that it may cost, in millionths of the currency per hour.
    pub(super) limit: Option<i64>,
}

/// A component.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) app: usize,
    pub(super) component: &'a Component,
    pub(super) pods: Vec<(PodGroup, Amounts)>,
    /// The same pods, in the order of packing.
    pub(super) parcels: Vec<Parcel>,
    /// Where it runs, or is on its way to.
    pub(super) home: Option<usize>,
    /// It runs on a cluster that the revision does not know.
    pub(super) stray: Option<&'a str>,
    /// Where its old copy still sits while it moves.
    pub(super) leaving: Option<usize>,
    /// Its dependencies, and the components that depend on it.
    pub(super) calls: Vec<Call>,
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
}

impl<'a> Problem<'a> {
    pub(super) fn new(revision: &'a Revision, snapshot: &'a SnapshotSpec) -> Self {
        let signals = Current::at(snapshot.now, &revision.signals);
        let defaults = &revision.fleet.defaults;
        let clusters: Vec<_> = revision.clusters.values().collect();
        let member = |cluster| Member::new(cluster, &signals, defaults, snapshot);
        let mut problem = Self {
            members: clusters.iter().copied().map(member).collect(),
            latencies: Latencies::new(&clusters, &signals, defaults),
            applications: Vec::new(),
            items: Vec::new(),
        };
        for (name, source) in &revision.applications {
            problem.take(name, source, revision, snapshot);
        }
        problem.rank_parcels();
        problem
    }

    fn take(
        &mut self,
        name: &'a str,
        source: &'a ApplicationSource,
        revision: &Revision,
        snapshot: &'a SnapshotSpec,
    ) {
        let spec = &source.application.spec;
        let first = self.items.len();
        let mut pods = requests(source);
        let mut components: Vec<_> = spec.components.iter().collect();
        components.sort_by(|a, b| a.name.cmp(&b.name));
        let placed = snapshot.placements.get(name).map(|placement| &placement.spec.components);
        for component in components {
            let placed = placed.and_then(|components| components.get(&component.name));
            let cluster = placed.and_then(|placed| placed.cluster.as_deref());
            let home = cluster.and_then(|cluster| self.position(cluster));
            let pods = pods.remove(&component.name).unwrap_or_default();
            self.items.push(Item {
                app: self.applications.len(),
                component,
                pods: pods.into_iter().map(|group| (group, amounts(&group.pod))).collect(),
                parcels: Vec::new(),
                home,
                stray: cluster.filter(|_| home.is_none()),
                leaving: placed
                    .and_then(|placed| placed.moving.as_ref())
                    .and_then(|moving| self.position(&moving.from)),
                calls: Vec::new(),
            });
        }
        self.connect(first);
        self.applications.push(App {
            name,
            source,
            scales: Scales::new(&spec.objectives, &revision.fleet),
            items: first..self.items.len(),
            limit: spec.constraints.max_cost_per_hour.map(|money| micro(money.0)),
        });
    }

    /// Enters the dependencies of an application at both ends.
    fn connect(&mut self, first: usize) {
        for caller in first..self.items.len() {
            for dependency in &self.items[caller].component.depends_on {
                let named = |item: &Item<'_>| item.component.name == dependency.component;
                let Some(callee) = self.items[first..].iter().position(named).map(|at| first + at) else {
                    continue;
                };
                if callee == caller {
                    continue;
                }
                let limit = dependency.max_latency.map(|latency| latency.0);
                self.items[caller].calls.push(Call { other: callee, limit, outgoing: true });
                self.items[callee].calls.push(Call { other: caller, limit, outgoing: false });
            }
        }
    }

    fn rank_parcels(&mut self) {
        let parcel = |item: usize, group: &PodGroup, pod: Amounts| Parcel {
            rank: 0,
            item,
            count: match group.count {
                PodCount::Replicas(count) => Some(count),
                PodCount::PerNode => None,
            },
            pod,
        };
        let mut parcels: Vec<_> = self
            .items
            .iter()
            .enumerate()
            .flat_map(|(at, item)| item.pods.iter().map(move |(group, pod)| parcel(at, group, *pod)))
            .collect();
        pack::rank(&mut parcels);
        for parcel in parcels {
            self.items[parcel.item].parcels.push(parcel);
        }
    }

    pub(super) fn position(&self, cluster: &str) -> Option<usize> {
        self.members.binary_search_by(|member| member.name.cmp(cluster)).ok()
    }

    pub(super) fn app(&self, item: usize) -> &App<'a> {
        &self.applications[self.items[item].app]
    }

    pub(super) fn raw(&self, item: usize, member: usize) -> Raw {
        objective::raw(&self.items[item].pods, &self.members[member])
    }

    /// Whether a move is due if the component is placed there.
    pub(super) fn moves(&self, item: usize, member: usize) -> bool {
        let item = &self.items[item];
        item.stray.is_some() || item.home.is_some_and(|home| home != member)
    }

    /// The component's pods are there already, whatever is decided.
    pub(super) fn sits_on(&self, item: usize, member: usize) -> bool {
        let item = &self.items[item];
        item.home == Some(member) || item.leaving == Some(member)
    }

    /// Its cluster reports it Ready.
    pub(super) fn is_ready(&self, item: usize, member: usize) -> bool {
        let (app, component) = (self.app(item).name, &self.items[item].component.name);
        self.members[member].state.is_some_and(|state| {
            state.components.iter().any(|status| {
                status.health == Health::Ready && status.application == app && status.component == *component
            })
        })
    }
}

impl App<'_> {
    pub(super) fn strategy(&self) -> Strategy {
        self.source.application.spec.strategy
    }
}

/// Currency in millionths.
pub(super) fn micro(money: f64) -> i64 {
    (money * 1e6).clamp(0.0, 1e15).round() as i64
}
