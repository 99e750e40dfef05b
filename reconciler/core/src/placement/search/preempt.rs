//! Room for what matters more: components of a lower priority that do not run yet give way.

use std::cmp::Reverse;

use qonnect_schema::documents::application::Strategy;

use super::super::state::{NOWHERE, State};
use super::{best_first, place};

/// How many clusters are asked to make room, the best first.
const ASKED_MAX: usize = 64;

/// Looks for room for components that found none, in the order in which they are given.
pub(super) fn all(state: &mut State<'_>, items: &[usize]) {
    for &item in items {
        if state.place(item).is_none() {
            preempt(state, item);
        }
    }
}

fn preempt(state: &mut State<'_>, item: usize) {
    let priority = state.problem.app(item).priority();
    let field = state.field(item, None, true);
    let candidates = state.candidates(item, &field, NOWHERE, false);
    for (_, member) in best_first(candidates).take(ASKED_MAX) {
        let guests = state.solution.loads.guests(member).iter().map(|guest| *guest as usize);
        let lower = |guest: &usize| {
            let app = state.problem.app(*guest);
            app.priority() < priority && app.strategy() == Strategy::Optimal
        };
        let mut lower: Vec<usize> = guests.filter(lower).collect();
        lower.sort_unstable_by_key(|guest| (state.problem.app(*guest).priority(), Reverse(*guest)));
        let moves = state.solution.moves();
        let mut out = Vec::new();
        while !state.can(item, member) {
            let Some(guest) = lower.get(out.len()).copied() else { break };
            state.put(guest, None);
            out.push(guest);
        }
        if !out.is_empty() && state.can(item, member) {
            state.put(item, Some(member));
            // The last one out was the last straw; those before it may have gone for nothing.
            out.reverse();
            for guest in out {
                match state.can(guest, member) {
                    true => state.put(guest, Some(member)),
                    false => place::one(state, guest),
                }
                if state.place(guest).is_none() {
                    // Nothing that runs is evicted.
                    state.put(guest, state.problem.items[guest].home);
                }
            }
            return;
        }
        state.back_to(moves);
    }
}
