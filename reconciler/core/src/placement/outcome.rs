//! From positions back to names: the decision for one component, what it scores, and why not elsewhere.

use qonnect_schema::documents::application::Strategy;
use qonnect_schema::documents::placement::{Candidate, ComponentPlacement, Refusal, Score};

use super::borda;
use super::filter;
use super::state::State;

/// The decision for one component, with at most `others_max` other clusters.
pub(super) fn component(state: &mut State<'_, '_>, item: usize, others_max: usize) -> ComponentPlacement {
    let problem = state.problem;
    let placed = state.place(item);
    let ranking = Ranking::new(state, item);
    let cluster = match placed {
        Some(member) => Some(problem.members[member].name),
        None => problem.items[item].stray,
    };
    ComponentPlacement {
        cluster: cluster.map(Into::into),
        moving: None,
        gave_up: None,
        score: placed.map(|member| ranking.score(state, member)),
        others: others(state, item, &ranking, others_max),
    }
}

/// The best first, then those that are refused, by name. A cluster that could not be left is among them.
fn others(state: &mut State<'_, '_>, item: usize, ranking: &Ranking, others_max: usize) -> Vec<Candidate> {
    let problem = state.problem;
    let mut best = Vec::new();
    let mut refused: Vec<(usize, Refusal)> = Vec::new();
    for (at, member) in ranking.order.iter().enumerate() {
        if best.len() == others_max {
            break;
        }
        match state.refusal(item, *member) {
            Some(refusal) => refused.push((*member, refusal)),
            None if state.place(item) == Some(*member) => {}
            None => best.push((at, *member)),
        }
    }
    let rest = others_max - best.len();
    for member in 0..problem.members.len() {
        if refused.len() >= rest {
            break;
        }
        if let Some(why) = filter::refused(problem, item, member) {
            refused.push((member, why.refusal()));
        }
    }
    refused.sort_by_key(|(member, _)| *member);
    refused.truncate(rest);
    let name = |member: usize| problem.members[member].name.to_owned();
    let scored = best.into_iter().map(|(_, member)| Candidate {
        cluster: name(member),
        score: Some(ranking.score(state, member)),
        refused: None,
    });
    let refused = refused.into_iter().map(|(member, refusal)| Candidate {
        cluster: name(member),
        score: None,
        refused: Some(refusal),
    });
    scored.chain(refused).collect()
}

/// The clusters that the filters of one component admit, in the order of its strategy.
struct Ranking {
    item: usize,
    order: Vec<usize>,
    /// For Borda: the points, in the same order.
    points: Vec<borda::Points>,
}

impl Ranking {
    fn new(state: &State<'_, '_>, item: usize) -> Self {
        match state.problem.app(item).strategy() {
            Strategy::Borda => {
                let points = borda::order(state, item);
                Self { item, order: points.iter().map(|points| points.member).collect(), points }
            }
            Strategy::Optimal => {
                let own = |member| {
                    let raw = state.problem.raw(item, member);
                    state.problem.app(item).scales.own(&raw, state.problem.moves(item, member))
                };
                let mut order = state.options.admitted(item);
                order.sort_by_cached_key(|member| state.score(item, *member, own(*member)));
                Self { item, order, points: Vec::new() }
            }
        }
    }

    fn score(&self, state: &State<'_, '_>, member: usize) -> Score {
        let (problem, item) = (state.problem, self.item);
        let app = problem.app(item);
        if app.strategy() == Strategy::Borda {
            let points = self.points.iter().find(|points| points.member == member);
            // Where a component stays that could not be placed, its cluster was not ranked.
            return borda::score(problem, item, points.unwrap_or(&borda::Points::default()));
        }
        let trip = |other: usize| state.place(other).map(|there| problem.latencies.between(member, there));
        let trips: Vec<u64> = problem.items[item].calls.iter().filter_map(|call| trip(call.other)).collect();
        let runs = problem.items[item].home.is_some() || problem.items[item].stray.is_some();
        app.scales.score(&problem.raw(item, member), &trips, runs, problem.moves(item, member))
    }
}
