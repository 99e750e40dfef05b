//! A plan under way: where each component is, what that adds to the objective function, and what else is possible.

use qonnect_schema::documents::placement::{Filter, Refusal};

use super::loads::Loads;
use super::problem::Problem;
use super::search;

/// A component without a place gives everything for one.
pub(super) const NOWHERE: i64 = i64::MAX / 4;

/// What is beyond the limit of a dependency.
const FAR: i64 = i64::MAX / 2;

/// Where everything is. It outlives a plan, so that the next one starts from it.
#[derive(Debug, Clone, Default)]
pub(super) struct Solution {
    place: Vec<Option<u32>>,
    /// By application with a limit: what it costs, what is not yet placed taken at its least.
    spent: Vec<i64>,
    pub(super) loads: Loads,
    /// What was put somewhere since somebody looked, and where it was before.
    touched: Vec<(u32, Option<u32>)>,
}

impl Solution {
    pub(super) fn new(problem: &Problem) -> Self {
        let mut solution = Self { loads: Loads::new(problem), ..Self::default() };
        solution.grow(problem);
        for app in problem.names.values() {
            solution.open(problem, *app);
        }
        solution
    }

    /// Makes room for what the problem holds by now.
    pub(super) fn grow(&mut self, problem: &Problem) {
        self.place.resize(problem.items.len(), None);
        self.spent.resize(problem.applications.len(), 0);
    }

    /// An application of which nothing is placed.
    pub(super) fn open(&mut self, problem: &Problem, app: usize) {
        let items = problem.applications[app].items.clone();
        self.spent[app] = items.map(|item| problem.items[item].least).sum();
    }

    pub(super) fn place(&self, item: usize) -> Option<usize> {
        self.place[item].map(|member| member as usize)
    }

    /// What is elsewhere than when somebody looked last.
    pub(super) fn look(&mut self) -> Vec<usize> {
        let mut touched = std::mem::take(&mut self.touched);
        // Stable: the first entry of each says where it was.
        touched.sort_by_key(|(item, _)| *item);
        touched.dedup_by_key(|(item, _)| *item);
        touched.retain(|(item, from)| self.place[*item as usize] != *from);
        touched.into_iter().map(|(item, _)| item as usize).collect()
    }
}

#[derive(Debug)]
pub(super) struct State<'p> {
    pub(super) problem: &'p Problem,
    pub(super) solution: &'p mut Solution,
}

/// A neighbour beyond the limit of a dependency; round trip and limit in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Far {
    pub(super) other: usize,
    pub(super) there: usize,
    round_trip: u64,
    limit: u64,
}

/// What the dependencies of a component add, by the cluster it would be on.
#[derive(Debug, Default)]
pub(super) struct Field {
    /// By site; empty if it has no neighbour with a place.
    by_site: Vec<i64>,
    /// On the clusters of its neighbours, where one round trip is zero.
    near: Vec<(usize, i64)>,
}

impl Field {
    pub(super) fn at(&self, problem: &Problem, member: usize) -> i64 {
        match self.near.iter().find(|(near, _)| *near == member) {
            Some((_, value)) => *value,
            None => self.by_site.get(problem.latencies.site(member)).copied().unwrap_or(0),
        }
    }
}

impl<'p> State<'p> {
    pub(super) fn place(&self, item: usize) -> Option<usize> {
        self.solution.place(item)
    }

    /// Puts a component on a cluster, or takes it from where it is.
    pub(super) fn put(&mut self, item: usize, to: Option<usize>) {
        let (problem, from) = (self.problem, self.place(item));
        if from == to {
            return;
        }
        let app = problem.items[item].app;
        if problem.applications[app].limit.is_some() {
            self.solution.spent[app] += self.cost(item, to) - self.cost(item, from);
        }
        if let Some(from) = from {
            self.solution.loads.remove(problem, item, from);
        }
        if let Some(to) = to {
            self.solution.loads.add(problem, item, to);
        }
        self.solution.place[item] = to.map(|to| to as u32);
        self.solution.touched.push((item as u32, from.map(|from| from as u32)));
    }

    /// What it costs there; its least, if nowhere.
    fn cost(&self, item: usize, at: Option<usize>) -> i64 {
        at.map_or(self.problem.items[item].least, |member| self.problem.cost(item, member))
    }

    /// What the component itself adds there; `None` where no filter lets it be.
    pub(super) fn own(&self, item: usize, member: usize) -> Option<i64> {
        let facts = &self.problem.items[item];
        if facts.home == Some(member) {
            return facts.at_home.filter(|_| self.solution.loads.stays(self.problem, item, member));
        }
        if facts.pinned {
            return None;
        }
        Some(self.problem.menus.of(facts.menu).value(member)? + self.moving(item))
    }

    /// What leaving its cluster adds.
    pub(super) fn moving(&self, item: usize) -> i64 {
        if self.problem.runs(item) { self.problem.scales(item).moving() } else { 0 }
    }

    /// What the component adds to the objective function on that cluster, with its neighbours where they are.
    pub(super) fn score(&self, item: usize, member: usize, own: i64) -> i64 {
        own.saturating_add(self.communication(item, member, None, false))
    }

    /// What it adds where it is now.
    pub(super) fn present(&self, item: usize) -> i64 {
        let own = self.place(item).and_then(|member| Some((member, self.own(item, member)?)));
        own.map_or(NOWHERE, |(member, own)| self.score(item, member, own))
    }

    fn communication(&self, item: usize, member: usize, without: Option<usize>, limits: bool) -> i64 {
        let (problem, mut sum) = (self.problem, 0i64);
        let scales = problem.scales(item);
        for call in &problem.items[item].calls {
            let Some(there) = self.place(call.other).filter(|_| Some(call.other) != without) else {
                continue;
            };
            let trip = problem.latencies.between(member, there);
            let far = limits && call.limit.is_some_and(|limit| trip > limit);
            sum = sum.saturating_add(if far { FAR } else { scales.communication(trip) });
        }
        sum
    }

    /// What its dependencies add, wherever it goes; beyond all measure where a limit would break.
    pub(super) fn field(&self, item: usize, without: Option<usize>, limits: bool) -> Field {
        let (problem, mut field) = (self.problem, Field::default());
        let scales = problem.scales(item);
        for call in &problem.items[item].calls {
            let Some(there) = self.place(call.other).filter(|_| Some(call.other) != without) else {
                continue;
            };
            field.by_site.resize(problem.latencies.sites(), 0);
            for (sum, trip) in field.by_site.iter_mut().zip(problem.latencies.from(there)) {
                let far = limits && call.limit.is_some_and(|limit| *trip > limit);
                *sum = sum.saturating_add(if far { FAR } else { scales.communication(*trip) });
            }
            if field.near.iter().all(|(near, _)| *near != there) {
                field.near.push((there, self.communication(item, there, without, limits)));
            }
        }
        field
    }

    /// Tells the clusters where it would add less than `below`, as far as filters and dependencies go, in no
    /// order; with `room`, only those that may have some.
    pub(super) fn scan(
        &self,
        item: usize,
        field: &Field,
        below: i64,
        room: bool,
        mut tell: impl FnMut(i64, u32),
    ) {
        let (problem, loads) = (self.problem, &self.solution.loads);
        let facts = &problem.items[item];
        // Where it runs, and where its neighbours are, its score is not that of its site.
        let mut apart = |member: usize| {
            let score = self.own(item, member)?.saturating_add(field.at(problem, member));
            let sits = facts.home == Some(member) || facts.leaving == Some(member);
            if score < below && (!room || sits || loads.may_fit(facts, member)) {
                tell(score, member as u32);
            }
            Some(())
        };
        facts.home.and_then(&mut apart);
        if facts.pinned {
            return;
        }
        for (near, _) in field.near.iter().filter(|(near, _)| facts.home != Some(*near)) {
            apart(*near);
        }
        let moving = self.moving(item);
        let menu = problem.menus.of(facts.menu);
        let below = below - moving;
        for (member, own) in menu.members.iter().zip(&menu.values) {
            if *own >= below {
                continue;
            }
            let at = *member as usize;
            let score = match field.by_site.as_slice() {
                [] => *own,
                by_site => own.saturating_add(by_site[problem.latencies.site(at)]),
            };
            let told = || facts.home == Some(at) || field.near.iter().any(|(near, _)| *near == at);
            let may_fit = || !room || facts.leaving == Some(at) || loads.may_fit(facts, at);
            if score < below && may_fit() && !told() {
                tell(score + moving, *member);
            }
        }
    }

    /// What [`Self::scan`] tells.
    pub(super) fn candidates(&self, item: usize, field: &Field, below: i64, room: bool) -> Vec<(i64, u32)> {
        let mut found = Vec::new();
        self.scan(item, field, below, room, |score, member| found.push((score, member)));
        found
    }

    /// The best cluster that can take the component now, where it would add less than `below`.
    pub(super) fn best(&mut self, item: usize, field: &Field, below: i64) -> Option<usize> {
        // Most often one of the first will do, and looking for it again costs less than sorting.
        const LOOKS_MAX: usize = 4;
        let mut last = (i64::MIN, 0);
        for _ in 0..LOOKS_MAX {
            let mut next = (i64::MAX, 0);
            self.scan(item, field, below, true, |score, member| {
                if (score, member) > last && (score, member) < next {
                    next = (score, member);
                }
            });
            if next.0 == i64::MAX {
                return None;
            }
            if self.can(item, next.1 as usize) {
                return Some(next.1 as usize);
            }
            last = next;
        }
        let mut rest = self.candidates(item, field, below, true);
        rest.retain(|candidate| *candidate > last);
        search::best_first(rest).map(|(_, member)| member).find(|member| self.can(item, *member))
    }

    pub(super) fn fits(&mut self, item: usize, member: usize) -> bool {
        self.solution.loads.fits(self.problem, item, member)
    }

    /// Whether a possible cluster can take the component now, all else staying where it is.
    pub(super) fn can(&mut self, item: usize, member: usize) -> bool {
        self.too_far(item, member).is_none() && self.within_limit(item, member) && self.fits(item, member)
    }

    /// The first neighbour that would be too far away.
    pub(super) fn too_far(&self, item: usize, member: usize) -> Option<Far> {
        self.problem.items[item].calls.iter().find_map(|call| {
            let (limit, there) = (call.limit?, self.place(call.other)?);
            let round_trip = self.problem.latencies.between(member, there);
            (round_trip > limit).then_some(Far { other: call.other, there, round_trip, limit })
        })
    }

    /// A limit that is broken already must not be broken further.
    fn within_limit(&self, item: usize, member: usize) -> bool {
        let app = self.problem.items[item].app;
        let Some(limit) = self.problem.applications[app].limit else { return true };
        let before = self.solution.spent[app];
        let after = before + self.cost(item, Some(member)) - self.cost(item, self.place(item));
        after <= limit || (self.place(item).is_some() && after < before)
    }

    pub(super) fn over_limit(&self, app: usize) -> bool {
        self.problem.applications[app].limit.is_some_and(|limit| self.solution.spent[app] > limit)
    }

    /// Why a cluster that no filter refuses by itself cannot take the component now.
    pub(super) fn refusal(&mut self, item: usize, member: usize) -> Option<Refusal> {
        let problem = self.problem;
        if self.place(item) == Some(member) && self.own(item, member).is_some() {
            return None;
        }
        if !self.fits(item, member) {
            return Some(self.solution.loads.refusal(problem, item, member));
        }
        if let Some(far) = self.too_far(item, member) {
            return Some(far.refusal(problem));
        }
        let limit = problem.app(item).limit?;
        let cost = self.cost(item, Some(member));
        let others = problem.app(item).items.clone().filter(|other| *other != item);
        let least: i64 = others.map(|other| problem.items[other].least).sum();
        if cost + least > limit {
            return Some(dear(cost, least, limit));
        }
        if self.place(item) == Some(member) || self.within_limit(item, member) {
            return None;
        }
        let rest = self.solution.spent[problem.items[item].app] - self.cost(item, self.place(item));
        Some(dear(cost, rest, limit))
    }

    /// Whether [`Self::refusal`] has a reason, without the words.
    pub(super) fn refuses(&mut self, item: usize, member: usize) -> bool {
        if self.place(item) == Some(member) && self.own(item, member).is_some() {
            return false;
        }
        if !self.fits(item, member) || self.too_far(item, member).is_some() {
            return true;
        }
        self.problem.app(item).limit.is_some() && self.refusal(item, member).is_some()
    }
}

impl Far {
    fn refusal(&self, problem: &Problem) -> Refusal {
        let (component, cluster) = (&problem.component(self.other).name, &problem.members[self.there].name);
        let [round_trip, limit] = [self.round_trip, self.limit].map(|us| us as f64 / 1000.0);
        let message = format!("{round_trip}ms to {component} on {cluster}, at most {limit}ms are allowed");
        Refusal { filter: Filter::Latency, message }
    }
}

/// The refusal of a component that costs too much beside the rest of its application.
fn dear(cost: i64, rest: i64, limit: i64) -> Refusal {
    let [cost, rest, limit] = [cost, rest, limit].map(|micro| micro as f64 / 1e6);
    let message =
        format!("costs {cost} per hour here and {rest} for the rest, the application may cost {limit}");
    Refusal { filter: Filter::Limit, message }
}
