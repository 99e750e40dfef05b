//! `strategy: borda`, the scorer of the original QONNECT paper: nodes are ranked, and the ranks are summed.
//!
//! For each component, all nodes of the clusters that its filters admit are ranked on energy and price (less
//! is better) and on CPU, memory, bandwidth and storage (more is better); of n nodes the first gets n points,
//! the last one. Equal values share the mean of their points. *Capacity* is the sum of the last four.
//!
//! ```text
//! score of a node = energy × weight of energy + price × weight of cost + capacity × weight of performance
//! ```
//!
//! Weights that are all under 0.1 count as one each. Nodes whose score is the mean or more are kept; the
//! cluster with the largest sum of kept scores wins, then the one with the largest sum of all its scores,
//! then the first by name. Since the filters admit only the component's tiers, ranking is per tier where a
//! component names one.
//!
//! Ranks do not ask what else runs on a node: a cluster that is full for the moment keeps its rank and is
//! passed over, so that one component's arrival does not change the winner for another.

use std::borrow::Cow;
use std::cmp::Reverse;

use qonnect_schema::documents::application::Objectives;
use qonnect_schema::documents::placement::{Score, Term};

use super::problem::Problem;
use super::state::State;

/// Points are counted in halves, since two that are equal may share an odd sum.
const HALVES: i64 = 2;

/// Weights are counted in thousandths.
const WEIGHT_ONE: i64 = 1000;

/// The points of one cluster; scores in halves and thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Points {
    pub(super) member: usize,
    /// Over the nodes that are kept.
    kept: Sums,
    /// Over all nodes.
    all: i64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    energy: i64,
    cost: i64,
    capacity: i64,
    score: i64,
}

/// One node of a cluster that is ranked.
#[derive(Debug, Clone, Copy, Default)]
struct Ranked {
    member: usize,
    energy: i64,
    cost: i64,
    capacity: i64,
}

/// Places the given components one after another, each on the first cluster by rank that takes it now.
pub(super) fn solve(state: &mut State<'_>, items: &[usize]) {
    let problem = state.problem;
    items.iter().for_each(|item| state.put(*item, None));
    for runs in [true, false] {
        let mut order: Vec<usize> =
            items.iter().copied().filter(|item| problem.items[*item].home.is_some() == runs).collect();
        order.sort_by_key(|item| Reverse(problem.app(*item).priority()));
        for item in order {
            let ranked = self::order(state, item);
            let first =
                ranked.into_iter().map(|points| points.member).find(|member| state.can(item, *member));
            // Nothing is evicted without a target.
            state.put(item, first.or(problem.items[item].home));
        }
    }
}

/// The admitted clusters, the best first.
pub(super) fn order(state: &State<'_>, item: usize) -> Vec<Points> {
    let weights = Weights::of(&state.problem.app(item).source.application.spec.objectives);
    let nodes = ranked(state.problem, &admitted(state.problem, item));
    let score = |node: &Ranked| weights.score(node);
    let sum: i64 = nodes.iter().map(score).sum();
    let mut order: Vec<Points> = Vec::new();
    // Nodes come by cluster.
    for cluster in nodes.chunk_by(|a, b| a.member == b.member) {
        let mut points = Points { member: cluster[0].member, ..Default::default() };
        for node in cluster {
            points.all += score(node);
            if score(node) * nodes.len() as i64 >= sum {
                points.kept.energy += node.energy;
                points.kept.cost += node.cost;
                points.kept.capacity += node.capacity;
                points.kept.score += score(node);
            }
        }
        order.push(points);
    }
    // Stable: names break what is left.
    order.sort_by_key(|points| Reverse((points.kept.score, points.all)));
    order
}

/// What the filters from `Tier` to `Lease` admit.
pub(super) fn admitted(problem: &Problem, item: usize) -> Vec<usize> {
    let facts = &problem.items[item];
    let home = facts.home.filter(|_| facts.at_home.is_some());
    if facts.pinned {
        return home.into_iter().collect();
    }
    let newcomers = problem.menus.admitted(facts.menu).iter().map(|member| *member as usize);
    let newcomers = newcomers.filter(|member| !problem.barred(item, *member));
    let mut admitted: Vec<usize> =
        newcomers.filter(|member| facts.home != Some(*member)).chain(home).collect();
    admitted.sort_unstable();
    admitted
}

struct Weights {
    energy: i64,
    cost: i64,
    performance: i64,
}

impl Weights {
    fn of(objectives: &Objectives) -> Self {
        let Objectives { energy, cost, performance, .. } = *objectives;
        let thousandths = |weight: f64| (weight * WEIGHT_ONE as f64).round() as i64;
        match energy < 0.1 && cost < 0.1 && performance < 0.1 {
            true => Self { energy: WEIGHT_ONE, cost: WEIGHT_ONE, performance: WEIGHT_ONE },
            false => Self {
                energy: thousandths(energy),
                cost: thousandths(cost),
                performance: thousandths(performance),
            },
        }
    }

    fn score(&self, node: &Ranked) -> i64 {
        node.energy * self.energy + node.cost * self.cost + node.capacity * self.performance
    }
}

fn ranked(problem: &Problem, members: &[usize]) -> Vec<Ranked> {
    let mut nodes = Vec::new();
    let mut facts = Vec::new();
    for &member in members {
        for node in &problem.members[member].nodes {
            nodes.push(Ranked { member, ..Default::default() });
            facts.push(problem.members[member].profiles[node.profile]);
        }
    }
    // Rates are never negative, and the bits of such numbers are ordered as the numbers are.
    let rate = |rate: f64| u64::MAX - rate.to_bits();
    award(&mut nodes, |at| rate(facts[at].energy), |node| &mut node.energy);
    award(&mut nodes, |at| rate(facts[at].price), |node| &mut node.cost);
    for resource in 0..3 {
        award(&mut nodes, |at| facts[at].allocatable[resource], |node| &mut node.capacity);
    }
    award(&mut nodes, |at| facts[at].bandwidth, |node| &mut node.capacity);
    nodes
}

/// Gives one point to the least value, two to the next and so on; equal values share the mean.
fn award(nodes: &mut [Ranked], value: impl Fn(usize) -> u64, criterion: impl Fn(&mut Ranked) -> &mut i64) {
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|at| value(*at));
    let mut below = 0i64;
    for equal in order.chunk_by(|a, b| value(*a) == value(*b)) {
        let count = equal.len() as i64;
        // The mean of below+1 ..= below+count, in halves.
        let points = HALVES * below + count + 1;
        equal.iter().for_each(|at| *criterion(&mut nodes[*at]) += points);
        below += count;
    }
}

/// The points by criterion; more is better. What the kept nodes lack to all nodes decides only ties.
pub(super) fn score(problem: &Problem, item: usize, points: &Points) -> Score {
    let weights = Weights::of(&problem.app(item).source.application.spec.objectives);
    let millionths = |score: i64| score * (1_000_000 / (HALVES * WEIGHT_ONE));
    let term = |name: &'static str, halves: i64, weight: i64| Term {
        name: name.into(),
        raw: halves as f64 / HALVES as f64,
        unit: "points".into(),
        value: millionths(halves * weight),
        source: Cow::default(),
    };
    let Points { kept, all, .. } = points;
    let mut terms = vec![
        term("energy", kept.energy, weights.energy),
        term("cost", kept.cost, weights.cost),
        term("capacity", kept.capacity, weights.performance),
    ];
    let below_the_mean = all - kept.score;
    if below_the_mean > 0 {
        let raw = below_the_mean as f64 / (HALVES * WEIGHT_ONE) as f64;
        let (name, unit) = ("belowMean".into(), "points".into());
        terms.push(Term { name, raw, unit, value: 0, source: Cow::default() });
    }
    Score { total: millionths(kept.score), terms }
}
