//! A plan under way: where each component is, what that adds to the objective function, and what else is possible.

use std::collections::BTreeSet;

use super::bond::Bond;
use super::communication::Flow;
use super::limit::Used;
use super::loads::Loads;
use super::objective::Scales;
use super::problem::Problem;
use super::reserve::{Reserve, Shift};
use super::search::{self, Look};

/// A component without a place gives everything for one.
pub(super) const NOWHERE: i64 = i64::MAX / 4;

/// What is beyond the limit of a dependency.
const FAR: i64 = i64::MAX / 2;

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
        touched.retain(|(item, from)| self.place[*item as usize] != *from);
        touched.into_iter().map(|(item, _)| item as usize).collect()
    }
}

#[derive(Debug)]
pub(super) struct State<'p> {
    pub(super) problem: &'p Problem,
    pub(super) solution: &'p mut Solution,
}

/// What the dependencies of a component add, by the cluster it would be on.
#[derive(Debug, Default)]
pub(super) struct Field {
    /// By site; empty if it has no neighbour with a place.
    by_site: Vec<i64>,
    /// GB per hour that leave it for each neighbour, and what they add is by the cluster that it is on.
    leaving: Vec<f64>,
    scales: Scales,
    /// On the clusters of its neighbours, where one round trip is zero.
    near: Vec<(usize, i64)>,
    /// What binds it to others, and where those are.
    bonds: Vec<(Bond, usize)>,
}

impl Field {
    pub(super) fn at(&self, problem: &Problem, member: usize) -> i64 {
        if self.bars(problem, member) {
            return FAR;
        }
        match self.near.iter().find(|(near, _)| *near == member) {
            Some((_, value)) => *value,
            None => self.away(problem, member),
        }
    }

    /// What the dependencies add on a cluster that none of the neighbours is on.
    #[inline]
    pub(super) fn away(&self, problem: &Problem, member: usize) -> i64 {
        let apart = match self.by_site.as_slice() {
            [] => 0,
            by_site => by_site[problem.latencies.site(member)],
        };
        match self.leaving.is_empty() {
            true => apart,
            false => apart.saturating_add(self.leaves(problem, member)),
        }
    }

    /// What is sent from there adds.
    fn leaves(&self, problem: &Problem, member: usize) -> i64 {
        let egress = &problem.members[member].egress;
        self.leaving.iter().map(|gigabytes| self.scales.traffic(&egress.of(*gigabytes))).sum()
    }

    /// The clusters of neighbours.
    pub(super) fn near(&self) -> impl Iterator<Item = usize> + '_ {
        self.near.iter().map(|(member, _)| *member)
    }

    /// What the dependencies add at the least, wherever it goes.
    pub(super) fn least(&self) -> i64 {
        let near = self.near.iter().map(|(_, value)| *value);
        self.by_site.iter().copied().chain(near).min().unwrap_or(0)
    }

    pub(super) fn bars(&self, problem: &Problem, member: usize) -> bool {
        self.bonds.iter().any(|(bond, there)| !bond.admits(problem, member, *there))
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

    fn communication(&self, item: usize, member: usize, without: Option<usize>, limits: bool) -> i64 {
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

    /// What its dependencies add, wherever it goes; beyond all measure where a limit would break.
    pub(super) fn field(&self, item: usize, without: Option<usize>, limits: bool) -> Field {
        let problem = self.problem;
        let scales = *problem.scales(item);
        let mut field = Field { scales, ..Field::default() };
        for call in &problem.items[item].calls {
            let Some(there) = self.place(call.other).filter(|_| Some(call.other) != without) else {
                continue;
            };
            field.by_site.resize(problem.latencies.sites(), 0);
            let Flow { weight, sends, receives } = call.flow;
            let arrives = scales.traffic(&problem.members[there].egress.of(receives));
            for (sum, trip) in field.by_site.iter_mut().zip(problem.latencies.from(there)) {
                let far = limits && call.limit.is_some_and(|limit| *trip > limit);
                let trip = || scales.communication(weight * (*trip as f64 / 1000.0)) + arrives;
                *sum = sum.saturating_add(if far { FAR } else { trip() });
            }
            if sends > 0.0 {
                field.leaving.push(sends);
            }
            if field.near.iter().all(|(near, _)| *near != there) {
                field.near.push((there, self.communication(item, there, without, limits)));
            }
        }
        if limits {
            let bonds = problem.items[item].bonds.iter().filter(|bond| Some(bond.other) != without);
            field.bonds = bonds.filter_map(|bond| Some((*bond, self.place(bond.other)?))).collect();
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
        self.scan_at(item, field, below, (room, Look::Everywhere), |score, member| {
            tell(score, member);
            below
        });
    }

    /// The same of the clusters that somebody has to look at; who is told says below what he wants to hear more.
    fn scan_at(
        &self,
        item: usize,
        field: &Field,
        mut below: i64,
        (room, look): (bool, Look<'_>),
        mut tell: impl FnMut(i64, u32) -> i64,
    ) {
        let problem = self.problem;
        let facts = &problem.items[item];
        // Where it runs, and where its neighbours are, its score is not that of its site.
        let mut apart = |member: usize| {
            // Asking for room costs less than looking its value up.
            if room && !self.may_take(item, member) {
                return None;
            }
            let score = self.own(item, member)?.saturating_add(field.at(problem, member));
            if score < below {
                below = tell(score, member as u32);
            }
            Some(())
        };
        if let Look::At(members) = look {
            members.iter().for_each(|member| _ = apart(*member as usize));
            return;
        }
        facts.home.filter(|home| look.sees(*home)).and_then(&mut apart);
        if facts.pinned {
            return;
        }
        for (near, _) in field.near.iter().filter(|(near, _)| facts.home != Some(*near) && look.sees(*near)) {
            apart(*near);
        }
        let moving = self.moving(item);
        let menu = problem.menus.of(facts.menu);
        let mut below = below - moving;
        for (member, own) in menu.members.iter().zip(&menu.values) {
            let at = *member as usize;
            if *own >= below || !look.sees(at) {
                continue;
            }
            let score = own.saturating_add(field.away(problem, at));
            let told = || facts.home == Some(at) || field.near.iter().any(|(near, _)| *near == at);
            let may_fit = || !room || self.may_take(item, at);
            let barred = || problem.barred(item, at) || field.bars(problem, at);
            if score < below && may_fit() && !told() && !barred() {
                below = tell(score + moving, *member) - moving;
            }
        }
    }

    /// What [`Self::scan`] tells.
    pub(super) fn candidates(&self, item: usize, field: &Field, below: i64, room: bool) -> Vec<(i64, u32)> {
        let menu = self.problem.menus.of(self.problem.items[item].menu);
        let mut found = Vec::with_capacity(menu.members.len());
        self.scan(item, field, below, room, |score, member| found.push((score, member)));
        found
    }

    /// The first of what [`Self::scan`] tells of those that may have room, the best first.
    pub(super) fn few(
        &self,
        item: usize,
        field: &Field,
        below: i64,
        look: Look<'_>,
        most: usize,
    ) -> Vec<(i64, u32)> {
        let mut few: Vec<(i64, u32)> = Vec::with_capacity(most + 1);
        self.scan_at(item, field, below, (true, look), |score, member| {
            let found = (score, member);
            if few.len() < most || few.last().is_some_and(|last| found < *last) {
                few.insert(few.partition_point(|known| *known < found), found);
                few.truncate(most);
            }
            // Of those that tie the first counts, which may come later.
            few.get(most - 1).map_or(below, |last| below.min(last.0.saturating_add(1)))
        });
        few
    }

    /// The best cluster to look at that can take the component now, where it would add less than `below`.
    pub(super) fn best(&mut self, item: usize, field: &Field, below: i64, look: Look<'_>) -> Option<usize> {
        // Most often one of the first will do.
        const LOOKS_MAX: usize = 4;
        let few = self.few(item, field, below, look, LOOKS_MAX);
        for (_, member) in &few {
            if self.can(item, *member as usize) {
                return Some(*member as usize);
            }
        }
        let last = few.get(LOOKS_MAX - 1)?;
        let mut rest = Vec::new();
        self.scan_at(item, field, below, (true, look), |score, member| {
            if (score, member) > *last {
                rest.push((score, member));
            }
            below
        });
        search::best_first(rest).map(|(_, member)| member).find(|member| self.can(item, *member))
    }
}
