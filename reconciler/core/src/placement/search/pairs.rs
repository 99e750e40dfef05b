//! A caller and a callee move together to one cluster, where neither would go alone.

use super::super::state::State;
use super::best_first;

pub(super) fn join(state: &mut State<'_>, item: usize) -> bool {
    let problem = state.problem;
    let mut improved = false;
    for call in problem.items[item].calls.iter().filter(|call| call.outgoing) {
        let other = call.other;
        let (Some(from), Some(others_from)) = (state.place(item), state.place(other)) else { continue };
        let before = state.present(item).saturating_add(state.present(other)) - between(state, item, other);
        let candidates = together(state, item, other, before);
        improved |= best_first(candidates).any(|(_, member)| {
            if member == from && member == others_from {
                return false;
            }
            state.put(item, None);
            state.put(other, None);
            if state.can(item, member) {
                state.put(item, Some(member));
                if state.can(other, member) {
                    state.put(other, Some(member));
                    return true;
                }
            }
            state.put(item, Some(from));
            state.put(other, Some(others_from));
            false
        });
    }
    improved
}

/// The clusters where both would add less than `below`.
fn together(state: &State<'_>, item: usize, other: usize, below: i64) -> Vec<(i64, u32)> {
    let problem = state.problem;
    let least = |item: usize| {
        let facts = &problem.items[item];
        problem.menus.of(facts.menu).least.min(facts.at_home.unwrap_or(i64::MAX))
    };
    let most = [least(other), least(item)].map(|least| below.saturating_sub(least));
    if least(item) >= most[0] {
        return Vec::new();
    }
    let fields = [(item, other), (other, item)].map(|(one, without)| state.field(one, Some(without), true));
    let choices = |one: usize, field, below| {
        let mut choices = state.candidates(one, field, below, false);
        choices.sort_unstable_by_key(|(_, member)| *member);
        choices
    };
    let ours = choices(item, &fields[0], most[0]);
    if ours.is_empty() {
        return Vec::new();
    }
    let theirs = choices(other, &fields[1], most[1]);
    let mut theirs = theirs.into_iter().peekable();
    let mut found = Vec::new();
    for (own, member) in ours {
        while theirs.next_if(|(_, there)| *there < member).is_some() {}
        if let Some((their, _)) = theirs.next_if(|(_, there)| *there == member)
            && own.saturating_add(their) < below
        {
            found.push((own + their, member));
        }
    }
    found
}

/// What the dependencies between two placed components add, which both of their scores hold.
fn between(state: &State<'_>, a: usize, b: usize) -> i64 {
    let (Some(at), Some(there)) = (state.place(a), state.place(b)) else { return 0 };
    let problem = state.problem;
    let edges = problem.items[a].calls.iter().filter(|call| call.other == b).count() as i64;
    edges * problem.scales(a).communication(problem.latencies.between(at, there))
}
