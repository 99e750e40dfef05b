//! From positions back to names: the decision for one component, what it scores, and why not elsewhere.

use std::collections::BTreeMap;

use qonnect_schema::documents::application::Strategy;
use qonnect_schema::documents::placement::{Binding, Candidate, ComponentPlacement, Filter, Refusal, Score};

use super::OTHERS_MAX;
use super::borda;
use super::filter;
use super::objective::Raw;
use super::search::{Look, best_first};
use super::state::State;

/// The decision for one component, with at most `others_max` other clusters.
pub(super) fn component(state: &mut State<'_>, item: usize, others_max: usize) -> ComponentPlacement {
    let problem = state.problem;
    let placed = state.place(item);
    let ranking = Ranking::new(state, item);
    let cluster = match placed {
        Some(member) => Some(&problem.members[member].name),
        None => problem.items[item].stray.as_ref(),
    };
    ComponentPlacement {
        cluster: cluster.cloned(),
        score: placed.map(|member| ranking.score(state, member)),
        others: others(state, item, &ranking, others_max),
        binding: if others_max == usize::MAX { binding(state, item, &ranking) } else { Vec::new() },
        ..ComponentPlacement::default()
    }
}

/// The best first, then those that are refused, by name. A cluster that could not be left is among them.
fn others(state: &mut State<'_>, item: usize, ranking: &Ranking, others_max: usize) -> Vec<Candidate> {
    let problem = state.problem;
    // Most often enough of the first can take it, and nobody asks who refuses.
    let (mut best, mut refused) = sort_out(state, item, &ranking.first(state, others_max), others_max);
    if best.len() < others_max {
        (best, refused) = sort_out(state, item, &ranking.order(state), others_max);
    }
    let rest = others_max - best.len();
    let capacity = std::mem::take(&mut refused);
    let mut filtered = capacity.clone();
    filtered.sort_unstable();
    for member in (0..problem.members.len()).take_while(|_| rest > 0) {
        if filtered.binary_search(&member).is_ok() || filter::refused(problem, item, member).is_some() {
            refused.push(member);
            if refused.len() == rest {
                break;
            }
        }
    }
    let name = |member: usize| problem.members[member].name.clone();
    let mut others: Vec<Candidate> = best
        .into_iter()
        .map(|member| Candidate {
            cluster: name(member),
            score: Some(ranking.score(state, member)),
            refused: None,
        })
        .collect();
    for member in refused {
        let why = refusal(state, item, member);
        others.push(Candidate { cluster: name(member), score: None, refused: why });
    }
    others
}

/// Of some clusters, those that can take it beside its own, and those that refuse it, until there are enough.
fn sort_out(
    state: &mut State<'_>,
    item: usize,
    order: &[usize],
    others_max: usize,
) -> (Vec<usize>, Vec<usize>) {
    let (mut best, mut refused) = (Vec::new(), Vec::new());
    for &member in order {
        if best.len() == others_max {
            break;
        }
        if state.refuses(item, member) {
            refused.push(member);
        } else if state.place(item) != Some(member) {
            best.push(member);
        }
    }
    (best, refused)
}

fn refusal(state: &mut State<'_>, item: usize, member: usize) -> Option<Refusal> {
    match filter::refused(state.problem, item, member) {
        Some(why) => Some(why.refusal()),
        None => state.refusal(item, member),
    }
}

/// The filters that refuse clusters where it would add less, each with the best of them.
fn binding(state: &mut State<'_>, item: usize, ranking: &Ranking) -> Vec<Binding> {
    let problem = state.problem;
    let placed = state.place(item).filter(|_| problem.app(item).strategy() == Strategy::Optimal);
    let Some(placed) = placed else { return Vec::new() };
    let own = ranking.score(state, placed).total;
    let mut best: BTreeMap<Filter, (i64, usize)> = BTreeMap::new();
    // Without nodes nothing costs anything.
    let others =
        (0..problem.members.len()).filter(|at| *at != placed && !problem.members[*at].nodes.is_empty());
    for member in others {
        let total = ranking.score(state, member).total;
        if let Some(refused) = refusal(state, item, member).filter(|_| total < own) {
            let known = best.entry(refused.filter).or_insert((total, member));
            *known = (*known).min((total, member));
        }
    }
    let cost = |member: usize| {
        let traffic = exchanged(state, item, member);
        problem.raw(item, member).cost + traffic.as_flattened().iter().map(|raw| raw.cost).sum::<f64>()
    };
    let binding = best.into_iter().map(|(filter, (total, member))| Binding {
        filter,
        cluster: problem.members[member].name.clone(),
        gain: own - total,
        cost_per_hour: cost(placed) - cost(member),
    });
    binding.collect()
}

/// The clusters that the filters of one component admit, in the order of its strategy.
struct Ranking {
    item: usize,
    /// For Borda: the points, in the order of them.
    points: Vec<borda::Points>,
}

impl Ranking {
    fn new(state: &State<'_>, item: usize) -> Self {
        let points = match state.problem.app(item).strategy() {
            Strategy::Borda => borda::order(state, item),
            Strategy::Optimal => Vec::new(),
        };
        Self { item, points }
    }

    /// The first of those that may have room: in a fleet that is well filled, these and no others are enough.
    fn first(&self, state: &State<'_>, others_max: usize) -> Vec<usize> {
        if !self.points.is_empty() || others_max > OTHERS_MAX {
            return Vec::new();
        }
        let field = state.field(self.item, None, false);
        let few = state.few(self.item, &field, i64::MAX, Look::Everywhere, 2 * OTHERS_MAX);
        few.into_iter().map(|(_, member)| member as usize).collect()
    }

    fn order(&self, state: &State<'_>) -> Vec<usize> {
        if !self.points.is_empty() {
            return self.points.iter().map(|points| points.member).collect();
        }
        let problem = state.problem;
        let field = state.field(self.item, None, false);
        let mut candidates = state.candidates(self.item, &field, i64::MAX, false);
        // What no node can hold comes last; it is refused all the same.
        let facts = &problem.items[self.item];
        let all_hold = problem.menus.of(facts.menu).members.len() == problem.menus.admitted(facts.menu).len();
        if !all_hold || facts.home.is_some() {
            let mut listed: Vec<u32> = candidates.iter().map(|(_, member)| *member).collect();
            listed.sort_unstable();
            let rest = borda::admitted(problem, self.item).into_iter().map(|member| member as u32);
            let rest = rest.filter(|member| listed.binary_search(member).is_err());
            candidates.extend(rest.map(|member| (i64::MAX, member)));
        }
        best_first(candidates).map(|(_, member)| member).collect()
    }

    fn score(&self, state: &State<'_>, member: usize) -> Score {
        let (problem, item) = (state.problem, self.item);
        let app = problem.app(item);
        if app.strategy() == Strategy::Borda {
            let points = self.points.iter().find(|points| points.member == member);
            // Where a component stays that could not be placed, its cluster was not ranked.
            return borda::score(problem, item, points.unwrap_or(&borda::Points::default()));
        }
        let exchanged = exchanged(state, item, member);
        let moving = problem.runs(item).then_some(problem.items[item].moving);
        app.scales.score(&problem.raw(item, member), &exchanged, moving, problem.moves(item, member))
    }
}

/// What its dependencies take, with the component there.
fn exchanged(state: &State<'_>, item: usize, member: usize) -> Vec<[Raw; 2]> {
    let calls = state.problem.items[item].calls.iter();
    calls.filter_map(|call| Some(state.problem.exchanged(call, member, state.place(call.other)?))).collect()
}
