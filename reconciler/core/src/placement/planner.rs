//! A plan that is kept, so that the next one costs what has changed and not what there is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use qonnect_schema::documents::application::Strategy;
use qonnect_schema::revision::Revision;
use qonnect_schema::{Cluster, SnapshotSpec};

use super::bound::{self, Quality};
use super::loads;
use super::problem::Problem;
use super::relax;
use super::requests::requests;
use super::search::Effort;
use super::state::{Solution, State};
use super::touched::Touched;
use super::{ApplicationPlan, OTHERS_MAX, Plan, borda, outcome, search};

/// How many large neighbourhoods are tried for each component of a whole plan, and after a change.
const EFFORT_WHOLE: usize = 128;
const EFFORT_CHANGE: usize = 2;

/// How many components that wait for room are tried again after a change: in a fleet that is full for thousands, most
/// changes make room for none.
const WAITING_MAX: usize = 256;

/// How many components that would be better off on a changed cluster are tried there at once: more than most have
/// room for. The rest wait for the next plan from nothing.
const TEMPTED_MAX: usize = 256;

/// A problem with its solution.
#[derive(Debug, Clone)]
pub struct Planner {
    pub(super) problem: Problem,
    pub(super) solution: Solution,
}

impl Planner {
    /// Plans all applications together.
    pub fn new(revision: &Revision, snapshot: &SnapshotSpec) -> Self {
        Self::with(revision, snapshot, Effort::Rounds(EFFORT_WHOLE))
    }

    /// What a search starts from: each component where it adds least, one after another. To compare with.
    pub fn first(revision: &Revision, snapshot: &SnapshotSpec) -> Self {
        Self::with(revision, snapshot, Effort::First)
    }

    /// What a plan could be with dozens of times the time, and other numbers for each seed. To compare with.
    pub fn long(revision: &Revision, snapshot: &SnapshotSpec, seed: u64) -> Self {
        Self::with(revision, snapshot, Effort::Long(seed))
    }

    fn with(revision: &Revision, snapshot: &SnapshotSpec, effort: Effort) -> Self {
        let problem = Problem::new(revision, snapshot);
        let solution = Solution::new(&problem);
        let mut planner = Self { problem, solution };
        let items: Vec<usize> = planner.problem.live().collect();
        planner.solve(&items, effort);
        planner.unpack(revision, snapshot, &items, effort);
        planner.solution.look();
        planner
    }

    /// The whole plan.
    pub fn plan(&mut self) -> Plan {
        let names: Vec<String> = self.problem.names.keys().cloned().collect();
        let applications = names.into_iter().map(|name| {
            let plan = self.application(&name, OTHERS_MAX);
            (name, plan)
        });
        Plan { applications: applications.collect() }
    }

    /// The plan of one application, with every other cluster for each component.
    pub fn explain(&mut self, name: &str) -> Option<ApplicationPlan> {
        self.problem.names.contains_key(name).then(|| self.application(name, usize::MAX))
    }

    /// What the plan adds up to, and a bound that no plan is below.
    pub fn quality(&mut self) -> Quality {
        bound::quality(&State { problem: &self.problem, solution: &mut self.solution })
    }

    /// Plans again what a change touches. Gives the applications that were touched or whose components go
    /// elsewhere now; what is gone has no plan.
    ///
    /// *Assumptions:* revision and snapshot differ from those that were planned before in nothing but what
    /// `touched` names; the moment may be another one.
    pub fn replan(
        &mut self,
        revision: &Revision,
        snapshot: &SnapshotSpec,
        touched: &Touched,
    ) -> BTreeMap<String, Option<ApplicationPlan>> {
        let mut dirty = BTreeSet::new();
        let counted = self.newly_counted(revision, snapshot, touched);
        for name in touched.clusters.union(&counted) {
            self.observe(name, revision, snapshot, &mut dirty);
        }
        let mut names = self.divided_otherwise(revision, snapshot, touched);
        names.extend(touched.applications.iter().cloned());
        for name in &names {
            self.problem.grown.retain(|(application, _), _| application != name);
            self.reload(name, revision, snapshot, &mut dirty);
        }
        self.solution.guard(&self.problem);
        dirty.extend(self.waiting());
        if !touched.clusters.is_empty() {
            // Ranks ask all nodes at once.
            let ranks = |item: &usize| self.problem.app(*item).strategy() == Strategy::Borda;
            dirty.extend(self.problem.live().filter(ranks));
        }
        self.widen(&mut dirty);
        let items: Vec<usize> = dirty.into_iter().collect();
        self.solve(&items, Effort::Rounds(EFFORT_CHANGE));
        names.extend(items.iter().map(|item| self.problem.app(*item).name.clone()));
        names.extend(self.unpack(revision, snapshot, &items, Effort::Rounds(EFFORT_CHANGE)));
        for item in self.solution.look() {
            names.insert(self.problem.app(item).name.clone());
        }
        let plan = |name: String| {
            let known = self.problem.names.contains_key(&name);
            let plan = known.then(|| self.application(&name, OTHERS_MAX));
            (name, plan)
        };
        names.into_iter().map(plan).collect()
    }

    pub(super) fn solve(&mut self, items: &[usize], effort: Effort) {
        let by = |strategy| {
            let chosen = items.iter().copied().filter(|item| self.problem.app(*item).strategy() == strategy);
            chosen.collect::<Vec<_>>()
        };
        let (ranked, optimal) = (by(Strategy::Borda), by(Strategy::Optimal));
        let mut state = State { problem: &self.problem, solution: &mut self.solution };
        borda::solve(&mut state, &ranked);
        search::solve(&mut state, &optimal, effort);
    }

    fn application(&mut self, name: &str, others_max: usize) -> ApplicationPlan {
        let mut state = State { problem: &self.problem, solution: &mut self.solution };
        let app = &self.problem.applications[self.problem.names[name]];
        let components = app.items.clone().map(|item| {
            let name = self.problem.component(item).name.clone();
            (name, outcome::component(&mut state, item, others_max))
        });
        let components = components.collect();
        let forced = app.items.clone().filter(|item| state.must_leave(*item) || state.solution.yields(*item));
        let forced = forced.map(|item| self.problem.component(item).name.clone()).collect();
        ApplicationPlan { strategy: app.strategy(), forced, divided: app.divided.clone(), components }
    }

    /// The clusters that have some of an extended resource that was not asked for until now.
    fn newly_counted(
        &mut self,
        revision: &Revision,
        snapshot: &SnapshotSpec,
        touched: &Touched,
    ) -> BTreeSet<String> {
        let sources = touched.applications.iter().filter_map(|name| revision.applications.get(name));
        let groups = sources.flat_map(|source| requests(source).into_values().flatten());
        if groups.filter(|group| self.problem.extended.meet(&group.pod)).count() == 0 {
            return BTreeSet::new();
        }
        let offers = |(name, cluster): &(&String, &Cluster)| {
            let reported = snapshot.clusters.get(*name).and_then(|state| state.nodes.as_ref());
            match reported {
                Some(nodes) => nodes.iter().any(|node| self.problem.extended.is_offered(&node.allocatable)),
                None => cluster.spec.nodes.iter().any(|node| !node.extended.is_empty()),
            }
        };
        let clusters = revision.clusters.iter().filter(offers);
        clusters.map(|(name, _)| name.clone()).collect()
    }

    /// Plans all from nothing, and takes that instead if it is better: if it has more components placed, or as many for
    /// less. The price of each move is in the sum, so that what runs goes elsewhere only for more than that. True if
    /// it was better.
    ///
    /// *Guarantees:* afterwards a plan from nothing for the same world is worth no more.
    pub fn review(&mut self, revision: &Revision, snapshot: &SnapshotSpec) -> bool {
        let mut whole = Self::new(revision, snapshot);
        let better = whole.worth() < self.worth();
        if better {
            *self = whole;
        }
        better
    }

    /// How many components have no place, and what all others add up to; less is better.
    pub fn worth(&mut self) -> (usize, i64) {
        let (placed, lost): (Vec<usize>, Vec<usize>) =
            self.problem.live().partition(|item| self.solution.place(*item).is_some());
        let state = State { problem: &self.problem, solution: &mut self.solution };
        (lost.len(), relax::value(&state, &placed))
    }

    /// What has no place, or makes room for what has none: any change may help it. The most important first.
    fn waiting(&mut self) -> Vec<usize> {
        let mut waiting = self.solution.waiting(&self.problem);
        let rank = |item: usize| {
            let app = self.problem.app(item);
            (Reverse(app.priority()), &app.name, item)
        };
        waiting.sort_unstable_by(|a, b| rank(*a).cmp(&rank(*b)));
        waiting.truncate(WAITING_MAX);
        waiting
    }

    /// What binds the components of an application to each other has them planned together.
    pub(super) fn widen(&self, dirty: &mut BTreeSet<usize>) {
        let apps: BTreeSet<usize> = dirty.iter().map(|item| self.problem.items[*item].app).collect();
        for app in apps.into_iter().filter(|app| self.problem.binds(*app)) {
            dirty.extend(self.problem.applications[app].items.clone());
        }
    }

    /// Takes in what became of an application; its components keep their place where they can.
    pub(super) fn reload(
        &mut self,
        name: &str,
        revision: &Revision,
        snapshot: &SnapshotSpec,
        dirty: &mut BTreeSet<usize>,
    ) {
        let mut places = BTreeMap::new();
        if let Some(app) = self.problem.names.get(name) {
            for item in self.problem.applications[*app].items.clone() {
                places.insert(self.problem.component(item).name.clone(), self.solution.place(item));
                State { problem: &self.problem, solution: &mut self.solution }.put(item, None);
                for member in loads::sits(&self.problem.items[item]) {
                    self.solution.loads.resident(&self.problem, item, member, false);
                }
                dirty.remove(&item);
            }
        }
        self.problem.leave(name);
        let Some(source) = revision.applications.get(name) else { return };
        self.problem.take(name, source, snapshot);
        self.solution.grow(&self.problem);
        let app = self.problem.names[name];
        self.solution.account(&self.problem, app);
        for item in self.problem.applications[app].items.clone() {
            self.solution.expect(item);
            for member in loads::sits(&self.problem.items[item]) {
                self.solution.loads.resident(&self.problem, item, member, true);
            }
            dirty.insert(item);
        }
        for item in self.problem.applications[app].items.clone() {
            let place = places.get(&self.problem.component(item).name).copied().flatten();
            let runs = self.problem.runs(item);
            let mut state = State { problem: &self.problem, solution: &mut self.solution };
            // What is under way elsewhere by plan alone keeps its place; what runs starts from where it does.
            let place = place.filter(|place| !runs && state.own(item, *place).is_some());
            if let Some(place) = place.filter(|place| state.can(item, *place)) {
                state.put(item, Some(place));
            }
        }
    }

    /// Takes in what a cluster says; who is there, or would be better off there now, is planned anew.
    fn observe(
        &mut self,
        name: &str,
        revision: &Revision,
        snapshot: &SnapshotSpec,
        dirty: &mut BTreeSet<usize>,
    ) {
        let Some(at) = self.problem.position(name) else { return };
        let items: Vec<usize> = self.problem.live().collect();
        let there = |item: &usize| {
            let facts = &self.problem.items[*item];
            loads::sits(facts).any(|member| member == at) || self.solution.place(*item) == Some(at)
        };
        let affected: Vec<usize> = items.iter().copied().filter(there).collect();
        for &item in &affected {
            State { problem: &self.problem, solution: &mut self.solution }.put(item, None);
        }
        let limited = items.iter().filter(|item| self.problem.app(**item).limits.on_sums());
        let used: Vec<_> = limited.map(|item| (*item, self.problem.used(*item, at))).collect();
        self.problem.observe(at, revision, snapshot.clusters.get(name), snapshot.now);
        let sits = |item: &usize| loads::sits(&self.problem.items[*item]).any(|member| member == at);
        let residents: Vec<usize> = affected.iter().copied().filter(sits).collect();
        self.solution.loads.rebuild(&self.problem, at, &residents);
        for &item in &affected {
            self.problem.weigh_home(item);
        }
        used.iter().for_each(|(item, before)| self.problem.weigh_least(*item, at, before));
        for app in used.chunk_by(|a, b| self.problem.items[a.0].app == self.problem.items[b.0].app) {
            self.solution.account(&self.problem, self.problem.items[app[0].0].app);
        }
        dirty.extend(&affected);
        let state = State { problem: &self.problem, solution: &mut self.solution };
        let gain = |item: usize| {
            let own = state.own(item, at)?;
            let gain = state.present(item).saturating_sub(state.score(item, at, own));
            (gain > 0).then_some((Reverse(gain), item))
        };
        let mut tempted: Vec<_> = items.into_iter().filter_map(gain).collect();
        if tempted.len() > TEMPTED_MAX {
            tempted.select_nth_unstable(TEMPTED_MAX);
            tempted.truncate(TEMPTED_MAX);
        }
        dirty.extend(tempted.into_iter().map(|(_, item)| item));
    }
}
