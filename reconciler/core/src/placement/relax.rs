//! The relaxation behind bounds: each component chooses alone, and what a dependency adds is shared between its ends.

use super::communication::Flow;
use super::field::Field;
use super::item::Call;
use super::loads;
use super::member::RESOURCES;
use super::problem::Problem;
use super::state::State;

/// Beyond a limit nothing goes; a number that no sum reaches says so.
const NEVER: f64 = 1e15;

/// What clusters ask for their room, and how much of it they have; empty where room is free.
#[derive(Debug, Default)]
pub(super) struct Priced {
    pub(super) prices: Vec<[f64; RESOURCES]>,
    pub(super) room: Vec<[f64; RESOURCES]>,
}

/// A component with what it can choose.
#[derive(Debug)]
pub(super) struct Chooser {
    pub(super) members: Vec<u32>,
    /// What the component itself adds, and with it the shares of its dependencies.
    values: Vec<f64>,
    /// What it asks of each resource, where it does not sit already.
    asks: [f64; RESOURCES],
    sits: Vec<u32>,
}

/// A dependency between two choosers, with the share of each end by its choice.
#[derive(Debug)]
struct Edge {
    ends: [usize; 2],
    shares: [Vec<f64>; 2],
    item: usize,
    call: Call,
}

#[derive(Debug)]
pub(super) struct Relaxed {
    pub(super) choosers: Vec<Chooser>,
    edges: Vec<Edge>,
}

/// What placed components add to the objective function; a dependency between two of them counts once.
pub(super) fn value(state: &State<'_>, items: &[usize]) -> i64 {
    let problem = state.problem;
    let mut value = 0i64;
    for &item in items {
        let member = state.place(item).expect("it has a place");
        value += own(state, item, member);
        for call in problem.items[item].calls.iter().filter(|call| call.outgoing) {
            if let Some(there) = state.place(call.other) {
                value += problem.communication(item, call, member, there);
            }
        }
    }
    value
}

/// What it adds there; where no filter lets it be any more, it stays for want of another.
fn own(state: &State<'_>, item: usize, member: usize) -> i64 {
    let values = || state.problem.scales(item).own(&state.problem.raw(item, member));
    state.own(item, member).unwrap_or_else(values)
}

impl Relaxed {
    /// Of components that have a place.
    pub(super) fn new(state: &State<'_>, items: &[usize]) -> Self {
        let problem = state.problem;
        let choosers: Vec<Chooser> = items.iter().map(|item| Chooser::new(state, *item)).collect();
        let mut sorted: Vec<(usize, usize)> = items.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let position =
            |item: usize| Some(sorted[sorted.binary_search_by_key(&item, |(item, _)| *item).ok()?].1);
        let mut edges = Vec::new();
        for (at, &item) in items.iter().enumerate() {
            for call in problem.items[item].calls.iter().filter(|call| call.outgoing) {
                if let Some(other) = position(call.other) {
                    let ends = [at, other];
                    let shares = ends.map(|end| vec![0.0; choosers[end].members.len()]);
                    edges.push(Edge { ends, shares, item, call: *call });
                }
            }
        }
        Self { choosers, edges }
    }

    /// How many steps it takes to hand all over once.
    pub(super) fn steps(&self, problem: &Problem) -> usize {
        let size = |end: usize| self.choosers[end].members.len();
        let between = problem.latencies.sites().pow(2);
        let edge = |edge: &Edge| (size(edge.ends[0]) + size(edge.ends[1])) * 4 + between;
        self.edges.iter().map(edge).sum()
    }

    /// Hands what each dependency adds anew to its ends, so that both know more of what the other could do.
    pub(super) fn hand_over(&mut self, problem: &Problem, priced: &Priced) {
        let Self { choosers, edges } = self;
        for edge in edges {
            edge.hand_over(problem, choosers, priced);
        }
    }
}

impl Chooser {
    fn new(state: &State<'_>, item: usize) -> Self {
        let facts = &state.problem.items[item];
        let mut choices = state.candidates(item, &Field::default(), i64::MAX, false);
        let here = state.place(item).expect("it has a place");
        if choices.iter().all(|(_, member)| *member as usize != here) {
            choices.push((own(state, item, here), here as u32));
        }
        choices.sort_unstable_by_key(|(_, member)| *member);
        Self {
            members: choices.iter().map(|(_, member)| *member).collect(),
            values: choices.iter().map(|(value, _)| *value as f64).collect(),
            asks: facts.total.map(|amount| amount as f64),
            sits: loads::sits(facts).map(|member| member as u32).collect(),
        }
    }

    /// What a choice asks of each resource, as a share of the room that is there.
    pub(super) fn asked(&self, at: usize, priced: &Priced) -> [f64; RESOURCES] {
        match self.sits.contains(&self.members[at]) {
            true => [0.0; RESOURCES],
            false => {
                let room = &priced.room[self.members[at] as usize];
                std::array::from_fn(
                    |i| if self.asks[i] == 0.0 { 0.0 } else { self.asks[i] / room[i].max(1.0) },
                )
            }
        }
    }

    fn value(&self, at: usize, priced: &Priced) -> f64 {
        let Some(prices) = priced.prices.get(self.members[at] as usize) else { return self.values[at] };
        if prices.iter().all(|price| *price == 0.0) {
            return self.values[at];
        }
        let asked = self.asked(at, priced);
        self.values[at] + (0..RESOURCES).map(|i| prices[i] * asked[i]).sum::<f64>()
    }

    /// The least that it can add, and by which choice.
    pub(super) fn best(&self, priced: &Priced) -> (f64, usize) {
        let mut best = (f64::INFINITY, 0);
        for at in 0..self.members.len() {
            let value = self.value(at, priced);
            if value < best.0 {
                best = (value, at);
            }
        }
        best
    }
}

impl Edge {
    fn hand_over(&mut self, problem: &Problem, choosers: &mut [Chooser], priced: &Priced) {
        let alone = [0, 1].map(|end| {
            let chooser = &choosers[self.ends[end]];
            let value = |at: usize| chooser.value(at, priced) - self.shares[end][at];
            (0..chooser.members.len()).map(value).collect::<Vec<f64>>()
        });
        let members = [0, 1].map(|end| choosers[self.ends[end]].members.as_slice());
        let flows = [self.call.flow, self.call.flow.turned()];
        let least = [0, 1]
            .map(|end| self.least(problem, flows[end], members[end], (members[1 - end], &alone[1 - end])));
        for end in [0, 1] {
            let chooser = &mut choosers[self.ends[end]];
            for at in 0..chooser.members.len() {
                let share = (least[end][at] - alone[end][at]) / 2.0;
                chooser.values[at] += share - self.shares[end][at];
                self.shares[end][at] = share;
            }
        }
    }

    /// For each choice of one end, the least that the dependency and the other end add. Round trips are those between
    /// sites, except where both ends choose the same cluster.
    fn least(
        &self,
        problem: &Problem,
        flow: Flow,
        ours: &[u32],
        (theirs, alone): (&[u32], &[f64]),
    ) -> Vec<f64> {
        let (latencies, scales) = (&problem.latencies, problem.scales(self.item));
        let leaves = |gigabytes: f64, member: u32| match gigabytes {
            0.0 => 0.0,
            _ => scales.traffic(&problem.members[member as usize].egress.of(gigabytes)) as f64,
        };
        let takes = |trip: u64| scales.communication(flow.weight * (trip as f64 / 1000.0)) as f64;
        let mut there = vec![NEVER; latencies.sites()];
        for (member, value) in theirs.iter().zip(alone) {
            let slot = &mut there[latencies.site(*member as usize)];
            *slot = slot.min(*value + leaves(flow.receives, *member));
        }
        let mut toward: Vec<Option<f64>> = vec![None; latencies.sites()];
        let mut next = 0;
        let one = |member: &u32| {
            let site = latencies.site(*member as usize);
            let apart = *toward[site].get_or_insert_with(|| {
                let trips = latencies.from(*member as usize).iter().zip(&there);
                let possible = trips.filter(|(trip, _)| self.call.limit.is_none_or(|limit| **trip <= limit));
                possible.map(|(trip, value)| takes(*trip) + value).fold(NEVER, f64::min)
            });
            let apart = apart + leaves(flow.sends, *member);
            next += theirs[next..].iter().take_while(|other| *other < member).count();
            match theirs.get(next) == Some(member) {
                true => apart.min(alone[next]),
                false => apart,
            }
        };
        ours.iter().map(one).collect()
    }
}
