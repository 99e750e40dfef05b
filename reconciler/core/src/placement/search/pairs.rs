//! A caller and a callee move together to one cluster, where neither would go alone.

use super::super::state::State;
use super::best_first;

/// How many clusters a pair tries in one pass, the best first.
const TRIED_MAX: usize = 8;

pub(super) fn join(state: &mut State<'_>, item: usize) -> bool {
    let problem = state.problem;
    let mut improved = false;
    for call in problem.items[item].calls.iter().filter(|call| call.outgoing) {
        let other = call.other;
        let (Some(from), Some(others_from)) = (state.place(item), state.place(other)) else { continue };
        let before = state.present(item).saturating_add(state.present(other)) - between(state, item, other);
        let candidates = together(state, item, other, before);
        improved |= best_first(candidates).take(TRIED_MAX).any(|(_, member)| {
            if member == from && member == others_from {
                return false;
            }
            // Asking for room costs less than moving both and back.
            let room = (member == from || state.fits(item, member))
                && (member == others_from || state.fits(other, member));
            if !room {
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
    let (ours, theirs) = (state.field(item, Some(other), true), state.field(other, Some(item), true));
    let (a, b) = (&problem.items[item], &problem.items[other]);
    let mut found = Vec::new();
    let mut weigh = |member: usize, own: i64, their: i64| {
        let sum = own.saturating_add(their);
        let sum = sum.saturating_add(ours.at(problem, member)).saturating_add(theirs.at(problem, member));
        if sum < below {
            found.push((sum, member as u32));
        }
    };
    // Where one of them is or runs it has room, and adds something else than whoever is new.
    let (at, there) = (state.place(item), state.place(other));
    let known: Vec<usize> = [a.home, b.home, at, there].into_iter().flatten().collect();
    for (nth, member) in known.iter().enumerate() {
        if !known[..nth].contains(member)
            && let (Some(own), Some(their)) = (state.own(item, *member), state.own(other, *member))
        {
            weigh(*member, own, their);
        }
    }
    if a.pinned || b.pinned {
        return found;
    }
    let (first, second) = (problem.menus.of(a.menu), problem.menus.of(b.menu));
    let moving = [state.moving(item), state.moving(other)];
    let mut next = 0;
    for (member, own) in first.members.iter().zip(&first.values) {
        let own = own + moving[0];
        if own >= most[0] {
            continue;
        }
        next += second.members[next..].iter().take_while(|there| *there < member).count();
        let Some(there) = second.members.get(next) else { break };
        let their = second.values[next] + moving[1];
        let place = *member as usize;
        let room = || state.solution.loads.may_fit_both(a, b, place);
        let barred = || problem.barred(item, place) || problem.barred(other, place);
        if there == member
            && own.saturating_add(their) < below
            && !known.contains(&place)
            && room()
            && !barred()
        {
            weigh(place, own, their);
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
