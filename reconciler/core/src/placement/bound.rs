//! How good a plan is: what it adds up to, and what no plan can be below.
//!
//! The bound is a relaxation. Each component chooses alone; what a dependency adds is handed to both its ends in
//! shares that never exceed it (max-product linear programming), and clusters ask a price for room that too many
//! want (Lagrange multipliers on the sum of what is free, by subgradient). Whatever shares and prices are, the sum
//! of the single best choices less the worth of the room is below every plan that places the same components. Rounds
//! are counted, so that a large fleet gets a bound that is cheap and less tight.

use serde::Serialize;

use super::member::RESOURCES;
use super::problem::Problem;
use super::relax::{Priced, Relaxed, value};
use super::state::State;

/// How many rounds tighten it, at the most.
const ROUNDS_MAX: usize = 400;

/// How many steps all rounds may take together.
const STEPS_MAX: usize = 60_000_000;

/// The value of a plan and the bound of all plans, in millionths, over the components that have a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
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

pub(super) fn quality(state: &State<'_>) -> Quality {
    let problem = state.problem;
    let items: Vec<usize> = problem.live().filter(|item| state.place(*item).is_some()).collect();
    let value = value(state, &items);
    let mut relaxed = Relaxed::new(state, &items);
    let bound = tighten(problem, state, &mut relaxed, value as f64);
    Quality { value, bound: (bound.floor() as i64).clamp(0, value) }
}

/// How many rounds show that nothing is to be gained, or give up.
const PROOF_ROUNDS_MAX: usize = 24;

/// How many steps all proofs of one plan may take: some hundredths of a second.
const PROOF_STEPS_MAX: usize = 10_000_000;

/// What is not worth looking for, as a part of what an application adds.
const NEGLIGIBLE: f64 = 1e-5;

/// Those of the components that are not proved to be at their best: their application would add less if it were alone
/// in the fleet, or it is not known whether it would.
pub(super) fn unproved(state: &State<'_>, items: &[usize]) -> Vec<usize> {
    let problem = state.problem;
    let mut steps = PROOF_STEPS_MAX;
    let mut open = Vec::new();
    for part in items.chunk_by(|a, b| problem.items[*a].app == problem.items[*b].app) {
        let all: Vec<usize> = problem.app(part[0]).items.clone().collect();
        if !is_proved(state, &all, &mut steps) {
            open.extend(part);
        }
    }
    open
}

fn is_proved(state: &State<'_>, items: &[usize], steps: &mut usize) -> bool {
    if *steps == 0 || items.iter().any(|item| state.place(*item).is_none()) {
        return false;
    }
    let value = value(state, items) as f64;
    let mut relaxed = Relaxed::new(state, items);
    let each = relaxed.steps(state.problem);
    let free = Priced::default();
    let mut last = f64::MIN;
    for _ in 0..PROOF_ROUNDS_MAX {
        let sum: f64 = relaxed.choosers.iter().map(|chooser| chooser.best(&free).0).sum();
        if sum >= value * (1.0 - NEGLIGIBLE) - 1.0 {
            return true;
        }
        if *steps < each || sum <= last + value * NEGLIGIBLE {
            break;
        }
        (last, *steps) = (sum, *steps - each);
        relaxed.hand_over(state.problem, &free);
    }
    *steps = steps.saturating_sub(each);
    false
}

fn tighten(problem: &Problem, state: &State<'_>, relaxed: &mut Relaxed, value: f64) -> f64 {
    let count = problem.members.len();
    let room: Vec<[f64; RESOURCES]> =
        (0..count).map(|member| state.solution.loads.room(problem, member)).collect();
    let choices: usize = relaxed.choosers.iter().map(|chooser| chooser.members.len()).sum();
    let sweeps = STEPS_MAX / 2 / relaxed.steps(problem).max(1);
    let rounds = (STEPS_MAX / 2 / choices.max(1)).clamp(1, ROUNDS_MAX);
    let mut priced = Priced { prices: vec![[0.0; RESOURCES]; count], room };
    let (mut best, mut pace, mut idle) = (0.0f64, 1.0f64, 0);
    for round in 0..rounds {
        if round < sweeps {
            relaxed.hand_over(problem, &priced);
        }
        let mut excess: Vec<[f64; RESOURCES]> = vec![[-1.0; RESOURCES]; count];
        let mut sum = 0.0;
        for chooser in &relaxed.choosers {
            let (least, at) = chooser.best(&priced);
            sum += least;
            chooser.asked(at, &priced).into_iter().enumerate().for_each(|(i, part)| {
                excess[chooser.members[at] as usize][i] += part;
            });
        }
        sum -= priced.prices.iter().flatten().sum::<f64>();
        idle = if sum > best { 0 } else { idle + 1 };
        best = best.max(sum);
        if idle > 8 {
            (pace, idle) = (pace * 0.7, 0);
        }
        let violated = |price: f64, excess: f64| price > 0.0 || excess > 0.0;
        let mut norm = 0.0;
        for (prices, excess) in priced.prices.iter().zip(&excess) {
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
            for (prices, excess) in priced.prices.iter_mut().zip(&excess) {
                (0..RESOURCES).for_each(|i| prices[i] = (prices[i] + step * excess[i]).max(0.0));
            }
        }
    }
    // Sums of numbers with fractions are off by less than this.
    best - 1.0 - best * 1e-9
}
