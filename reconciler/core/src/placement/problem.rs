//! What is to be decided, with positions instead of names: clusters in the order of their names, components by
//! application.
//!
//! It borrows nothing and can be kept: when an application or a cluster changes, [`Problem::take`],
//! [`Problem::leave`] and [`Problem::observe`] change it in place, at a cost that does not grow with the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::documents::application::{Component, Strategy};
use qonnect_schema::documents::fleet::Domain;
use qonnect_schema::documents::snapshot::{ClusterState, Health};
use qonnect_schema::revision::{ApplicationSource, Revision};
use qonnect_schema::{FleetSpec, SnapshotSpec};

use crate::rollout::fingerprint;

use super::bond::Topology;
use super::extended::Extended;
use super::item::{Call, Item};
use super::latency::Latencies;
use super::limit::{self, LIMITS, Limits, Used, plus};
use super::maintenance::UnderWay;
use super::member::Member;
use super::menu::Menus;
use super::narrow;
use super::objective::{self, Raw, Scales};
use super::parts;
use super::requests::{PodGroup, requests};
use super::signals::Current;

#[derive(Debug, Clone)]
pub(super) struct Problem {
    pub(super) fleet: FleetSpec,
    pub(super) members: Vec<Member>,
    pub(super) latencies: Latencies,
    /// Some may be vacant.
    pub(super) applications: Vec<App>,
    /// Where each application stands among them.
    pub(super) names: BTreeMap<String, usize>,
    /// The components of all applications; those of vacant ones lie idle.
    pub(super) items: Vec<Item>,
    pub(super) menus: Menus,
    pub(super) extended: Extended,
    /// The labels by which components are kept apart.
    pub(super) topologies: Vec<Topology>,
    /// What each cluster reports Ready.
    ready: Vec<BTreeSet<(String, String)>>,
    vacant: Vec<usize>,
    /// How many applications must not lose their components for good.
    guarded: usize,
    /// By application and component: over how many clusters what is packed is divided, where it has grown.
    pub(super) grown: BTreeMap<(String, String), usize>,
}

#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) name: String,
    pub(super) source: Arc<ApplicationSource>,
    /// As its document has it, but with parts for what is divided, if anything is.
    pub(super) divided: Option<Arc<ApplicationSource>>,
    pub(super) scales: Scales,
    /// Its components among the items, in the order of their names.
    pub(super) items: Range<usize>,
    pub(super) limits: Limits,
    /// What must not take its components with it for good.
    pub(super) guard: Option<Domain>,
}

impl Problem {
    pub(super) fn new(revision: &Revision, snapshot: &SnapshotSpec) -> Self {
        let signals = Current::at(snapshot.now, &revision.signals);
        let fleet = &revision.fleet;
        let clusters: Vec<_> = revision.clusters.values().collect();
        let state = |name: &str| snapshot.clusters.get(name);
        let maintenance = UnderWay::at(snapshot.now, fleet);
        // Nodes are counted in the kinds that are asked for, so that all pods are read before them.
        let mut pods: BTreeMap<&String, Pods> =
            revision.applications.iter().map(|(name, source)| (name, requests(source))).collect();
        let mut extended = Extended::default();
        pods.values().flat_map(BTreeMap::values).flatten().for_each(|group| _ = extended.meet(&group.pod));
        let member = |cluster: &&_| {
            let cluster: &qonnect_schema::Cluster = cluster;
            let state = state(cluster.name());
            Member::new(cluster, &signals, &fleet.defaults, state, &maintenance, &extended)
        };
        let members: Vec<Member> = clusters.iter().map(member).collect();
        let mut problem = Self {
            fleet: fleet.clone(),
            latencies: Latencies::new(&clusters, snapshot, &signals, &fleet.defaults),
            menus: Menus::new(&members),
            ready: members.iter().map(|member| ready(state(&member.name))).collect(),
            members,
            extended,
            topologies: Vec::new(),
            applications: Vec::new(),
            names: BTreeMap::new(),
            items: Vec::new(),
            vacant: Vec::new(),
            guarded: 0,
            grown: BTreeMap::new(),
        };
        for (name, source) in &revision.applications {
            problem.enter(name, source, pods.remove(name).unwrap_or_default(), snapshot);
        }
        problem
    }

    /// Takes an application in; none of its name must be there, and the kinds that it asks for must have been met.
    pub(super) fn take(&mut self, name: &str, source: &Arc<ApplicationSource>, snapshot: &SnapshotSpec) {
        self.enter(name, source, requests(source), snapshot);
    }

    /// The same of an application whose pods have been read.
    fn enter(&mut self, name: &str, whole: &Arc<ApplicationSource>, mut pods: Pods, snapshot: &SnapshotSpec) {
        let divided = &parts::divide(whole, |component| self.open(name, whole, component, snapshot));
        let source = &narrow::application(name, divided, &self.fleet, snapshot);
        let spec = &source.application.spec;
        let count = spec.components.len();
        let alike = |at: &usize| self.applications[*at].items.len() == count;
        let reused = self.vacant.iter().position(alike).map(|at| self.vacant.swap_remove(at));
        let first = reused.map_or(self.items.len(), |at| self.applications[at].items.start);
        let at = reused.unwrap_or(self.applications.len());
        let app = App {
            name: name.to_owned(),
            source: source.clone(),
            divided: (!Arc::ptr_eq(whole, divided)).then(|| divided.clone()),
            scales: Scales::new(&spec.objectives, &self.fleet),
            items: first..first + count,
            limits: Limits::new(&spec.constraints),
            guard: spec.constraints.survive.or(self.fleet.survive),
        };
        self.guarded += usize::from(app.guard.is_some());
        match reused {
            Some(at) => self.applications[at] = app,
            None => self.applications.push(app),
        }
        self.names.insert(name.to_owned(), at);
        if !Arc::ptr_eq(whole, divided) {
            pods = requests(divided);
        }
        let mut components: Vec<usize> = (0..count).collect();
        components.sort_by(|a, b| spec.components[*a].name.cmp(&spec.components[*b].name));
        for (offset, component) in components.into_iter().enumerate() {
            let groups = pods.remove(&spec.components[component].name).unwrap_or_default();
            let item = Item::new(first + offset, at, component, &groups, &self.extended);
            match self.items.get_mut(first + offset) {
                Some(slot) => *slot = item,
                None => self.items.push(item),
            }
        }
        self.connect(first..first + count);
        for item in first..first + count {
            self.items[item].menu = Menus::open(self, item);
        }
        self.settle(name, snapshot);
    }

    /// Enters where the components of an application run.
    pub(super) fn settle(&mut self, name: &str, snapshot: &SnapshotSpec) {
        let placed = snapshot.placements.get(name).map(|placement| &placement.spec.components);
        for at in self.applications[self.names[name]].items.clone() {
            let placed = placed.and_then(|components| components.get(&self.component(at).name));
            let cluster = placed.and_then(|placed| placed.cluster.as_deref());
            let home = cluster.and_then(|cluster| self.position(cluster));
            let moving = placed.and_then(|placed| placed.moving.as_ref());
            let leaving = moving.and_then(|moving| self.position(&moving.from));
            let source = &self.app(at).source;
            let gave_up = placed.and_then(|placed| placed.gave_up.as_ref()).and_then(|gave_up| {
                let binds = snapshot.now < gave_up.until
                    && gave_up.manifests == fingerprint(source, &self.component(at).name);
                Some((
                    self.position(&gave_up.cluster).filter(|cluster| binds && Some(*cluster) != home)?,
                    gave_up.until,
                ))
            });
            let item = &mut self.items[at];
            (item.home, item.leaving, item.gave_up) = (home, leaving, gave_up);
            item.stray = cluster.filter(|_| home.is_none()).map(str::to_owned);
            self.weigh_home(at);
        }
    }

    /// Takes an application out; its place is used again.
    pub(super) fn leave(&mut self, name: &str) {
        if let Some(at) = self.names.remove(name) {
            self.guarded -= usize::from(self.applications[at].guard.is_some());
            for item in self.applications[at].items.clone() {
                self.menus.close(self.items[item].menu);
                let idle = &mut self.items[item];
                (idle.home, idle.leaving, idle.stray, idle.gave_up) = (None, None, None, None);
                (idle.parcels, idle.calls, idle.bonds) = (Vec::new(), Vec::new(), Vec::new());
            }
            self.vacant.push(at);
        }
    }

    /// A cluster says something new, or costs something new.
    pub(super) fn observe(
        &mut self,
        at: usize,
        revision: &Revision,
        state: Option<&ClusterState>,
        now: Timestamp,
    ) {
        let signals = Current::at(now, &revision.signals);
        let name = self.members[at].name.clone();
        let cluster = &revision.clusters[&name];
        let maintenance = UnderWay::at(now, &self.fleet);
        let defaults = &self.fleet.defaults;
        let member = Member::new(cluster, &signals, defaults, state, &maintenance, &self.extended);
        self.menus.reprice(at, &member);
        self.topologies.iter_mut().for_each(|topology| topology.observe(at, &member.cluster));
        self.members[at] = member;
        self.ready[at] = ready(state);
    }

    /// Looks again at what an item adds where it runs.
    pub(super) fn weigh_home(&mut self, at: usize) {
        let admitted = |home: &usize| super::filter::refused_there(self, at, *home).is_none();
        let home = self.items[at].home.filter(admitted);
        let value = home.map(|home| self.scales(at).own(&self.raw(at, home)));
        let pinned = self.items[at].home.is_some_and(|home| super::filter::is_pinned(self, at, home));
        let least = if self.app(at).limits.on_sums() { self.least(at) } else { Used::default() };
        let moving = self.price_of_a_move(at);
        let item = &mut self.items[at];
        (item.at_home, item.pinned, item.least, item.moving) = (value, pinned, least, moving);
    }

    /// What an item uses of each limit at the least, wherever it is.
    fn least(&self, at: usize) -> Used {
        let item = &self.items[at];
        let members = self.menus.of(item.menu).members.iter().map(|member| *member as usize);
        let possible: Vec<Used> = members.chain(item.home).map(|member| self.used(at, member)).collect();
        std::array::from_fn(|i| possible.iter().map(|used| used[i]).min().unwrap_or(0))
    }

    /// The same once it uses something else on one cluster than before.
    pub(super) fn weigh_least(&mut self, at: usize, member: usize, before: &Used) {
        let may_be = self.menus.of(self.items[at].menu).value(member).is_some();
        let now = may_be.then(|| self.used(at, member));
        let least = self.items[at].least;
        let rises = |i: usize| before[i] <= least[i] && now.is_none_or(|now| now[i] > before[i]);
        self.items[at].least = match now {
            Some(now) if !(0..LIMITS).any(rises) => std::array::from_fn(|i| least[i].min(now[i])),
            None if !(0..LIMITS).any(rises) => least,
            _ => self.least(at),
        };
    }

    /// What both copies add while they run, and what is copied adds where it leaves, is spread over the horizon.
    fn price_of_a_move(&self, at: usize) -> i64 {
        if !self.runs(at) {
            return 0;
        }
        let (scales, moves) = (self.scales(at), &self.fleet.moves);
        let once = self.items[at].home.map_or(0.0, |home| {
            let gigabytes = self.component(at).state.map_or(0.0, |state| state.0 as f64 / 1e9);
            let copied = scales.traffic(&self.members[home].egress.of(gigabytes));
            scales.own(&self.raw(at, home)) as f64 * moves.overlap.as_hours() + copied as f64
        });
        scales.moving(once / moves.horizon.as_hours().max(f64::MIN_POSITIVE))
    }

    pub(super) fn position(&self, cluster: &str) -> Option<usize> {
        self.members.binary_search_by(|member| member.name.as_str().cmp(cluster)).ok()
    }

    pub(super) fn app(&self, item: usize) -> &App {
        &self.applications[self.items[item].app]
    }

    /// Whether a component can stand in the way of another of the same application, wherever both are.
    pub(super) fn binds(&self, app: usize) -> bool {
        let limits = &self.applications[app].limits;
        let bound = |item: usize| !self.items[item].bonds.is_empty();
        limits.on_sums() || limits.path.is_some() || self.applications[app].items.clone().any(bound)
    }

    pub(super) fn scales(&self, item: usize) -> &Scales {
        &self.app(item).scales
    }

    pub(super) fn component(&self, item: usize) -> &Component {
        &self.app(item).source.application.spec.components[self.items[item].component]
    }

    /// Whether any application must not lose its components for good.
    pub(super) fn guards(&self) -> bool {
        self.guarded > 0
    }

    /// Whether an item belongs to an application that is there.
    pub(super) fn is_live(&self, item: usize) -> bool {
        self.names.get(&self.app(item).name) == Some(&self.items[item].app)
    }

    /// The items of all applications, in the order of names.
    pub(super) fn live(&self) -> impl Iterator<Item = usize> + '_ {
        self.names.values().flat_map(|app| self.applications[*app].items.clone())
    }

    pub(super) fn raw(&self, item: usize, member: usize) -> Raw {
        objective::raw(&self.items[item].pods, &self.members[member])
    }

    /// What the component itself uses of the limits of its application.
    pub(super) fn used(&self, item: usize, member: usize) -> Used {
        limit::used(&self.raw(item, member))
    }

    /// The same with what goes over its dependencies, as far as their other ends have a place; of some of them.
    pub(super) fn used_among(
        &self,
        item: usize,
        member: usize,
        calls: impl Fn(&Call) -> bool,
        place: impl Fn(usize) -> Option<usize>,
    ) -> Used {
        let calls = self.items[item].calls.iter().filter(|call| calls(call));
        let ends = calls.filter_map(|call| Some(self.exchanged(call, member, place(call.other)?)));
        ends.flatten().fold(self.used(item, member), |sum, raw| plus(&sum, &limit::used(&raw)))
    }

    /// What all components of an application use; what has no place its least.
    pub(super) fn used_by(&self, app: usize, place: impl Fn(usize) -> Option<usize>) -> Used {
        let used = |item: usize| match place(item) {
            // What goes over a dependency is used once.
            Some(member) => self.used_among(item, member, |call| call.outgoing, &place),
            None => self.items[item].least,
        };
        self.applications[app].items.clone().map(used).fold(Used::default(), |sum, used| plus(&sum, &used))
    }

    /// Whether it runs somewhere.
    pub(super) fn runs(&self, item: usize) -> bool {
        self.items[item].home.is_some() || self.items[item].stray.is_some()
    }

    /// Whether a move is due if the component is placed there.
    pub(super) fn moves(&self, item: usize, member: usize) -> bool {
        self.runs(item) && self.items[item].home != Some(member)
    }

    /// The component's pods are there already, whatever is decided.
    pub(super) fn sits_on(&self, item: usize, member: usize) -> bool {
        let item = &self.items[item];
        item.home == Some(member) || item.leaving == Some(member)
    }

    /// Its cluster reports it Ready.
    pub(super) fn is_ready(&self, item: usize, member: usize) -> bool {
        let key = (self.app(item).name.clone(), self.component(item).name.clone());
        self.ready[member].contains(&key)
    }
}

fn ready(state: Option<&ClusterState>) -> BTreeSet<(String, String)> {
    let components = state.into_iter().flat_map(|state| &state.components);
    components
        .filter(|status| status.health == Health::Ready)
        .map(|status| (status.application.clone(), status.component.clone()))
        .collect()
}

/// By component.
type Pods = BTreeMap<String, Vec<PodGroup>>;

impl App {
    pub(super) fn strategy(&self) -> Strategy {
        self.source.application.spec.strategy
    }

    pub(super) fn priority(&self) -> i32 {
        self.source.application.spec.priority
    }
}
