//! Room for what may die, where too little is kept: components that are not guarded there go where they take none of it.
//!
//! What is on its way counts as gone, so that planning again sends nobody else.

use qonnect_schema::documents::application::Strategy;

use super::super::reserve::Lack;
use super::super::state::{NOWHERE, State};
use super::{best_first, group};

/// How many components are asked to move for one lack: each looks at all clusters, and where so many have nowhere to
/// go there is hardly room for the next one.
const ASKED_MAX: usize = 256;

/// How many clusters are tried for components that go together, since what is left of each lack is counted anew there.
const TRIED_MAX: usize = 16;

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

/// Those that matter least first; of these the smallest that is enough alone, else the largest. Of those that go together
/// the first stands for all.
fn candidates(state: &State<'_>, lack: &Lack) -> Vec<usize> {
    let (problem, reserve) = (state.problem, &state.solution.reserve);
    let size = |item: usize| problem.items[item].total[lack.resource];
    let may_go = |item: &usize| {
        let facts = &problem.items[*item];
        let in_the_way =
            state.place(*item).is_some_and(|member| reserve.is_in_the_way(problem, lack, *item, member));
        let settled = facts.leaving.is_none() && !facts.pinned;
        in_the_way && settled && problem.app(*item).strategy() == Strategy::Optimal
    };
    let rank = |item: usize| {
        let company = company(state, item);
        let all: u64 = company.iter().map(|item| size(*item)).sum();
        let goes = company[0] == item && all > 0 && company.iter().all(may_go);
        goes.then(|| (problem.app(item).priority(), lack.amount().saturating_sub(all), all, item))
    };
    let mut candidates: Vec<_> = problem.live().filter(may_go).filter_map(rank).collect();
    candidates.sort_unstable();
    candidates.into_iter().map(|(_, _, _, item)| item).collect()
}

/// Who must be where it is, and itself.
fn company(state: &State<'_>, item: usize) -> Vec<usize> {
    if state.is_grouped(item) { state.problem.group(item) } else { vec![item] }
}

/// Sends one, and all that go with it, where they are not in the way and where nothing else breaks.
fn send(state: &mut State<'_>, lack: &Lack, item: usize) -> bool {
    let company = company(state, item);
    let to = match company.len() {
        1 => send_one(state, lack, item),
        _ => send_all(state, lack, &company),
    };
    let Some(to) = to else { return false };
    for item in company {
        // By itself it would not go.
        let moves = state.problem.moves(item, to);
        state.solution.set_yields(item, moves);
    }
    true
}

fn send_one(state: &mut State<'_>, lack: &Lack, item: usize) -> Option<usize> {
    let field = state.field(item, None, true);
    let mut elsewhere = state.candidates(item, &field, NOWHERE, true);
    let (problem, reserve) = (state.problem, &state.solution.reserve);
    elsewhere.retain(|(_, member)| !reserve.is_in_the_way(problem, lack, item, *member as usize));
    let to = best_first(elsewhere).map(|(_, member)| member).find(|member| state.can(item, *member))?;
    state.put(item, Some(to));
    Some(to)
}

/// On the way nobody may say that something is missing: all of them are gone then, and have yet to come.
fn send_all(state: &mut State<'_>, lack: &Lack, company: &[usize]) -> Option<usize> {
    let (moves, before) = (state.solution.moves(), state.solution.reserve.lacks());
    company.iter().for_each(|item| state.put(*item, None));
    let gone = state.solution.moves();
    let mut elsewhere = group::common(state, company);
    let (problem, reserve) = (state.problem, &state.solution.reserve);
    let in_the_way = |item: &usize, member: u32| reserve.is_in_the_way(problem, lack, *item, member as usize);
    elsewhere.retain(|(_, member)| !company.iter().any(|item| in_the_way(item, *member)));
    for (_, member) in best_first(elsewhere).take(TRIED_MAX) {
        let fit = company.iter().all(|item| {
            let may = state.may(*item, member);
            if may {
                state.put(*item, Some(member));
            }
            may
        });
        if fit && state.solution.reserve.lacks_no_more_than(&before) {
            return Some(member);
        }
        state.back_to(gone);
    }
    state.back_to(moves);
    None
}
