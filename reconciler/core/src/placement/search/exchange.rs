//! Several components at a time, where one alone finds no way: one makes room, or neighbours come nearer.

use qonnect_schema::documents::application::Strategy;

use super::super::state::{NOWHERE, State};
use super::super::verdict::Conflict;
use super::{best_first, place};

/// How many components one that finds its better cluster full may try to displace, in one pass.
const DISPLACED_MAX: usize = 64;

/// How many better clusters it asks, the best first.
const ASKED_MAX: usize = 16;

/// For how many clusters the neighbours of a component that finds no place are asked to move nearer.
const GATHERED_MAX: usize = 64;

/// How often something may be asked to make room in one plan: often enough for a small fleet to try everything,
/// and in a large one so often that each component takes no more time than in a small one.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    const EACH: usize = 2;
    /// What each of a few components may use up, too, and for each round that is to follow.
    pub(super) const FEW_MAX: usize = 64;
    const FEW_EACH: usize = 8;

    pub(super) fn new(items: usize, rounds: usize) -> Self {
        Self(Self::EACH * items + (Self::FEW_EACH * rounds).min(Self::FEW_MAX) * items.min(32))
    }
}

/// Gives one component a cluster that is full, by moving one that is new there elsewhere.
pub(super) fn displace(state: &mut State<'_>, item: usize, budget: &mut Budget) -> bool {
    if budget.0 == 0 {
        return false;
    }
    let problem = state.problem;
    let from = state.place(item);
    let present = state.present(item);
    let mut tries = DISPLACED_MAX;
    let field = state.field(item, None, true);
    for (score, member) in best_first(state.candidates(item, &field, present, false)).take(ASKED_MAX) {
        let mut others: Vec<usize> =
            state.solution.loads.guests(member).iter().map(|guest| *guest as usize).collect();
        // What ranks have placed is not for the objective function to move.
        others.retain(|other| *other != item && problem.app(*other).strategy() == Strategy::Optimal);
        others.sort_unstable();
        for other in others {
            if tries == 0 || budget.0 == 0 {
                return false;
            }
            tries -= 1;
            budget.0 -= 1;
            if give_way(state, other, item, (from, member), present - score) {
                return true;
            }
        }
    }
    false
}

/// Moves `other` to its next best cluster if that loses less than `item` gains by taking its place.
fn give_way(
    state: &mut State<'_>,
    other: usize,
    item: usize,
    (from, to): (Option<usize>, usize),
    gain: i64,
) -> bool {
    let Some(theirs) = state.own(other, to) else { return false };
    if state.problem.sits_on(item, to)
        || !state.solution.loads.fits_without(state.problem, item, to, &[other])
    {
        return false;
    }
    let at_home = state.score(other, to, theirs);
    let field = state.field(other, None, true);
    let below = at_home.saturating_add(gain);
    let possible = state.candidates(other, &field, below, true);
    let could_go = possible.iter().any(|(_, member)| {
        let member = *member as usize;
        member != to && (Some(member) == from || state.fits(other, member))
    });
    if !could_go {
        return false;
    }
    let moves = state.solution.moves();
    state.put(other, None);
    if state.can(item, to) {
        state.put(item, Some(to));
        let field = state.field(other, None, true);
        let at_home = state.score(other, to, theirs);
        let mut elsewhere = state.candidates(other, &field, at_home.saturating_add(gain), true);
        elsewhere.retain(|(_, member)| *member as usize != to);
        if let Some((_, member)) = best_first(elsewhere).find(|(_, member)| state.can(other, *member)) {
            state.put(other, Some(member));
            return true;
        }
    }
    state.back_to(moves);
    false
}

/// Finds a place for a component whose neighbours are too far from every cluster that could take it.
pub(super) fn gather(state: &mut State<'_>, item: usize) -> bool {
    let field = state.field(item, None, false);
    let candidates = state.candidates(item, &field, NOWHERE, true);
    best_first(candidates).take(GATHERED_MAX).any(|(_, member)| gather_at(state, item, member))
}

fn gather_at(state: &mut State<'_>, item: usize, member: usize) -> bool {
    if !state.fits(item, member) || !state.spares(item, member) {
        return false;
    }
    let moves = state.solution.moves();
    let mut asked = Vec::new();
    state.put(item, Some(member));
    while let Some(Conflict { other, .. }) = state.conflict(item, member) {
        state.put(other, None);
        place::one(state, other);
        // A neighbour that was asked before cannot come nearer.
        if state.place(other).is_none() || asked.contains(&other) {
            state.back_to(moves);
            return false;
        }
        asked.push(other);
    }
    let app = state.problem.items[item].app;
    let path = state.problem.applications[app].limits.path;
    let long = path.is_some_and(|most| state.longest_path(item, member) > most);
    let over = long || state.over_limit(app).is_some();
    if over {
        state.back_to(moves);
    }
    !over
}
