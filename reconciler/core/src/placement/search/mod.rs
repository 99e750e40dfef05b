//! `strategy: optimal`: what runs stays as it is, what is new goes where it adds least, then single
//! components, pairs and chains move as long as the sum of [`super::objective`] falls.
//!
//! The search knows no clock and no chance: its budget is counted in tries, and the order of names breaks ties.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use qonnect_schema::documents::application::Strategy;

use super::state::State;

pub(super) use watch::Look;
use watch::Watch;

mod anneal;
mod clear;
mod dice;
mod exchange;
mod group;
mod layout;
mod mend;
mod model;
mod neighbourhood;
mod pairs;
mod place;
mod preempt;
mod watch;

/// How often components are tried anew. Each pass improves the sum; after the first ones few have anything new to see.
const PASSES_MAX: usize = 64;

/// How much is done for a better plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Nothing after the first.
    First,
    /// So many large neighbourhoods for each component, after everything else.
    Rounds(usize),
    /// All components annealed together at leisure, however many there are.
    Long(u64),
}

/// Places the given components; all others stay where the state has them.
pub(super) fn solve(state: &mut State<'_>, items: &[usize], effort: Effort) {
    for &item in items {
        // Whether anybody needs its room is asked anew.
        if state.solution.yields(item) {
            state.solution.set_yields(item, false);
            state.put(item, None);
        }
    }
    start_from_what_runs(state, items);
    let order = |state: &State<'_>, runs: bool| {
        let problem = state.problem;
        let wanted =
            |item: &usize| state.place(*item).is_none() && problem.items[*item].home.is_some() == runs;
        let mut order: Vec<usize> = items.iter().copied().filter(wanted).collect();
        // Those that matter most first, then those with the fewest choices, then the largest, which are the hardest to fit.
        order.sort_by_cached_key(|item| {
            let facts = &problem.items[*item];
            let largest = facts.parcels.first().copied();
            let choices = problem.menus.of(facts.menu).members.len();
            (Reverse(problem.app(*item).priority()), choices, largest.is_none(), largest, *item)
        });
        order
    };
    // What must leave its cluster is placed before anything new takes its room.
    let leaving = order(state, true);
    place::all(state, &leaving);
    for item in leaving {
        if state.place(item).is_none() {
            // Nothing is evicted without a target.
            state.put(item, state.problem.items[item].home);
        }
    }
    let new = order(state, false);
    place::all(state, &new);
    preempt::all(state, &new);
    let rounds = match effort {
        Effort::First => return,
        Effort::Rounds(rounds) => rounds,
        Effort::Long(_) => neighbourhood::THOROUGH,
    };
    let mut watch = Watch::new(state);
    improve(state, items, rounds, &mut watch);
    let moves = state.solution.moves();
    if neighbourhood::explore(state, items, effort) {
        watch.stir(state, moves);
        improve(state, items, rounds, &mut watch);
    }
    if mend::all(state) {
        improve(state, items, rounds, &mut Watch::new(state));
    }
    // Last, since nobody who makes room would go by himself.
    clear::all(state, &new);
}

/// Leaves out what a filter no longer lets run, and as much as breaks a limit of latency or cost.
fn start_from_what_runs(state: &mut State<'_>, items: &[usize]) {
    let problem = state.problem;
    for &item in items {
        if state.place(item).is_some() {
            continue;
        }
        if let Some(home) = problem.items[item].home.filter(|home| state.own(item, *home).is_some()) {
            state.put(item, Some(home));
        }
    }
    for &item in items {
        let Some(home) = state.place(item) else { continue };
        // The caller moves towards the callee, who may have others to answer to.
        if state.own_conflict(item, home).is_some() {
            state.put(item, None);
        }
    }
    let mut apps: Vec<usize> = items.iter().map(|item| problem.items[*item].app).collect();
    apps.dedup();
    for app in apps {
        let facts = &problem.applications[app];
        if facts.strategy() != Strategy::Optimal {
            continue;
        }
        if let Some(most) = facts.limits.path {
            let stretched = |item: usize| {
                let home = state.place(item)?;
                let long = state.longest_path(item, home) > most;
                (long && !problem.items[item].pinned).then_some(item)
            };
            let stretched: Vec<usize> = facts.items.clone().filter_map(stretched).collect();
            stretched.into_iter().for_each(|item| state.put(item, None));
        }
        while let Some(limit) = state.over_limit(app) {
            let saving = |item: usize| {
                let home = state.place(item)?;
                Some(state.used(item, Some(home))[limit] - problem.items[item].least[limit])
            };
            let savings = facts.items.clone().filter_map(|item| Some((saving(item)?, Reverse(item))));
            match savings.max().filter(|(saving, _)| *saving > 0) {
                Some((_, Reverse(item))) => state.put(item, None),
                None => break,
            }
        }
    }
}

fn improve(state: &mut State<'_>, items: &[usize], rounds: usize, watch: &mut Watch) {
    let mut budget = exchange::Budget::new(items.len(), rounds);
    for _ in 0..PASSES_MAX {
        let start = state.solution.moves();
        let mut improved = false;
        for &item in items {
            improved |= try_one(state, item, watch);
        }
        if improved {
            watch.stir(state, start);
            continue;
        }
        for &item in items {
            improved |= exchange::displace(state, item, &mut budget)
                || (state.place(item).is_none() && exchange::gather(state, item));
        }
        if !improved {
            break;
        }
        watch.stir(state, start);
    }
}

/// By itself, with each of its callees, and with all that must be on one cluster with it.
fn try_one(state: &mut State<'_>, item: usize, watch: &mut Watch) -> bool {
    let Some(look) = watch.look(state, item) else { return false };
    // Who just moved has its turn again, and then perhaps with others.
    let leads = state.is_grouped(item) && state.problem.group(item).first() == Some(&item);
    place::shift(state, item, look) || pairs::join(state, item, look) || (leads && group::settle(state, item))
}

/// Candidates as they are asked for, the best first; clusters that tie in the order of their names.
pub(super) fn best_first(candidates: Vec<(i64, u32)>) -> impl Iterator<Item = (i64, usize)> {
    let mut heap: BinaryHeap<Reverse<(i64, u32)>> = candidates.into_iter().map(Reverse).collect();
    std::iter::from_fn(move || heap.pop().map(|Reverse((score, member))| (score, member as usize)))
}
