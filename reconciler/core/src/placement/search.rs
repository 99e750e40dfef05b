//! `strategy: optimal`: what runs stays as it is, what is new goes where it adds least, then single
//! components, pairs and chains move as long as the sum of [`super::objective`] falls.
//!
//! The search knows no clock and no chance: its budget is counted in tries, and the order of names breaks ties.

use std::cmp::Reverse;

use qonnect_schema::documents::application::Strategy;

use super::options::Choice;
use super::problem::Problem;
use super::state::{Far, State};

/// How often all components are tried anew. Each pass improves the sum, most plans need three.
const PASSES_MAX: usize = 16;

/// How many components one that finds its better cluster full may try to displace, in one pass.
const DISPLACED_MAX: usize = 128;

/// For how many clusters the neighbours of a component that finds no place are asked to move nearer.
const GATHERED_MAX: usize = 64;

/// A component without a place gives everything for one.
const NOWHERE: i64 = i64::MAX / 4;

/// Places the given components; all others stay where the state has them.
pub(super) fn solve(state: &mut State<'_, '_>, items: &[usize]) {
    start_from_what_runs(state, items);
    let order = |state: &State<'_, '_>, runs: bool| {
        let problem = state.problem;
        let wanted =
            |item: &usize| state.place(*item).is_none() && problem.items[*item].home.is_some() == runs;
        let mut order: Vec<usize> = items.iter().copied().filter(wanted).collect();
        // Those with the fewest choices first, then the largest, which are the hardest to fit.
        order.sort_by_key(|item| (state.options.of(*item).len(), largest(problem, *item), *item));
        order
    };
    // What must leave its cluster is placed before anything new takes its room.
    let leaving = order(state, true);
    place_all(state, &leaving);
    for item in leaving {
        if state.place(item).is_none() {
            // Nothing is evicted without a target.
            state.put(item, state.problem.items[item].home);
        }
    }
    let new = order(state, false);
    place_all(state, &new);
    improve(state, items);
}

/// Leaves out what a filter no longer lets run, and as much as breaks a limit of latency or cost.
fn start_from_what_runs(state: &mut State<'_, '_>, items: &[usize]) {
    let problem = state.problem;
    for &item in items {
        if let Some(home) = problem.items[item].home.filter(|home| state.options.at(item, *home).is_some()) {
            state.put(item, Some(home));
        }
    }
    for &item in items {
        let Some(home) = state.place(item) else { continue };
        // The caller moves towards the callee, who may have others to answer to.
        let too_far = problem.items[item].calls.iter().filter(|call| call.outgoing).any(|call| {
            let there = state.place(call.other);
            call.limit.zip(there).is_some_and(|(limit, there)| problem.latencies.between(home, there) > limit)
        });
        if too_far {
            state.put(item, None);
        }
    }
    for (app, facts) in problem.applications.iter().enumerate() {
        if facts.strategy() != Strategy::Optimal {
            continue;
        }
        while state.over_limit(app) {
            let saving = |item: usize| {
                let home = state.place(item)?;
                Some(state.options.at(item, home)?.cost - state.options.least[item])
            };
            let savings = facts.items.clone().filter_map(|item| Some((saving(item)?, Reverse(item))));
            match savings.max().filter(|(saving, _)| *saving > 0) {
                Some((_, Reverse(item))) => state.put(item, None),
                None => break,
            }
        }
    }
}

fn largest(problem: &Problem<'_>, item: usize) -> usize {
    problem.items[item].parcels.first().map_or(usize::MAX, |parcel| parcel.rank)
}

fn place_all(state: &mut State<'_, '_>, order: &[usize]) {
    for &item in order {
        place(state, item);
    }
    for &item in order {
        if state.place(item).is_none() && !displace(state, item) {
            gather(state, item);
        }
    }
}

/// The best possible cluster that leaves its unplaced neighbours a choice; else the best possible.
fn place(state: &mut State<'_, '_>, item: usize) {
    let mut second = None;
    for (_, choice) in better(state, item) {
        if !state.can(item, choice.member) {
            continue;
        }
        if leaves_a_choice(state, item, choice.member) {
            return state.put(item, Some(choice.member));
        }
        second = second.or(Some(choice.member));
    }
    state.put(item, second);
}

fn leaves_a_choice(state: &State<'_, '_>, item: usize, member: usize) -> bool {
    let problem = state.problem;
    problem.items[item].calls.iter().all(|call| {
        let Some(limit) = call.limit.filter(|_| state.place(call.other).is_none()) else { return true };
        let choices = state.options.of(call.other);
        let near = |choice: &Choice| problem.latencies.between(member, choice.member) <= limit;
        choices.is_empty()
            || choices.iter().any(|choice| near(choice) && state.too_far(call.other, choice.member).is_none())
    })
}

/// What the component adds where it is now.
fn present(state: &State<'_, '_>, item: usize) -> i64 {
    let choice = state.place(item).and_then(|member| state.options.at(item, member));
    choice.map_or(NOWHERE, |choice| state.score(item, choice.member, choice.value))
}

/// The possible clusters where it would add less, the best first.
fn better(state: &State<'_, '_>, item: usize) -> Vec<(i64, Choice)> {
    let present = present(state, item);
    let score = |choice: &Choice| (state.score(item, choice.member, choice.value), *choice);
    let lower = state.options.of(item).iter().map(score).filter(|(score, _)| *score < present);
    let mut better: Vec<_> = lower.collect();
    // Stable: clusters that tie stay in the order of their names.
    better.sort_by_key(|(score, _)| *score);
    better
}

fn improve(state: &mut State<'_, '_>, items: &[usize]) {
    for _ in 0..PASSES_MAX {
        let mut improved = false;
        for &item in items {
            improved |= shift(state, item);
        }
        for &item in items {
            improved |= join(state, item);
        }
        for &item in items {
            improved |= displace(state, item) || (state.place(item).is_none() && gather(state, item));
        }
        if !improved {
            break;
        }
    }
}

/// Moves one component to the best cluster that takes it.
fn shift(state: &mut State<'_, '_>, item: usize) -> bool {
    let better = better(state, item);
    match better.into_iter().find(|(_, choice)| state.can(item, choice.member)) {
        Some((_, choice)) => {
            state.put(item, Some(choice.member));
            true
        }
        None => false,
    }
}

/// Moves a caller and a callee together to one cluster, where neither would go alone.
fn join(state: &mut State<'_, '_>, item: usize) -> bool {
    let problem = state.problem;
    let mut improved = false;
    for call in problem.items[item].calls.iter().filter(|call| call.outgoing) {
        let other = call.other;
        let (from, others_from) = (state.place(item), state.place(other));
        if from.is_none() || others_from.is_none() || state.options.of(other).is_empty() {
            continue;
        }
        let before = present(state, item) + present(state, other) - between(state, item, other);
        let mut best: Vec<(i64, usize)> = state
            .options
            .of(item)
            .iter()
            .filter_map(|choice| {
                let theirs = state.options.at(other, choice.member)?;
                let apart = |item, own| state.score(item, choice.member, own);
                let shared = between_at(state, item, other, choice.member);
                let sum = apart(item, choice.value) + apart(other, theirs.value) - shared;
                (sum < before).then_some((sum, choice.member))
            })
            .collect();
        best.sort_unstable();
        improved |= best.into_iter().any(|(_, member)| {
            state.put(item, None);
            state.put(other, None);
            if state.can(item, member) {
                state.put(item, Some(member));
                if state.can(other, member) {
                    state.put(other, Some(member));
                    return true;
                }
            }
            state.put(item, from);
            state.put(other, others_from);
            false
        });
    }
    improved
}

/// What the dependencies between two placed components add, which both of their scores hold.
fn between(state: &State<'_, '_>, a: usize, b: usize) -> i64 {
    let (Some(at), Some(there)) = (state.place(a), state.place(b)) else { return 0 };
    let trip = state.problem.latencies.between(at, there);
    edges(state, a, b) * state.problem.app(a).scales.communication(trip)
}

/// If both are on one cluster their dependencies add nothing, but their scores were taken one at a time.
fn between_at(state: &State<'_, '_>, a: usize, b: usize, member: usize) -> i64 {
    let trip =
        |item: usize| state.place(item).map_or(0, |there| state.problem.latencies.between(member, there));
    let scales = &state.problem.app(a).scales;
    edges(state, a, b) * (scales.communication(trip(a)) + scales.communication(trip(b)))
}

fn edges(state: &State<'_, '_>, a: usize, b: usize) -> i64 {
    state.problem.items[a].calls.iter().filter(|call| call.other == b).count() as i64
}

/// Gives one component a cluster that is full, by moving one that is new there elsewhere.
fn displace(state: &mut State<'_, '_>, item: usize) -> bool {
    let from = state.place(item);
    let present = present(state, item);
    let mut tries = DISPLACED_MAX;
    for (score, choice) in better(state, item) {
        let member = choice.member;
        // What ranks have placed is not for the objective function to move.
        let may_go = |other: &usize| {
            state.place(*other) == Some(member)
                && !state.problem.sits_on(*other, member)
                && state.problem.app(*other).strategy() == Strategy::Optimal
                && *other != item
        };
        let others: Vec<usize> = (0..state.problem.items.len()).filter(may_go).collect();
        for other in others {
            if tries == 0 {
                return false;
            }
            tries -= 1;
            if give_way(state, other, item, (from, member), present - score) {
                return true;
            }
        }
    }
    false
}

/// Moves `other` to its next best cluster if that loses less than `item` gains by taking its place.
fn give_way(
    state: &mut State<'_, '_>,
    other: usize,
    item: usize,
    (from, to): (Option<usize>, usize),
    gain: i64,
) -> bool {
    let Some(theirs) = state.options.at(other, to).copied() else { return false };
    let at_home = state.score(other, to, theirs.value);
    // Communication is never negative, so that `value` is the least that it adds elsewhere. Where `item` comes
    // from there may be room once it has left; anywhere else there must be some already.
    let could_go = |choice: &Choice, state: &mut State<'_, '_>| {
        choice.member != to
            && choice.value - at_home < gain
            && (Some(choice.member) == from || state.loads.fits(other, choice.member))
    };
    if !state.options.of(other).iter().any(|choice| could_go(choice, state)) {
        return false;
    }
    state.put(other, None);
    if state.can(item, to) {
        state.put(item, Some(to));
        let at_home = state.score(other, to, theirs.value);
        let mut elsewhere: Vec<(i64, usize)> = state
            .options
            .of(other)
            .iter()
            .filter(|choice| choice.member != to)
            .map(|choice| (state.score(other, choice.member, choice.value) - at_home, choice.member))
            .filter(|(loss, _)| *loss < gain)
            .collect();
        elsewhere.sort_unstable();
        if let Some((_, member)) = elsewhere.into_iter().find(|(_, member)| state.can(other, *member)) {
            state.put(other, Some(member));
            return true;
        }
        state.put(item, from);
    }
    state.put(other, Some(to));
    false
}

/// Finds a place for a component whose neighbours are too far from every cluster that could take it.
fn gather(state: &mut State<'_, '_>, item: usize) -> bool {
    let candidates = better(state, item);
    candidates.into_iter().take(GATHERED_MAX).any(|(_, choice)| gather_at(state, item, choice.member))
}

fn gather_at(state: &mut State<'_, '_>, item: usize, member: usize) -> bool {
    if !state.loads.fits(item, member) {
        return false;
    }
    let mut moved: Vec<(usize, Option<usize>)> = vec![(item, None)];
    state.put(item, Some(member));
    while let Some(Far { other, there, .. }) = state.too_far(item, member) {
        state.put(other, None);
        moved.push((other, Some(there)));
        place(state, other);
        // A neighbour that was asked before cannot come nearer.
        let asked = moved.iter().filter(|(asked, _)| *asked == other).count() > 1;
        if state.place(other).is_none() || asked {
            put_back(state, moved);
            return false;
        }
    }
    let over = state.over_limit(state.problem.items[item].app);
    if over {
        put_back(state, moved);
    }
    !over
}

fn put_back(state: &mut State<'_, '_>, moved: Vec<(usize, Option<usize>)>) {
    for (item, from) in moved.into_iter().rev() {
        state.put(item, from);
    }
}
