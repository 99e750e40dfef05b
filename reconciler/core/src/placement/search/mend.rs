//! Room for what may die, where too little is kept: components that are not guarded there go where they take none of it.
//!
//! What is on its way counts as gone, so that planning again sends nobody else.

use qonnect_schema::documents::application::Strategy;

use super::super::reserve::Lack;
use super::super::state::{NOWHERE, State};
use super::best_first;

/// How many components are asked to move for one lack: each looks at all clusters, and where so many have nowhere to
/// go there is hardly room for the next one.
const ASKED_MAX: usize = 256;

/// Looks at each lack once, since mending one makes none larger; true if anybody goes.
pub(super) fn all(state: &mut State<'_>) -> bool {
    let moves = state.solution.moves();
    for lack in state.solution.reserve.lacks() {
        let mut asked = 0;
        loop {
            let left = state.solution.reserve.left(&lack);
            let mut candidates = candidates(state, &left).into_iter().take(ASKED_MAX - asked);
            let sent = left.is_any()
                && candidates.any(|item| {
                    asked += 1;
                    send(state, &left, item)
                });
            if !sent {
                break;
            }
        }
    }
    state.solution.moves() > moves
}

/// Those that matter least first; of these the smallest that is enough alone, else the largest.
fn candidates(state: &State<'_>, lack: &Lack) -> Vec<usize> {
    let (problem, reserve) = (state.problem, &state.solution.reserve);
    let size = |item: usize| problem.items[item].total[lack.resource];
    let may_go = |item: &usize| {
        let facts = &problem.items[*item];
        let in_the_way =
            state.place(*item).is_some_and(|member| reserve.is_in_the_way(problem, lack, *item, member));
        let settled = facts.leaving.is_none() && !facts.pinned;
        in_the_way && settled && size(*item) > 0 && problem.app(*item).strategy() == Strategy::Optimal
    };
    let mut candidates: Vec<usize> = problem.live().filter(may_go).collect();
    candidates.sort_by_cached_key(|item| {
        let missing = lack.amount().saturating_sub(size(*item));
        (problem.app(*item).priority(), missing, size(*item), *item)
    });
    candidates
}

/// Sends one where it is not in the way, and where nothing else breaks.
fn send(state: &mut State<'_>, lack: &Lack, item: usize) -> bool {
    let field = state.field(item, None, true);
    let mut elsewhere = state.candidates(item, &field, NOWHERE, true);
    let (problem, reserve) = (state.problem, &state.solution.reserve);
    elsewhere.retain(|(_, member)| !reserve.is_in_the_way(problem, lack, item, *member as usize));
    let to = best_first(elsewhere).map(|(_, member)| member).find(|member| state.can(item, *member));
    if let Some(to) = to {
        state.put(item, Some(to));
        // By itself it would not go.
        state.solution.set_yields(item, problem.moves(item, to));
    }
    to.is_some()
}
