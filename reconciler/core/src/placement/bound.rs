//! How good a plan is: what it adds up to, and what no plan can be below.
//!
//! The bound is a relaxation. Each component chooses alone; what a dependency adds is handed to both its ends in
//! shares that never exceed it (max-product linear programming), and clusters ask a price for room that too many
//! want (Lagrange multipliers on the sum of what is free, by subgradient). Whatever shares and prices are, the sum
//! of the single best choices less the worth of the room is below every plan that places the same components. Rounds
//! are counted, so that a large fleet gets a bound that is cheap and less tight.

use super::member::RESOURCES;
use super::problem::Problem;
use super::state::State;

/// How many rounds tighten it, at the most.
const ROUNDS_MAX: usize = 400;

/// How many steps all rounds may take together.
const STEPS_MAX: usize = 60_000_000;

/// The value of a plan and the bound of all plans, in millionths, over the components that have a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quality {
    pub value: i64,
    pub bound: i64,
}

impl Quality {
    /// By how many per cent the plan may at most be above the best.
    pub fn gap_pct(&self) -> f64 {
        match self.value {
            0 => 0.0,
            value => (value - self.bound.min(value)) as f64 / value as f64 * 100.0,
        }
    }
}

/// A component with what it can choose.
struct Chooser {
    members: Vec<u32>,
    /// What the component itself adds, and with it the shares of its dependencies.
    values: Vec<f64>,
    /// What it asks of each resource, where it does not sit already.
    asks: [f64; RESOURCES],
    sits: Vec<u32>,
}

/// A dependency between two choosers, with the share of each end by its choice.
struct Edge {
    ends: [usize; 2],
    shares: [Vec<f64>; 2],
    item: usize,
    limit: Option<u64>,
}

pub(super) fn quality(state: &State<'_>) -> Quality {
    let problem = state.problem;
    let items: Vec<usize> = problem.live().filter(|item| state.place(*item).is_some()).collect();
    let mut position = vec![usize::MAX; problem.items.len()];
    for (at, item) in items.iter().enumerate() {
        position[*item] = at;
    }
    let mut value = 0i64;
    for &item in &items {
        let member = state.place(item).expect("it has a place");
        value += own(state, item, member);
        for call in problem.items[item].calls.iter().filter(|call| call.outgoing) {
            if let Some(there) = state.place(call.other) {
                value += problem.scales(item).communication(problem.latencies.between(member, there));
            }
        }
    }
    let mut choosers: Vec<Chooser> = items.iter().map(|item| chooser(state, *item)).collect();
    let mut edges = Vec::new();
    for &item in &items {
        for call in problem.items[item].calls.iter().filter(|call| call.outgoing) {
            if position[call.other] == usize::MAX {
                continue;
            }
            let ends = [position[item], position[call.other]];
            let shares = ends.map(|end| vec![0.0; choosers[end].members.len()]);
            edges.push(Edge { ends, shares, item, limit: call.limit });
        }
    }
    let bound = tighten(problem, state, &mut choosers, &mut edges, value as f64);
    Quality { value, bound: (bound.floor() as i64).clamp(0, value) }
}

/// What it adds there; where no filter lets it be any more, it stays for want of another.
fn own(state: &State<'_>, item: usize, member: usize) -> i64 {
    let values = || state.problem.scales(item).own(&state.problem.raw(item, member));
    state.own(item, member).unwrap_or_else(values)
}

fn chooser(state: &State<'_>, item: usize) -> Chooser {
    let problem = state.problem;
    let facts = &problem.items[item];
    let field = super::state::Field::default();
    let mut choices = state.candidates(item, &field, i64::MAX, false);
    let here = state.place(item).expect("it has a place");
    if choices.iter().all(|(_, member)| *member as usize != here) {
        choices.push((own(state, item, here), here as u32));
    }
    choices.sort_unstable_by_key(|(_, member)| *member);
    Chooser {
        members: choices.iter().map(|(_, member)| *member).collect(),
        values: choices.iter().map(|(value, _)| *value as f64).collect(),
        asks: facts.total.map(|amount| amount as f64),
        sits: super::loads::sits(facts).map(|member| member as u32).collect(),
    }
}

fn tighten(
    problem: &Problem,
    state: &State<'_>,
    choosers: &mut [Chooser],
    edges: &mut [Edge],
    value: f64,
) -> f64 {
    let count = problem.members.len();
    let room: Vec<[f64; RESOURCES]> =
        (0..count).map(|member| state.solution.loads.room(problem, member)).collect();
    let choices: usize = choosers.iter().map(|chooser| chooser.members.len()).sum();
    let size = |end: usize| choosers[end].members.len();
    let pairs: usize = edges.iter().map(|edge| size(edge.ends[0]) * size(edge.ends[1])).sum();
    let sweeps = STEPS_MAX / 2 / pairs.max(1);
    let rounds = (STEPS_MAX / 2 / choices.max(1)).clamp(1, ROUNDS_MAX);
    let mut prices = vec![[0.0f64; RESOURCES]; count];
    let (mut best, mut pace, mut idle) = (0.0f64, 1.0f64, 0);
    for round in 0..rounds {
        if round < sweeps {
            edges.iter_mut().for_each(|edge| hand_over(problem, choosers, edge, &prices, &room));
        }
        let mut excess: Vec<[f64; RESOURCES]> = vec![[-1.0; RESOURCES]; count];
        let mut sum = 0.0;
        for chooser in choosers.iter() {
            let (least, at) = chooser.best(&prices, &room);
            sum += least;
            chooser.asked(at, &room).into_iter().enumerate().for_each(|(i, part)| {
                excess[chooser.members[at] as usize][i] += part;
            });
        }
        sum -= prices.iter().flatten().sum::<f64>();
        idle = if sum > best { 0 } else { idle + 1 };
        best = best.max(sum);
        if idle > 8 {
            (pace, idle) = (pace * 0.7, 0);
        }
        let violated = |price: f64, excess: f64| price > 0.0 || excess > 0.0;
        let mut norm = 0.0;
        for (prices, excess) in prices.iter().zip(&excess) {
            norm += (0..RESOURCES)
                .filter(|i| violated(prices[*i], excess[*i]))
                .map(|i| excess[i].powi(2))
                .sum::<f64>();
        }
        if best >= value || (norm == 0.0 && round >= sweeps) {
            break;
        }
        if norm > 0.0 {
            let step = pace * (value * 1.0005 - sum).max(1.0) / norm;
            for (prices, excess) in prices.iter_mut().zip(&excess) {
                (0..RESOURCES).for_each(|i| prices[i] = (prices[i] + step * excess[i]).max(0.0));
            }
        }
    }
    // Sums of numbers with fractions are off by less than this.
    best - 1.0 - best * 1e-9
}

impl Chooser {
    /// What a choice asks of each resource, as a share of the room that is there.
    fn asked(&self, at: usize, room: &[[f64; RESOURCES]]) -> [f64; RESOURCES] {
        match self.sits.contains(&self.members[at]) {
            true => [0.0; RESOURCES],
            false => {
                let room = &room[self.members[at] as usize];
                std::array::from_fn(
                    |i| if self.asks[i] == 0.0 { 0.0 } else { self.asks[i] / room[i].max(1.0) },
                )
            }
        }
    }

    fn value(&self, at: usize, prices: &[[f64; RESOURCES]], room: &[[f64; RESOURCES]]) -> f64 {
        let prices = &prices[self.members[at] as usize];
        if prices.iter().all(|price| *price == 0.0) {
            return self.values[at];
        }
        let asked = self.asked(at, room);
        self.values[at] + (0..RESOURCES).map(|i| prices[i] * asked[i]).sum::<f64>()
    }

    fn best(&self, prices: &[[f64; RESOURCES]], room: &[[f64; RESOURCES]]) -> (f64, usize) {
        let mut best = (f64::INFINITY, 0);
        for at in 0..self.members.len() {
            let value = self.value(at, prices, room);
            if value < best.0 {
                best = (value, at);
            }
        }
        best
    }
}

/// Hands what a dependency adds anew to its ends, so that both know more of what the other could do.
fn hand_over(
    problem: &Problem,
    choosers: &mut [Chooser],
    edge: &mut Edge,
    prices: &[[f64; RESOURCES]],
    room: &[[f64; RESOURCES]],
) {
    let scales = problem.scales(edge.item);
    let alone = [0, 1].map(|end| {
        let chooser = &choosers[edge.ends[end]];
        let value = |at: usize| chooser.value(at, prices, room) - edge.shares[end][at];
        (0..chooser.members.len()).map(value).collect::<Vec<f64>>()
    });
    // Beyond a limit nothing goes; a number that no sum reaches says so.
    const NEVER: f64 = 1e15;
    let [ours, theirs] = [0, 1].map(|end| &choosers[edge.ends[end]].members);
    let mut least = [vec![NEVER; ours.len()], vec![NEVER; theirs.len()]];
    for (a, here) in ours.iter().enumerate() {
        for (b, there) in theirs.iter().enumerate() {
            let trip = problem.latencies.between(*here as usize, *there as usize);
            if edge.limit.is_some_and(|limit| trip > limit) {
                continue;
            }
            let adds = scales.communication(trip) as f64;
            least[0][a] = least[0][a].min(adds + alone[1][b]);
            least[1][b] = least[1][b].min(adds + alone[0][a]);
        }
    }
    for end in [0, 1] {
        let chooser = &mut choosers[edge.ends[end]];
        for at in 0..chooser.members.len() {
            let share = (least[end][at] - alone[end][at]) / 2.0;
            chooser.values[at] += share - edge.shares[end][at];
            edge.shares[end][at] = share;
        }
    }
}
