//! A plan under way: where each component is, and what that adds to the objective function.

use std::collections::BTreeSet;

use super::limit::Used;
use super::loads::Loads;
use super::problem::Problem;
use super::reserve::{Reserve, Shift};

/// A component without a place gives everything for one.
pub(super) const NOWHERE: i64 = i64::MAX / 4;

/// What is beyond the limit of a dependency.
pub(super) const FAR: i64 = i64::MAX / 2;

/// Where everything is. It outlives a plan, so that the next one starts from it.
#[derive(Debug, Clone, Default)]
pub(super) struct Solution {
    place: Vec<Option<u32>>,
    /// By application with a limit: what it uses, what is not yet placed taken at its least.
    pub(super) used: Vec<Used>,
    pub(super) loads: Loads,
    pub(super) reserve: Reserve,
    /// What moves away from where it runs to make room for what matters more.
    yielding: BTreeSet<u32>,
    /// What had no place when somebody looked; some may have one by now, or be gone.
    homeless: BTreeSet<u32>,
    /// What was put somewhere since somebody looked, and where it was before, in this order.
    touched: Vec<(u32, Option<u32>)>,
}

impl Solution {
    pub(super) fn new(problem: &Problem) -> Self {
        let mut solution = Self { loads: Loads::new(problem), ..Self::default() };
        solution.grow(problem);
        for app in problem.names.values() {
            solution.account(problem, *app);
        }
        solution.homeless = problem.live().map(|item| item as u32).collect();
        solution.guard(problem);
        solution
    }

    /// Counts anew what must find room elsewhere.
    pub(super) fn guard(&mut self, problem: &Problem) {
        self.reserve = Reserve::new(problem, |item| self.place(item));
    }

    /// Makes room for what the problem holds by now.
    pub(super) fn grow(&mut self, problem: &Problem) {
        self.place.resize(problem.items.len(), None);
        self.used.resize(problem.applications.len(), Used::default());
    }

    /// Counts anew what an application with a limit uses.
    pub(super) fn account(&mut self, problem: &Problem, app: usize) {
        if problem.applications[app].limits.on_sums() {
            self.used[app] = problem.used_by(app, |item| self.place(item));
        }
    }

    pub(super) fn place(&self, item: usize) -> Option<usize> {
        self.place[item].map(|member| member as usize)
    }

    /// Whether it makes room for what matters more.
    pub(super) fn yields(&self, item: usize) -> bool {
        self.yielding.contains(&(item as u32))
    }

    pub(super) fn set_yields(&mut self, item: usize, yields: bool) {
        match yields {
            true => self.yielding.insert(item as u32),
            false => self.yielding.remove(&(item as u32)),
        };
    }

    /// A component is new.
    pub(super) fn expect(&mut self, item: usize) {
        self.homeless.insert(item as u32);
    }

    /// What has no place, or makes room for what has none.
    pub(super) fn waiting(&mut self, problem: &Problem) -> Vec<usize> {
        let waits = |item: &u32| self.place[*item as usize].is_none() && problem.is_live(*item as usize);
        self.homeless.retain(waits);
        let waiting = self.homeless.union(&self.yielding).map(|item| *item as usize);
        waiting.filter(|item| problem.is_live(*item)).collect()
    }

    /// How often something was put somewhere since somebody looked.
    pub(super) fn moves(&self) -> usize {
        self.touched.len()
    }

    /// What was put somewhere after so many times.
    pub(super) fn moved_since(&self, moves: usize) -> impl Iterator<Item = usize> + '_ {
        self.touched[moves..].iter().map(|(item, _)| *item as usize)
    }

    /// From where it was put there, if from anywhere.
    pub(super) fn sources_since(&self, moves: usize) -> impl Iterator<Item = Option<usize>> + '_ {
        self.touched[moves..].iter().map(|(_, from)| from.map(|from| from as usize))
    }

    /// What is elsewhere than when somebody looked last.
    pub(super) fn look(&mut self) -> Vec<usize> {
        let mut touched = std::mem::take(&mut self.touched);
        // Stable: the first entry of each says where it was.
        touched.sort_by_key(|(item, _)| *item);
        touched.dedup_by_key(|(item, _)| *item);
        for (item, _) in &touched {
            match self.place[*item as usize] {
                Some(_) => self.homeless.remove(item),
                None => self.homeless.insert(*item),
            };
        }
        touched.retain(|(item, from)| self.place[*item as usize] != *from);
        touched.into_iter().map(|(item, _)| item as usize).collect()
    }
}

#[derive(Debug)]
pub(super) struct State<'p> {
    pub(super) problem: &'p Problem,
    pub(super) solution: &'p mut Solution,
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
        if problem.applications[app].limits.on_sums() {
            self.solution.used[app] = self.with(item, to);
        }
        let Solution { loads, reserve, .. } = &mut *self.solution;
        reserve.count(problem, Shift { item, from, to });
        from.into_iter().for_each(|from| loads.remove(problem, item, from));
        to.into_iter().for_each(|to| loads.add(problem, item, to));
        self.solution.place[item] = to.map(|to| to as u32);
        self.solution.touched.push((item as u32, from.map(|from| from as u32)));
    }

    /// Takes back everything after so many times, as if nobody had tried.
    pub(super) fn back_to(&mut self, moves: usize) {
        for at in (moves..self.solution.moves()).rev() {
            let (item, from) = self.solution.touched[at];
            self.put(item as usize, from.map(|from| from as usize));
        }
        self.solution.touched.truncate(moves);
    }

    /// What the component itself adds there; `None` where no filter lets it be.
    pub(super) fn own(&self, item: usize, member: usize) -> Option<i64> {
        let facts = &self.problem.items[item];
        if facts.home == Some(member) {
            return facts.at_home.filter(|_| self.solution.loads.stays(self.problem, item, member));
        }
        if facts.pinned || self.problem.barred(item, member) {
            return None;
        }
        Some(self.problem.menus.of(facts.menu).value(member)? + self.moving(item))
    }

    /// What leaving its cluster adds.
    pub(super) fn moving(&self, item: usize) -> i64 {
        self.problem.items[item].moving
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

    pub(super) fn communication(
        &self,
        item: usize,
        member: usize,
        without: Option<usize>,
        limits: bool,
    ) -> i64 {
        let (problem, mut sum) = (self.problem, 0i64);
        for call in &problem.items[item].calls {
            let Some(there) = self.place(call.other).filter(|_| Some(call.other) != without) else {
                continue;
            };
            let trip = problem.latencies.between(member, there);
            let far = limits && call.limit.is_some_and(|limit| trip > limit);
            sum = sum.saturating_add(match far {
                true => FAR,
                false => problem.communication(item, call, member, there),
            });
        }
        sum
    }
}
