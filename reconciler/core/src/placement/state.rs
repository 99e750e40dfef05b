//! What is placed where while a plan is made, and what still fits.

use qonnect_schema::documents::placement::{Filter, Refusal};

use super::member::Amounts;
use super::options::{self, Options};
use super::pack::{Misfit, Parcel, pack};
use super::problem::{Problem, micro};

/// What sits on each cluster.
///
/// What runs keeps its room until it is gone, also where the plan moves it away: a move is make-before-break,
/// so the old copy is still there when the new one starts.
#[derive(Debug)]
pub(super) struct Loads<'p, 'a> {
    problem: &'p Problem<'a>,
    of: Vec<Load>,
    /// Kept between calls, so that trying allocates nothing.
    scratch: Vec<Amounts>,
}

#[derive(Debug, Default)]
struct Load {
    /// By rank.
    parcels: Vec<Parcel>,
    /// What they leave on each node.
    free: Vec<Amounts>,
    /// The sum of it.
    slack: Amounts,
    /// Components that run here and find no room; while there are some, nothing new comes.
    squeezed: Vec<usize>,
}

impl<'p, 'a> Loads<'p, 'a> {
    pub(super) fn new(problem: &'p Problem<'a>) -> Self {
        let mut of: Vec<Load> = problem.members.iter().map(|_| Load::default()).collect();
        for item in &problem.items {
            let old_copy = item.leaving.filter(|leaving| item.home != Some(*leaving));
            for member in item.home.into_iter().chain(old_copy) {
                of[member].parcels.extend(&item.parcels);
            }
        }
        for (load, member) in of.iter_mut().zip(&problem.members) {
            load.parcels.sort_unstable_by_key(|parcel| parcel.rank);
            load.free = member.nodes.iter().map(|node| node.free).collect();
            let squeezed = &mut load.squeezed;
            pack(&mut load.free, load.parcels.iter(), |misfit| {
                squeezed.push(misfit.item);
                true
            });
            load.slack = sum(&load.free);
        }
        Self { problem, of, scratch: Vec::new() }
    }

    /// Whether the component finds room beside everything that sits there.
    pub(super) fn fits(&mut self, item: usize, member: usize) -> bool {
        if self.problem.sits_on(item, member) {
            return self.stays(item, member);
        }
        let parcels = &self.problem.items[item].parcels;
        let load = &self.of[member];
        if parcels.is_empty() {
            return true;
        }
        if !load.squeezed.is_empty()
            || load.free.is_empty()
            || !within(&total(parcels, load.free.len()), &load.slack)
        {
            return false;
        }
        self.scratch.clear();
        let mut fits = true;
        let stop = |_: Misfit| {
            fits = false;
            false
        };
        if load.parcels.last().is_none_or(|last| last.rank < parcels[0].rank) {
            // What comes last in the order of packing needs to be tried only on what is left.
            self.scratch.extend(&load.free);
            pack(&mut self.scratch, parcels.iter(), stop);
        } else {
            self.scratch.extend(self.problem.members[member].nodes.iter().map(|node| node.free));
            pack(&mut self.scratch, merged(&load.parcels, parcels), stop);
        }
        fits
    }

    /// Whether what runs can stay. A component that its cluster reports Ready fits, whatever packing makes of
    /// it, unless one of its pods is larger than what any node there could give.
    fn stays(&self, item: usize, member: usize) -> bool {
        if !self.of[member].squeezed.contains(&item) {
            return true;
        }
        let nodes = &self.problem.members[member].nodes;
        let alone = |parcel: &Parcel| nodes.iter().any(|node| within(&parcel.pod, &node.free));
        self.problem.is_ready(item, member) && self.problem.items[item].parcels.iter().all(alone)
    }

    pub(super) fn add(&mut self, item: usize, member: usize) {
        if !self.problem.sits_on(item, member) {
            let parcels = &self.problem.items[item].parcels;
            self.of[member].parcels = merged(&self.of[member].parcels, parcels).copied().collect();
            self.repack(member);
        }
    }

    pub(super) fn remove(&mut self, item: usize, member: usize) {
        if !self.problem.sits_on(item, member) {
            self.of[member].parcels.retain(|parcel| parcel.item != item);
            self.repack(member);
        }
    }

    fn repack(&mut self, member: usize) {
        let load = &mut self.of[member];
        load.free.clear();
        load.free.extend(self.problem.members[member].nodes.iter().map(|node| node.free));
        pack(&mut load.free, load.parcels.iter(), |_| true);
        load.slack = sum(&load.free);
    }

    /// Why the component does not fit, and by how much.
    pub(super) fn refusal(&self, item: usize, member: usize) -> Refusal {
        let refusal = |message| Refusal { filter: Filter::Capacity, message };
        let facts = &self.problem.members[member];
        if facts.nodes.is_empty() {
            return refusal(match facts.unusable.as_slice() {
                [] => "has no nodes".into(),
                [(node, reason), rest @ ..] => match rest.len() {
                    0 => format!("{node} {reason}"),
                    more => format!("no node takes pods: {node} {reason}, and {more} more"),
                },
            });
        }
        let mut free = self.of[member].free.clone();
        if self.problem.sits_on(item, member) {
            free = facts.nodes.iter().map(|node| node.free).collect();
            let others = self.of[member].parcels.iter().filter(|parcel| parcel.item != item);
            pack(&mut free, others, |_| true);
        }
        let mut found = None;
        pack(&mut free, self.problem.items[item].parcels.iter(), |misfit| {
            found = Some(misfit);
            false
        });
        refusal(match found {
            Some(misfit) => misfit.message(&facts.nodes, &free),
            None if !self.of[member].squeezed.is_empty() => {
                "what runs here needs more than its nodes have".into()
            }
            None => "its pods would fit only if others moved to other nodes".into(),
        })
    }
}

fn merged<'x>(a: &'x [Parcel], b: &'x [Parcel]) -> impl Iterator<Item = &'x Parcel> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if y.rank < x.rank => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}

fn total(parcels: &[Parcel], nodes: usize) -> Amounts {
    let count = |parcel: &Parcel| parcel.count.map_or(nodes as u64, u64::from);
    let add =
        |sum: u64, parcel: &Parcel, i: usize| sum.saturating_add(parcel.pod[i].saturating_mul(count(parcel)));
    std::array::from_fn(|i| parcels.iter().fold(0, |sum, parcel| add(sum, parcel, i)))
}

fn sum(free: &[Amounts]) -> Amounts {
    std::array::from_fn(|i| free.iter().fold(0u64, |sum, node| sum.saturating_add(node[i])))
}

fn within(wanted: &Amounts, free: &Amounts) -> bool {
    (0..4).all(|i| wanted[i] <= free[i])
}

/// A plan under way.
#[derive(Debug)]
pub(super) struct State<'p, 'a> {
    pub(super) problem: &'p Problem<'a>,
    pub(super) options: &'p Options,
    pub(super) loads: Loads<'p, 'a>,
    place: Vec<Option<usize>>,
    /// By application: what it costs, what is not yet placed taken at its least.
    spent: Vec<i64>,
}

/// A neighbour beyond the limit of a dependency; round trip and limit in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Far {
    pub(super) other: usize,
    pub(super) there: usize,
    round_trip: u64,
    limit: u64,
}

impl Far {
    fn refusal(&self, problem: &Problem<'_>) -> Refusal {
        let (component, cluster) =
            (&problem.items[self.other].component.name, problem.members[self.there].name);
        let [round_trip, limit] = [self.round_trip, self.limit].map(|us| us as f64 / 1000.0);
        let message = format!("{round_trip}ms to {component} on {cluster}, at most {limit}ms are allowed");
        Refusal { filter: Filter::Latency, message }
    }
}

impl<'p, 'a> State<'p, 'a> {
    pub(super) fn new(problem: &'p Problem<'a>, options: &'p Options, loads: Loads<'p, 'a>) -> Self {
        let least = |items: std::ops::Range<usize>| items.map(|item| options.least[item]).sum();
        let spent = problem.applications.iter().map(|app| least(app.items.clone())).collect();
        Self { problem, options, loads, place: vec![None; problem.items.len()], spent }
    }

    pub(super) fn place(&self, item: usize) -> Option<usize> {
        self.place[item]
    }

    /// Puts a component on a cluster, or takes it from where it is.
    pub(super) fn put(&mut self, item: usize, to: Option<usize>) {
        self.spent[self.problem.items[item].app] += self.cost(item, to) - self.cost(item, self.place[item]);
        if let Some(from) = self.place[item] {
            self.loads.remove(item, from);
        }
        if let Some(to) = to {
            self.loads.add(item, to);
        }
        self.place[item] = to;
    }

    /// What it costs there; its least, if nowhere.
    fn cost(&self, item: usize, at: Option<usize>) -> i64 {
        let Some(member) = at else { return self.options.least[item] };
        match self.options.at(item, member) {
            Some(choice) => choice.cost,
            None => micro(self.problem.raw(item, member).cost),
        }
    }

    /// What the component adds to the objective function on that cluster, with its neighbours where they are.
    pub(super) fn score(&self, item: usize, member: usize, own: i64) -> i64 {
        let scales = &self.problem.app(item).scales;
        let trip =
            |other: usize| self.place[other].map(|there| self.problem.latencies.between(member, there));
        let trips = self.problem.items[item].calls.iter().filter_map(|call| trip(call.other));
        own + trips.map(|trip| scales.communication(trip)).sum::<i64>()
    }

    /// Whether a possible cluster can take the component now, all else staying where it is.
    pub(super) fn can(&mut self, item: usize, member: usize) -> bool {
        self.too_far(item, member).is_none()
            && self.within_limit(item, member)
            && self.loads.fits(item, member)
    }

    /// The first neighbour that would be too far away.
    pub(super) fn too_far(&self, item: usize, member: usize) -> Option<Far> {
        self.problem.items[item].calls.iter().find_map(|call| {
            let (limit, there) = (call.limit?, self.place[call.other]?);
            let round_trip = self.problem.latencies.between(member, there);
            (round_trip > limit).then_some(Far { other: call.other, there, round_trip, limit })
        })
    }

    /// A limit that is broken already must not be broken further.
    fn within_limit(&self, item: usize, member: usize) -> bool {
        let app = self.problem.items[item].app;
        let Some(limit) = self.problem.applications[app].limit else { return true };
        let before = self.spent[app];
        let after = before + self.cost(item, Some(member)) - self.cost(item, self.place[item]);
        after <= limit || (self.place[item].is_some() && after < before)
    }

    pub(super) fn over_limit(&self, app: usize) -> bool {
        self.problem.applications[app].limit.is_some_and(|limit| self.spent[app] > limit)
    }

    /// Why a cluster that no filter refuses by itself cannot take the component now.
    pub(super) fn refusal(&mut self, item: usize, member: usize) -> Option<Refusal> {
        if self.place[item] == Some(member) && self.options.at(item, member).is_some() {
            return None;
        }
        if !self.loads.fits(item, member) {
            return Some(self.loads.refusal(item, member));
        }
        if let Some(far) = self.too_far(item, member) {
            return Some(far.refusal(self.problem));
        }
        let cost = self.cost(item, Some(member));
        if let Some(refusal) = self.options.too_dear(self.problem, item, cost) {
            return Some(refusal);
        }
        if self.place[item] == Some(member) || self.within_limit(item, member) {
            return None;
        }
        let rest = self.spent[self.problem.items[item].app] - self.cost(item, self.place[item]);
        self.problem.app(item).limit.map(|limit| options::dear(cost, rest, limit))
    }
}
