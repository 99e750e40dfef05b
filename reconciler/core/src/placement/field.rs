//! What the dependencies of a component add wherever it goes, worked out once for all clusters.

use super::bond::Bond;
use super::communication::Flow;
use super::objective::Scales;
use super::problem::Problem;
use super::state::{FAR, State};

/// What the dependencies of a component add, by the cluster it would be on.
#[derive(Debug, Default)]
pub(super) struct Field {
    /// By site; empty if it has no neighbour with a place.
    by_site: Vec<i64>,
    /// GB per hour that leave it for each neighbour, and what they add is by the cluster that it is on.
    leaving: Vec<f64>,
    scales: Scales,
    /// On the clusters of its neighbours, where one round trip is zero.
    near: Vec<(usize, i64)>,
    /// What binds it to others, and where those are.
    bonds: Vec<(Bond, usize)>,
}

impl Field {
    pub(super) fn at(&self, problem: &Problem, member: usize) -> i64 {
        if self.bars(problem, member) {
            return FAR;
        }
        match self.near.iter().find(|(near, _)| *near == member) {
            Some((_, value)) => *value,
            None => self.away(problem, member),
        }
    }

    /// What the dependencies add on a cluster that none of the neighbours is on.
    #[inline]
    pub(super) fn away(&self, problem: &Problem, member: usize) -> i64 {
        let apart = match self.by_site.as_slice() {
            [] => 0,
            by_site => by_site[problem.latencies.site(member)],
        };
        match self.leaving.is_empty() {
            true => apart,
            false => apart.saturating_add(self.leaves(problem, member)),
        }
    }

    /// What is sent from there adds.
    fn leaves(&self, problem: &Problem, member: usize) -> i64 {
        let egress = &problem.members[member].egress;
        self.leaving.iter().map(|gigabytes| self.scales.traffic(&egress.of(*gigabytes))).sum()
    }

    /// The clusters of neighbours.
    pub(super) fn near(&self) -> impl Iterator<Item = usize> + '_ {
        self.near.iter().map(|(member, _)| *member)
    }

    /// The same at the least.
    pub(super) fn least_away(&self) -> i64 {
        self.by_site.iter().copied().min().unwrap_or(0)
    }

    /// What the dependencies add at the least, wherever it goes.
    pub(super) fn least(&self) -> i64 {
        let near = self.near.iter().map(|(_, value)| *value);
        self.by_site.iter().copied().chain(near).min().unwrap_or(0)
    }

    pub(super) fn bars(&self, problem: &Problem, member: usize) -> bool {
        self.bonds.iter().any(|(bond, there)| !bond.admits(problem, member, *there))
    }
}

impl State<'_> {
    /// What its dependencies add, wherever it goes; beyond all measure where a limit would break.
    pub(super) fn field(&self, item: usize, without: Option<usize>, limits: bool) -> Field {
        let problem = self.problem;
        let scales = *problem.scales(item);
        let mut field = Field { scales, ..Field::default() };
        for call in &problem.items[item].calls {
            let Some(there) = self.place(call.other).filter(|_| Some(call.other) != without) else {
                continue;
            };
            field.by_site.resize(problem.latencies.sites(), 0);
            let Flow { weight, sends, receives } = call.flow;
            let arrives = scales.traffic(&problem.members[there].egress.of(receives));
            for (sum, trip) in field.by_site.iter_mut().zip(problem.latencies.from(there)) {
                let far = limits && call.limit.is_some_and(|limit| *trip > limit);
                let trip = || scales.communication(weight * (*trip as f64 / 1000.0)) + arrives;
                *sum = sum.saturating_add(if far { FAR } else { trip() });
            }
            if sends > 0.0 {
                field.leaving.push(sends);
            }
            if field.near.iter().all(|(near, _)| *near != there) {
                field.near.push((there, self.communication(item, there, without, limits)));
            }
        }
        if limits {
            let bonds = problem.items[item].bonds.iter().filter(|bond| Some(bond.other) != without);
            field.bonds = bonds.filter_map(|bond| Some((*bond, self.place(bond.other)?))).collect();
        }
        field
    }
}
