//! Components that must be on one cluster together are placed and moved together.

use super::super::state::{NOWHERE, State};
use super::best_first;
use super::neighbourhood::sum;

/// Puts a component and all that must be with it on the best cluster that takes them all; true if that is better
/// than before.
pub(super) fn settle(state: &mut State<'_>, item: usize) -> bool {
    let group = state.problem.group(item);
    let moves = state.solution.moves();
    let present = sum(state, &group);
    group.iter().for_each(|item| state.put(*item, None));
    for (score, member) in best_first(common(state, &group)) {
        if score >= present {
            break;
        }
        if put_all(state, &group, member) {
            return true;
        }
    }
    state.back_to(moves);
    false
}

/// The clusters that each of them could choose, none of them having a place, with what they add together.
pub(super) fn common(state: &State<'_>, group: &[usize]) -> Vec<(i64, u32)> {
    let Some((first, rest)) = group.split_first() else { return Vec::new() };
    let field = state.field(*first, None, true);
    let mut found = state.candidates(*first, &field, NOWHERE, false);
    for item in rest {
        let field = state.field(*item, None, true);
        found.retain_mut(|(score, member)| {
            let at = *member as usize;
            let own = state.own(*item, at).map(|own| own.saturating_add(field.at(state.problem, at)));
            *score = score.saturating_add(own.unwrap_or(NOWHERE));
            *score < NOWHERE
        });
    }
    found
}

fn put_all(state: &mut State<'_>, group: &[usize], member: usize) -> bool {
    let moves = state.solution.moves();
    for item in group {
        if !state.can(*item, member) {
            state.back_to(moves);
            return false;
        }
        state.put(*item, Some(member));
    }
    true
}
