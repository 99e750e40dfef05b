//! Room for what matters more: of what runs, components of a lower priority move elsewhere.
//!
//! What runs keeps its room until it is gone, so whoever the room is for waits until then; nothing is evicted.

use std::cmp::Reverse;

use qonnect_schema::documents::application::Strategy;

use super::super::state::{NOWHERE, State};
use super::best_first;

/// How many clusters are asked to make room, the best first.
const ASKED_MAX: usize = 64;

/// Of the components that have no place the most important come first.
pub(super) fn all(state: &mut State<'_>, items: &[usize]) {
    let lost = |item: &usize| state.place(*item).is_none() && !state.problem.runs(*item);
    let mut lost: Vec<usize> = items.iter().copied().filter(lost).collect();
    lost.sort_by_key(|item| Reverse(state.problem.app(*item).priority()));
    for item in lost {
        let field = state.field(item, None, true);
        let candidates = state.candidates(item, &field, NOWHERE, false);
        let mut asked = best_first(candidates).take(ASKED_MAX);
        asked.any(|(_, member)| clear(state, item, member));
    }
}

/// Sends as few away as make room for a component, if each of them has somewhere to go; true if there will be room.
fn clear(state: &mut State<'_>, item: usize, member: usize) -> bool {
    let problem = state.problem;
    let priority = problem.app(item).priority();
    let sitting = state.solution.loads.sitting(problem, member);
    // Some may be on their way already; who would turn back for his own good goes on.
    let stays = |other: &usize| state.place(*other) == Some(member);
    let (mut here, mut gone): (Vec<usize>, Vec<usize>) = sitting.into_iter().partition(stays);
    here.retain(|other| {
        let (app, facts) = (problem.app(*other), &problem.items[*other]);
        let settled = facts.leaving.is_none_or(|leaving| leaving == member);
        let free = settled && !facts.pinned && app.strategy() == Strategy::Optimal;
        free && app.priority() < priority
    });
    here.sort_by_key(|other| (problem.app(*other).priority(), Reverse(*other)));
    let mut here = here.into_iter();
    let moves = state.solution.moves();
    let mut sent = Vec::new();
    while !state.solution.loads.fits_without(problem, item, member, &gone) {
        let Some(other) = here.next() else {
            state.back_to(moves);
            sent.into_iter().for_each(|other| state.solution.set_yields(other, false));
            return false;
        };
        let field = state.field(other, None, true);
        let elsewhere = state
            .candidates(other, &field, NOWHERE, true)
            .into_iter()
            .filter(|(_, to)| *to as usize != member);
        let to = best_first(elsewhere.collect()).map(|(_, to)| to).find(|to| state.can(other, *to));
        if to.is_some() {
            state.put(other, to);
            state.solution.set_yields(other, true);
            sent.push(other);
            gone.push(other);
        }
    }
    true
}
