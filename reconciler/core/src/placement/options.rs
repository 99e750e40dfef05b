//! The clusters that are possible for each component before anything new is placed.

use qonnect_schema::documents::placement::{Filter, Refusal};

use super::filter;
use super::problem::{Problem, micro};
use super::state::Loads;

/// A cluster that could take a component.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) member: usize,
    /// What the component itself would add to the objective function there.
    pub(super) value: i64,
    /// What it would cost there, in millionths of the currency per hour.
    pub(super) cost: i64,
}

#[derive(Debug)]
pub(super) struct Options {
    /// By component, in the order of the clusters.
    of: Vec<Vec<Choice>>,
    /// What the filters from `Tier` to `Lease` admit.
    admitted: Vec<Vec<usize>>,
    /// The least that each component can cost where it is admitted, room or not.
    pub(super) least: Vec<i64>,
}

impl Options {
    pub(super) fn new(problem: &Problem<'_>, loads: &mut Loads<'_, '_>) -> Self {
        let items = 0..problem.items.len();
        let admits = |item, member: &usize| filter::refused(problem, item, *member).is_none();
        let admitted: Vec<Vec<usize>> = items
            .clone()
            .map(|item| (0..problem.members.len()).filter(|member| admits(item, member)).collect())
            .collect();
        let cost = |item, member| micro(problem.raw(item, member).cost);
        let least = |item: usize| match problem.app(item).limit {
            None => 0,
            Some(_) => {
                let possible = admitted[item].iter().copied().chain(problem.items[item].home);
                possible.map(|member| cost(item, member)).min().unwrap_or(0)
            }
        };
        let least = items.clone().map(least).collect();
        let of = items.map(|item| choices(problem, loads, item, &admitted[item])).collect();
        let mut options = Self { of, admitted, least };
        for item in 0..problem.items.len() {
            let mut choices = std::mem::take(&mut options.of[item]);
            choices.retain(|choice| options.too_dear(problem, item, choice.cost).is_none());
            options.of[item] = choices;
        }
        options
    }

    pub(super) fn of(&self, item: usize) -> &[Choice] {
        &self.of[item]
    }

    /// The clusters that the filters from `Tier` to `Lease` admit.
    pub(super) fn admitted(&self, item: usize) -> Vec<usize> {
        self.admitted[item].clone()
    }

    pub(super) fn at(&self, item: usize, member: usize) -> Option<&Choice> {
        let choices = &self.of[item];
        choices.binary_search_by_key(&member, |choice| choice.member).ok().map(|at| &choices[at])
    }

    /// Even with everything else where it is cheapest, the application would cost more than it may.
    pub(super) fn too_dear(&self, problem: &Problem<'_>, item: usize, cost: i64) -> Option<Refusal> {
        let app = problem.app(item);
        let limit = app.limit?;
        let rest: i64 = app.items.clone().filter(|other| *other != item).map(|other| self.least[other]).sum();
        (cost + rest > limit).then(|| dear(cost, rest, limit))
    }
}

/// The refusal of a component that costs too much beside the rest of its application.
pub(super) fn dear(cost: i64, rest: i64, limit: i64) -> Refusal {
    let [cost, rest, limit] = [cost, rest, limit].map(|micro| micro as f64 / 1e6);
    let message =
        format!("costs {cost} per hour here and {rest} for the rest, the application may cost {limit}");
    Refusal { filter: Filter::Limit, message }
}

fn choices(problem: &Problem<'_>, loads: &mut Loads<'_, '_>, item: usize, admitted: &[usize]) -> Vec<Choice> {
    let scales = &problem.app(item).scales;
    let with_room = admitted.iter().copied().filter(|member| loads.fits(item, *member));
    with_room
        .map(|member| {
            let raw = problem.raw(item, member);
            Choice { member, value: scales.own(&raw, problem.moves(item, member)), cost: micro(raw.cost) }
        })
        .collect()
}
