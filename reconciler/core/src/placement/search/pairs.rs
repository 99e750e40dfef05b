//! A caller and a callee move together to one cluster, where neither would go alone.

use super::super::glance::Glance;
use super::super::state::State;
use super::best_first;
use super::watch::Look;

/// How many clusters a pair tries in one pass, the best first.
const TRIED_MAX: usize = 8;

/// Looks for a cluster for each callee and the component together, of some clusters or of all.
pub(super) fn join(state: &mut State<'_>, item: usize, look: Look<'_>) -> bool {
    let problem = state.problem;
    let mut improved = false;
    for call in problem.items[item].calls.iter().filter(|call| call.outgoing) {
        let other = call.other;
        let (Some(from), Some(others_from)) = (state.place(item), state.place(other)) else { continue };
        if let Look::At(members) = look
            && !members.iter().any(|member| may_take_both(state, [item, other], *member as usize))
        {
            continue;
        }
        let before = state.present(item).saturating_add(state.present(other)) - between(state, item, other);
        let candidates = together(state, [item, other], before, look);
        improved |= best_first(candidates).take(TRIED_MAX).any(|(_, member)| {
            if member == from && member == others_from {
                return false;
            }
            // Asking for room costs less than moving both and back.
            let room = (member == from || state.fits(item, member))
                && (member == others_from || state.fits(other, member));
            room && put_both(state, [item, other], member)
        });
    }
    improved
}

/// Whether there may be room for both, also if pods went to other nodes.
fn may_take_both(state: &State<'_>, pair: [usize; 2], member: usize) -> bool {
    pair.into_iter().all(|item| {
        let is_there = state.place(item) == Some(member) || state.problem.sits_on(item, member);
        is_there || state.solution.loads.has_left(&state.problem.items[item], member)
    })
}

fn put_both(state: &mut State<'_>, pair: [usize; 2], member: usize) -> bool {
    let moves = state.solution.moves();
    pair.iter().for_each(|item| state.put(*item, None));
    for item in pair {
        if !state.can(item, member) {
            state.back_to(moves);
            return false;
        }
        state.put(item, Some(member));
    }
    true
}

/// The clusters where both would add less than `below`.
fn together(state: &State<'_>, [item, other]: [usize; 2], below: i64, look: Look<'_>) -> Vec<(i64, u32)> {
    let problem = state.problem;
    let least = |item: usize| {
        let facts = &problem.items[item];
        problem.menus.of(facts.menu).least.min(facts.at_home.unwrap_or(i64::MAX))
    };
    if least(item).saturating_add(least(other)) >= below {
        return Vec::new();
    }
    let (ours, theirs) = (state.field(item, Some(other), true), state.field(other, Some(item), true));
    let below_ours = below.saturating_sub(least(other).saturating_add(theirs.least()));
    if least(item).saturating_add(ours.least()) >= below_ours {
        return Vec::new();
    }
    let (a, b) = (&problem.items[item], &problem.items[other]);
    let mut found = Vec::new();
    let mut weigh = |member: usize| {
        let own = state.own(item, member)?.saturating_add(ours.at(problem, member));
        if own >= below_ours {
            return None;
        }
        let their = state.own(other, member)?.saturating_add(theirs.at(problem, member));
        let sum = own.saturating_add(their);
        if sum < below {
            found.push((sum, member as u32));
        }
        Some(())
    };
    if let Look::At(members) = look {
        members.iter().for_each(|member| _ = weigh(*member as usize));
        return found;
    }
    // Where one of them is or runs it has room, and adds something else than whoever is new; where neighbours are,
    // dependencies add less than elsewhere at the same site.
    let here = [a.home, b.home, state.place(item), state.place(other)].into_iter().flatten();
    let mut known: Vec<usize> = here.chain(ours.near()).chain(theirs.near()).collect();
    known.sort_unstable();
    known.dedup();
    known.iter().filter(|member| look.sees(**member)).for_each(|member| _ = weigh(*member));
    if a.pinned || b.pinned {
        return found;
    }
    let (first, second) = (problem.menus.of(a.menu), problem.menus.of(b.menu));
    let (loads, asked) = (&state.solution.loads, Glance::asked_by_both(a, b));
    let moving = state.moving(item) + state.moving(other);
    let below_ours = below_ours - state.moving(item);
    let seems_worth = below_ours.saturating_sub(ours.least_away());
    first.tell(seems_worth, (loads.glances(), asked), look, |member, own| {
        let own = own.saturating_add(ours.away(problem, member));
        if own < below_ours
            && loads.may_fit_both(a, b, member)
            && let Some(their) = second.value(member)
        {
            let both = own.saturating_add(their + moving).saturating_add(theirs.away(problem, member));
            let barred = || {
                let by_one = problem.barred(item, member) || problem.barred(other, member);
                by_one || ours.bars(problem, member) || theirs.bars(problem, member)
            };
            if both < below && known.binary_search(&member).is_err() && !barred() {
                found.push((both, member as u32));
            }
        }
        seems_worth
    });
    found
}

/// What the dependencies between two placed components add, which both of their scores hold.
fn between(state: &State<'_>, a: usize, b: usize) -> i64 {
    let (Some(at), Some(there)) = (state.place(a), state.place(b)) else { return 0 };
    let problem = state.problem;
    let edges = problem.items[a].calls.iter().filter(|call| call.other == b);
    edges.map(|call| problem.communication(a, call, at, there)).sum()
}
