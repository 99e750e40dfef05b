//! One component at a time: where it goes first, and where it would be better off.

use super::super::state::{NOWHERE, State};
use super::exchange::{self, Budget};
use super::watch::Look;
use super::{best_first, group};

pub(super) fn all(state: &mut State<'_>, order: &[usize]) {
    for &item in order {
        if state.place(item).is_none() && !(state.is_grouped(item) && group::settle(state, item)) {
            one(state, item);
        }
    }
    let mut budget = Budget::new(order.len(), Budget::FEW_MAX);
    for &item in order {
        if state.place(item).is_none() && !exchange::displace(state, item, &mut budget) {
            exchange::gather(state, item);
        }
    }
}

/// The best possible cluster that leaves its unplaced neighbours a choice; else the best possible.
pub(super) fn one(state: &mut State<'_>, item: usize) {
    let field = state.field(item, None, true);
    let mut first = state.best(item, &field, NOWHERE, Look::Everywhere);
    if first.is_none() {
        // Nothing runs yet: pods may still be packed in another way.
        let all = best_first(state.candidates(item, &field, NOWHERE, false));
        first = all.map(|(_, member)| member).find(|member| state.can(item, *member));
    }
    let binds = state.problem.items[item].calls.iter().any(|call| call.limit.is_some());
    let wrong = |state: &State<'_>, member: usize| binds && !leaves_a_choice(state, item, member);
    let mut chosen = first;
    if first.is_some_and(|first| wrong(state, first)) {
        let rest = best_first(state.candidates(item, &field, NOWHERE, true));
        chosen = rest
            .map(|(_, member)| member)
            .find(|member| state.can(item, *member) && !wrong(state, *member))
            .or(first);
    }
    state.put(item, chosen);
}

fn leaves_a_choice(state: &State<'_>, item: usize, member: usize) -> bool {
    let problem = state.problem;
    problem.items[item].calls.iter().all(|call| {
        let Some(limit) = call.limit.filter(|_| state.place(call.other).is_none()) else { return true };
        let field = state.field(call.other, None, true);
        let (mut any, mut near) = (false, false);
        state.scan(call.other, &field, NOWHERE, false, |_, other| {
            any = true;
            near |= problem.latencies.between(member, other as usize) <= limit;
        });
        near || !any
    })
}

/// Moves one component to the best cluster that takes it, of some or of all.
pub(super) fn shift(state: &mut State<'_>, item: usize, look: Look<'_>) -> bool {
    if let Look::At(members) = look
        && !members.iter().any(|member| state.may_take(item, *member as usize))
    {
        return false;
    }
    let present = state.present(item);
    let field = state.field(item, None, true);
    let better = state.best(item, &field, present, look);
    if better.is_some() {
        state.put(item, better);
    }
    better.is_some()
}
