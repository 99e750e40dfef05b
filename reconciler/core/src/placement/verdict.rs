//! Whether a cluster can take a component now, all else staying where it is, and if not, why.

use qonnect_schema::documents::placement::{Filter, Refusal};

use super::bond::{Bond, Kind};
use super::limit::{Used, minus, plus};
use super::problem::Problem;
use super::reserve::Shift;
use super::state::State;

/// Another component of the same application that is where it must not be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conflict {
    pub(super) other: usize,
    pub(super) there: usize,
    cause: Cause,
}

#[derive(Debug, Clone, Copy)]
enum Cause {
    /// Beyond the limit of a dependency, in microseconds.
    Far {
        round_trip: u64,
        limit: u64,
    },
    Bond(Bond),
}

impl State<'_> {
    pub(super) fn fits(&mut self, item: usize, member: usize) -> bool {
        self.solution.loads.fits(self.problem, item, member)
    }

    /// Whether a cluster may have room for it, or has its pods already.
    pub(super) fn may_take(&self, item: usize, member: usize) -> bool {
        self.problem.sits_on(item, member) || self.solution.loads.may_fit(&self.problem.items[item], member)
    }

    /// Whether a possible cluster can take the component now, all else staying where it is.
    pub(super) fn can(&mut self, item: usize, member: usize) -> bool {
        self.may(item, member) && self.spares(item, member)
    }

    /// The same, whatever room is left for what may die.
    pub(super) fn may(&mut self, item: usize, member: usize) -> bool {
        self.conflict(item, member).is_none() && self.within_limit(item, member) && self.fits(item, member)
    }

    /// Whether enough stays free for what may die.
    pub(super) fn spares(&self, item: usize, member: usize) -> bool {
        self.solution.reserve.admits(self.problem, self.shift(item, member))
    }

    fn shift(&self, item: usize, member: usize) -> Shift {
        Shift { item, from: self.place(item), to: Some(member) }
    }

    /// The first component that would be too far away, too near, or not with it.
    pub(super) fn conflict(&self, item: usize, member: usize) -> Option<Conflict> {
        self.bond(item, member, false).or_else(|| self.too_far(item, member, false))
    }

    /// The same, of those that this component asked for itself.
    pub(super) fn own_conflict(&self, item: usize, member: usize) -> Option<Conflict> {
        self.bond(item, member, true).or_else(|| self.too_far(item, member, true))
    }

    fn bond(&self, item: usize, member: usize, own: bool) -> Option<Conflict> {
        let bonds = self.problem.items[item].bonds.iter().filter(|bond| bond.asks || !own);
        bonds.filter_map(|bond| Some((bond, self.place(bond.other)?))).find_map(|(bond, there)| {
            let broken = !bond.admits(self.problem, member, there);
            broken.then_some(Conflict { other: bond.other, there, cause: Cause::Bond(*bond) })
        })
    }

    fn too_far(&self, item: usize, member: usize, own: bool) -> Option<Conflict> {
        let calls = self.problem.items[item].calls.iter().filter(|call| call.outgoing || !own);
        calls.filter_map(|call| Some((call.other, call.limit?, self.place(call.other)?))).find_map(
            |(other, limit, there)| {
                let round_trip = self.problem.latencies.between(member, there);
                let cause = Cause::Far { round_trip, limit };
                (round_trip > limit).then_some(Conflict { other, there, cause })
            },
        )
    }

    /// Whether another component must be on the same cluster.
    pub(super) fn is_grouped(&self, item: usize) -> bool {
        self.problem.items[item].bonds.iter().any(|bond| bond.kind == Kind::Together)
    }

    /// A limit that is broken already must not be broken further.
    fn within_limit(&self, item: usize, member: usize) -> bool {
        let app = self.problem.items[item].app;
        let limits = &self.problem.applications[app].limits;
        let on_sums = || {
            let (before, after) = (&self.solution.used[app], &self.with(item, Some(member)));
            limits.admit(before, after, self.place(item).is_some())
        };
        let on_path = |most: u64| self.longest_path(item, member) <= most;
        (!limits.on_sums() || on_sums()) && limits.path.is_none_or(on_path)
    }

    /// Which of its limits an application breaks.
    pub(super) fn over_limit(&self, app: usize) -> Option<usize> {
        self.problem.applications[app].limits.broken(&self.solution.used[app])
    }

    /// The longest chain of calls through a component that would be there, in microseconds.
    pub(super) fn longest_path(&self, item: usize, member: usize) -> u64 {
        self.longest(item, member, true).saturating_add(self.longest(item, member, false))
    }

    /// The longest chain from a component downwards or upwards. A call whose other end has no place takes no time.
    fn longest(&self, item: usize, member: usize, outgoing: bool) -> u64 {
        let problem = self.problem;
        let items = problem.app(item).items.clone();
        let place = |at: usize| if at == item { Some(member) } else { self.place(at) };
        let mut reached: Vec<Option<u64>> = vec![None; items.len()];
        reached[item - items.start] = Some(0);
        // A chain has at most as many calls as there are components; validation refuses circles.
        for _ in 0..items.len() {
            let mut further = false;
            for from in items.clone() {
                let Some(so_far) = reached[from - items.start] else { continue };
                for call in problem.items[from].calls.iter().filter(|call| call.outgoing == outgoing) {
                    let ends = place(from).zip(place(call.other));
                    let trip = ends.map_or(0, |(a, b)| problem.latencies.between(a, b));
                    let slot = &mut reached[call.other - items.start];
                    if slot.is_none_or(|known| known < so_far + trip) {
                        (*slot, further) = (Some(so_far + trip), true);
                    }
                }
            }
            if !further {
                break;
            }
        }
        reached.into_iter().flatten().max().unwrap_or(0)
    }

    /// Whether it cannot stay where it runs: a filter drives it out, what it asks of its neighbours is broken, or a
    /// limit of its application is.
    pub(super) fn must_leave(&self, item: usize) -> bool {
        let (problem, facts) = (self.problem, &self.problem.items[item]);
        let Some(home) = facts.home else { return facts.stray.is_some() };
        let app = problem.app(item);
        let at_home = || problem.used_by(facts.app, |item| problem.items[item].home);
        let over_limit = || app.limits.on_sums() && app.limits.broken(&at_home()).is_some();
        let too_far = || {
            facts.calls.iter().any(|call| {
                let there = problem.items[call.other].home;
                let trip = there.map(|there| problem.latencies.between(home, there));
                call.limit.zip(trip).is_some_and(|(limit, trip)| trip > limit)
            })
        };
        let unbound = || {
            facts.bonds.iter().any(|bond| {
                let there = problem.items[bond.other].home;
                there.is_some_and(|there| !bond.admits(problem, home, there))
            })
        };
        self.own(item, home).is_none() || too_far() || unbound() || over_limit()
    }

    /// Why a cluster that no filter refuses by itself cannot take the component now.
    pub(super) fn refusal(&mut self, item: usize, member: usize) -> Option<Refusal> {
        let problem = self.problem;
        if self.place(item) == Some(member) && self.own(item, member).is_some() {
            return self.conflict(item, member).map(|conflict| conflict.refusal(problem, member));
        }
        // As the search asks: what would fit only if others moved to other nodes does not.
        if !self.may_take(item, member) || !self.fits(item, member) {
            return Some(self.solution.loads.refusal(problem, item, member));
        }
        if let Some(conflict) = self.conflict(item, member) {
            return Some(conflict.refusal(problem, member));
        }
        if let Some(refusal) = self.solution.reserve.refusal(problem, self.shift(item, member)) {
            return Some(refusal);
        }
        let limits = problem.app(item).limits;
        if let Some(most) = limits.path
            && let path = self.longest_path(item, member)
            && path > most
        {
            return Some(long(path, most));
        }
        if !limits.on_sums() {
            return None;
        }
        // Wherever the others were, and none of them called over the network.
        let others = problem.app(item).items.clone().filter(|other| *other != item);
        let least = others.fold(Used::default(), |sum, other| plus(&sum, &problem.items[other].least));
        if let Some(refusal) = limits.refusal(&problem.used(item, member), &least) {
            return Some(refusal);
        }
        if self.place(item) == Some(member) || self.within_limit(item, member) {
            return None;
        }
        limits.refusal(&self.used(item, Some(member)), &self.rest(item))
    }

    /// Whether [`Self::refusal`] has a reason, without the words.
    pub(super) fn refuses(&mut self, item: usize, member: usize) -> bool {
        if self.place(item) == Some(member) && self.own(item, member).is_some() {
            return self.conflict(item, member).is_some();
        }
        let room = self.may_take(item, member) && self.fits(item, member);
        if !room || self.conflict(item, member).is_some() || !self.spares(item, member) {
            return true;
        }
        let limits = self.problem.app(item).limits;
        (limits.on_sums() || limits.path.is_some()) && self.refusal(item, member).is_some()
    }

    /// What it uses there, with its neighbours where they are; its least, if nowhere.
    pub(super) fn used(&self, item: usize, at: Option<usize>) -> Used {
        let problem = self.problem;
        at.map_or(problem.items[item].least, |member| {
            problem.used_among(item, member, |_| true, |other| self.place(other))
        })
    }

    /// What its application uses without it.
    fn rest(&self, item: usize) -> Used {
        minus(&self.solution.used[self.problem.items[item].app], &self.used(item, self.place(item)))
    }

    /// What its application would use with the component there.
    pub(super) fn with(&self, item: usize, at: Option<usize>) -> Used {
        plus(&self.rest(item), &self.used(item, at))
    }
}

impl Conflict {
    fn refusal(&self, problem: &Problem, here: usize) -> Refusal {
        match self.cause {
            Cause::Bond(bond) => bond.refusal(problem, here, self.there),
            Cause::Far { round_trip, limit } => {
                let (component, cluster) =
                    (&problem.component(self.other).name, &problem.members[self.there].name);
                let [round_trip, limit] = [round_trip, limit].map(|us| us as f64 / 1000.0);
                let source = if problem.latencies.is_measured(here, self.there) { " measured" } else { "" };
                let message = format!(
                    "{round_trip}ms{source} to {component} on {cluster}, at most {limit}ms are allowed"
                );
                Refusal { filter: Filter::Latency, message }
            }
        }
    }
}

/// The refusal of a component through which a chain of calls would take too long.
fn long(path: u64, most: u64) -> Refusal {
    let [path, most] = [path, most].map(|us| us as f64 / 1000.0);
    let message =
        format!("the longest chain of calls through it would take {path}ms, at most {most}ms are allowed");
    Refusal { filter: Filter::Latency, message }
}
