//! Large neighbourhoods: a few components that have to do with each other are taken out together and put back
//! in another order; what adds less stays.
//!
//! The choice looks like chance and is none: it follows from a fixed seed and from how many there are.

use std::cmp::Ordering;

use super::super::bound;
use super::super::state::{NOWHERE, State};
use super::Effort;
use super::anneal;
use super::dice::Dice;
use super::place;
use super::watch::Look;

/// How many components are taken out at once: more than a pair or a chain, few enough to be quick.
const TAKEN_MAX: usize = 8;
/// The same in a plan of at most [`FEW_MAX`] components, where what is full hides longer ways round.
const TAKEN_OF_FEW_MAX: usize = 12;

/// How many rounds one plan may take; a large fleet gains little from each.
const ROUNDS_MAX: usize = 2048;

/// How many rounds for each component may pass without a better plan.
const PATIENCE_EACH: usize = 48;

/// In a plan of so many components a step may also be a worse one for a while, which leads out of a dead end.
const WANDERS_MAX: usize = 512;

/// In a whole plan of so many components all are annealed together at first, again and again with other numbers, in more
/// steps for each the more others there are.
const FEW_MAX: usize = 64;
const STEPS_FOR_OTHERS: usize = 100;
const ANNEALED: u64 = 3;
/// In one of so many only once, in so many steps together.
const ANNEALED_MAX: usize = 512;
const STEPS_OF_MANY: usize = 2_000_000;
pub(super) const THOROUGH: usize = 64;

/// What part of what a component adds such a step may cost at first.
const SLACK_PART: i64 = 10;

/// What a component without a place counts: more than any that have one could add together; and one that runs, more
/// than all that are new, since nothing is evicted for what is new.
const LOST: i64 = 1 << 46;
const EVICTED: i64 = 1 << 52;

/// Tries so many neighbourhoods for each component, if the plan so far has changed anything: what stands and is
/// planned again stays as it is.
pub(super) fn explore(state: &mut State<'_>, items: &[usize], effort: Effort) -> bool {
    let changed = |item: &&usize| {
        let place = state.place(**item);
        place.is_some() && place != state.problem.items[**item].home
    };
    let free = |item: &&usize| {
        let may_go = state.place(**item).is_none() || state.present(**item) < NOWHERE;
        may_go && !state.problem.items[**item].pinned
    };
    if !items.iter().any(|item| changed(&item)) {
        return false;
    }
    let free: Vec<usize> = items.iter().filter(free).copied().collect();
    let effort = match effort {
        Effort::First => return false,
        Effort::Rounds(rounds) => rounds,
        Effort::Long(seed) => return anneal::all(state, &free, anneal::STEPS_OF_LONG, &mut Dice(seed)),
    };
    // Who is proved to be at the best place makes way for others, but has nothing to gain. A few rounds cost less than
    // the proof.
    let open = if effort >= THOROUGH { bound::unproved(state, &free) } else { free.clone() };
    if open.is_empty() {
        return false;
    }
    let mut better = false;
    let (seeds, steps_each) = match free.len() {
        _ if effort < THOROUGH => (0, 0),
        few @ 0..=FEW_MAX => (ANNEALED, anneal::STEPS_EACH.max(STEPS_FOR_OTHERS * few)),
        many @ 0..=ANNEALED_MAX => (1, STEPS_OF_MANY / many),
        _ => (0, 0),
    };
    for seed in 0..seeds {
        better |= anneal::all(state, &free, steps_each, &mut Dice(seed));
    }
    wander(state, &free, &open, effort, Dice(0)) || better
}

/// One search from where the components are; they end where they added least.
fn wander(state: &mut State<'_>, free: &[usize], open: &[usize], effort: usize, mut dice: Dice) -> bool {
    let mut lost: Vec<usize> = free.iter().copied().filter(|item| state.place(*item).is_none()).collect();
    let rounds = (open.len() * effort).min(ROUNDS_MAX);
    let patience = PATIENCE_EACH * open.len();
    let slack = if free.len() <= WANDERS_MAX { slack(state, free) } else { 0 };
    let places = |state: &State<'_>| free.iter().map(|item| state.place(*item)).collect::<Vec<_>>();
    let (mut total, mut best, mut found) = (0i64, 0i64, places(state));
    let mut idle = 0;
    for round in 0..rounds {
        lost.retain(|item| state.place(*item).is_none());
        let first = match lost.is_empty() || dice.roll(2) == 0 {
            true => open[dice.roll(open.len())],
            false => lost[dice.roll(lost.len())],
        };
        let mut taken = neighbourhood(state, free, first, &mut dice);
        taken.retain(|item| free.binary_search(item).is_ok());
        total += again(state, &mut taken, slack * (rounds - round) as i64 / rounds as i64, &mut dice);
        idle += 1;
        if total < best {
            (best, idle) = (total, 0);
            if slack > 0 {
                found = places(state);
            }
        }
        if idle > patience {
            break;
        }
    }
    if slack > 0 {
        let put_back: Vec<_> =
            free.iter().zip(found).filter(|(item, place)| state.place(**item) != *place).collect();
        put_back.iter().for_each(|(item, _)| state.put(**item, None));
        put_back.into_iter().for_each(|(item, place)| state.put(*item, place));
    }
    best < 0
}

/// How much worse a step may be at first: a small part of what a component adds.
fn slack(state: &State<'_>, free: &[usize]) -> i64 {
    let placed: Vec<usize> = free.iter().copied().filter(|item| state.place(*item).is_some()).collect();
    sum(state, &placed) / placed.len().max(1) as i64 / SLACK_PART
}

/// A component, and others that call it, share its cluster, or sit where it would like to be.
fn neighbourhood(state: &State<'_>, free: &[usize], first: usize, dice: &mut Dice) -> Vec<usize> {
    let most = if free.len() <= FEW_MAX { TAKEN_OF_FEW_MAX } else { TAKEN_MAX };
    let size = 2 + dice.roll(most - 1);
    let mut taken = vec![first];
    let mut enter = |item: usize| {
        if taken.len() < size && !taken.contains(&item) {
            taken.push(item);
        }
    };
    match dice.roll(3) {
        0 => {
            let mut ring = vec![first];
            while let Some(item) = ring.pop().filter(|_| ring.len() < size) {
                let facts = &state.problem.items[item];
                let bound = facts.bonds.iter().map(|bond| bond.other);
                for other in facts.calls.iter().map(|call| call.other).chain(bound) {
                    enter(other);
                    if dice.roll(2) == 0 && other != first {
                        ring.push(other);
                    }
                }
                if dice.roll(size) == 0 {
                    break;
                }
            }
        }
        1 => {
            let wanted = any_of_menu(state, first, dice);
            for member in state.place(first).into_iter().chain(wanted) {
                let guests = state.solution.loads.guests(member);
                let start = dice.roll(guests.len());
                for at in 0..guests.len().min(TAKEN_MAX) {
                    enter(guests[(start + at) % guests.len()] as usize);
                }
            }
        }
        _ => (0..size).for_each(|_| enter(free[dice.roll(free.len())])),
    }
    taken
}

/// Takes components out and puts them back one by one, and keeps that unless it adds more than some slack; by how
/// much the sum changes.
fn again(state: &mut State<'_>, taken: &mut [usize], slack: i64, dice: &mut Dice) -> i64 {
    if taken.is_empty() {
        return 0;
    }
    let moves = state.solution.moves();
    let value = sum(state, taken);
    let lost_before = lost(state, taken);
    taken.iter().for_each(|item| state.put(*item, None));
    dice.shuffle(taken);
    // Now and then all go to one cluster, which none would do alone.
    let herd = (dice.roll(4) == 0).then(|| any_of_menu(state, taken[0], dice)).flatten();
    // Or somebody takes what is not the best for it alone, and leaves that to the others.
    let astray = (dice.roll(2) == 0).then(|| dice.roll(taken.len()));
    for (at, item) in taken.iter().enumerate() {
        match herd.filter(|member| state.own(*item, *member).is_some() && state.can(*item, *member)) {
            Some(member) => state.put(*item, Some(member)),
            None if astray == Some(at) => stray(state, *item, dice),
            None => place::one(state, *item),
        }
    }
    while taken.iter().filter(|item| place::shift(state, **item, Look::Everywhere)).count() > 0 {}
    let change = sum(state, taken) - value;
    match lost(state, taken).cmp(&lost_before) {
        // What matters more has a place now: better, whatever it adds.
        Ordering::Less => return change.min(-LOST),
        Ordering::Equal if change < slack.max(0) => return change,
        Ordering::Equal | Ordering::Greater => {}
    }
    state.back_to(moves);
    0
}

/// Who has no place: what runs first, then by priority, the highest first.
pub(super) fn lost(state: &State<'_>, taken: &[usize]) -> Vec<(bool, i32)> {
    let without = taken.iter().filter(|item| state.place(**item).is_none());
    let mut lost: Vec<_> =
        without.map(|item| (state.problem.runs(*item), state.problem.app(*item).priority())).collect();
    lost.sort_unstable_by(|a, b| b.cmp(a));
    lost
}

/// Any cluster that it may choose.
fn any_of_menu(state: &State<'_>, item: usize, dice: &mut Dice) -> Option<usize> {
    let menu = state.problem.menus.of(state.problem.items[item].menu);
    menu.members.get(dice.roll(menu.members.len())).map(|member| *member as usize)
}

/// Any cluster that takes it.
fn stray(state: &mut State<'_>, item: usize, dice: &mut Dice) {
    let field = state.field(item, None, true);
    let candidates = state.candidates(item, &field, NOWHERE, true);
    let start = dice.roll(candidates.len());
    let ring = (0..candidates.len()).map(|at| candidates[(start + at) % candidates.len()].1 as usize);
    let mut ring = ring.take(TAKEN_MAX);
    let place = ring.find(|member| state.can(item, *member));
    state.put(item, place);
}

/// What components add together; what two of them share counts once.
pub(super) fn sum(state: &State<'_>, items: &[usize]) -> i64 {
    let mut sum = 0i64;
    for &item in items {
        let Some(member) = state.place(item) else {
            let lost = if state.problem.runs(item) { EVICTED } else { LOST };
            sum = sum.saturating_add(lost);
            continue;
        };
        sum = sum.saturating_add(state.own(item, member).unwrap_or(0));
        for call in &state.problem.items[item].calls {
            let Some(there) = state.place(call.other) else { continue };
            if call.outgoing || !items.contains(&call.other) {
                sum = sum.saturating_add(state.problem.communication(item, call, member, there));
            }
        }
    }
    sum
}
