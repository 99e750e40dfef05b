//! What binds two components of an application to each other: on one cluster together, or apart by a label of clusters.

use std::collections::BTreeMap;

use qonnect_schema::documents::placement::{Filter, Refusal};
use qonnect_schema::{Cluster, layout};

use super::labels;
use super::member::Member;
use super::problem::Problem;

/// One end of what binds two components.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bond {
    /// The component at the other end.
    pub(super) other: usize,
    pub(super) kind: Kind,
    /// This end asks for it, so that this end moves if it is broken.
    pub(super) asks: bool,
    /// Both are parts of one component, with the same objects.
    pub(super) part: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Together,
    /// By which of the topologies.
    Apart(usize),
}

/// Which clusters have the same value of a label. Those without it share one value.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    by: String,
    values: BTreeMap<Option<String>, u32>,
    /// By cluster.
    zone: Vec<u32>,
}

impl Topology {
    pub(super) fn new(by: &str, members: &[Member]) -> Self {
        let mut topology = Self { by: by.to_owned(), values: BTreeMap::new(), zone: vec![0; members.len()] };
        for (at, member) in members.iter().enumerate() {
            topology.observe(at, &member.cluster);
        }
        topology
    }

    /// A cluster has other labels.
    pub(super) fn observe(&mut self, at: usize, cluster: &Cluster) {
        let value = labels::place(cluster, &self.by).map(str::to_owned);
        let next = self.values.len() as u32;
        self.zone[at] = *self.values.entry(value).or_insert(next);
    }

    pub(super) fn is_by(&self, by: &str) -> bool {
        self.by == by
    }

    fn same(&self, a: usize, b: usize) -> bool {
        self.zone[a] == self.zone[b]
    }
}

impl Bond {
    /// Whether the two components may be on these clusters.
    pub(super) fn admits(&self, problem: &Problem, here: usize, there: usize) -> bool {
        match self.kind {
            Kind::Together => here == there,
            Kind::Apart(topology) => !problem.topologies[topology].same(here, there),
        }
    }

    /// Why this cluster is not possible while the other component is there.
    pub(super) fn refusal(&self, problem: &Problem, here: usize, there: usize) -> Refusal {
        let (other, cluster) = (&problem.component(self.other).name, &problem.members[there].name);
        match self.kind {
            Kind::Together => Refusal {
                filter: Filter::Colocation,
                message: format!("must be on one cluster with {other}, which is on {cluster}"),
            },
            Kind::Apart(topology) => {
                let by = &problem.topologies[topology].by;
                let message = match labels::place(&problem.members[here].cluster, by) {
                    _ if here == there => format!("must be apart from {other}, which is here"),
                    Some(value) => {
                        format!("must be apart from {other} by {by}, which is {value} here and on {cluster}")
                    }
                    None => format!(
                        "must be apart from {other} by {by}, which neither this cluster nor {cluster} has"
                    ),
                };
                Refusal { filter: Filter::Separation, message }
            }
        }
    }
}

impl Problem {
    /// Enters what binds a component to others of its application, at both ends.
    pub(super) fn bind(&mut self, item: usize, named: impl Fn(&Self, &str) -> Option<usize>) {
        let component = self.component(item);
        let (colocate, separate) = (component.colocate.clone(), component.separate.clone());
        let together = colocate.into_iter().map(|name| (name, Kind::Together));
        let mut bonds: Vec<(String, Kind)> = together.collect();
        for separation in separate {
            let topology = self.topology(&separation.by);
            bonds.push((separation.from, Kind::Apart(topology)));
        }
        for (name, kind) in bonds {
            if let Some(other) = named(self, &name).filter(|other| *other != item) {
                let whole = |item: usize| layout::whole(&self.component(item).name);
                let part = whole(item) == whole(other);
                self.items[item].bonds.push(Bond { other, kind, asks: true, part });
                self.items[other].bonds.push(Bond { other: item, kind, asks: false, part });
            }
        }
    }

    /// Whether it may not go there now, whatever else is placed: it did not become Ready there lately, or another part
    /// of the same component sits there.
    pub(super) fn barred(&self, item: usize, member: usize) -> bool {
        self.items[item].gave_up.is_some_and(|(cluster, _)| cluster == member)
            || self.taken(item, member).is_some()
    }

    /// The other part of the same component that sits there.
    pub(super) fn taken(&self, item: usize, member: usize) -> Option<usize> {
        let mut parts = self.items[item].bonds.iter().filter(|bond| bond.part).map(|bond| bond.other);
        parts.find(|other| self.sits_on(*other, member))
    }

    fn topology(&mut self, by: &str) -> usize {
        if let Some(known) = self.topologies.iter().position(|topology| topology.is_by(by)) {
            return known;
        }
        self.topologies.push(Topology::new(by, &self.members));
        self.topologies.len() - 1
    }

    /// A component and all that must be on one cluster with it, in the order of their positions.
    pub(super) fn group(&self, item: usize) -> Vec<usize> {
        let mut group = vec![item];
        let mut next = 0;
        while let Some(at) = group.get(next).copied() {
            for bond in self.items[at].bonds.iter().filter(|bond| bond.kind == Kind::Together) {
                if !group.contains(&bond.other) {
                    group.push(bond.other);
                }
            }
            next += 1;
        }
        group.sort_unstable();
        group
    }
}
