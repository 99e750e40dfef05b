//! What clusters a component that is new to them can choose from, and what it adds to the objective function on
//! each: worked out once for all components that ask and weigh alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use qonnect_schema::documents::application::{ClusterSelector, Component, Toleration};

use super::filter::Wants;
use super::glance::Glance;
use super::member::{Amounts, Member, RESOURCES};
use super::objective::{self, Raw, Scales};
use super::problem::Problem;
use super::requests::PodCount;
use super::roster::Roster;
use super::search::Look;

/// The clusters that filters admit and whose nodes are large enough, with values that hold for ever.
#[derive(Debug, Clone, Default)]
pub(super) struct Menu {
    key: Key,
    /// In the order of the clusters; most share the list.
    pub(super) members: Arc<Roster>,
    /// What the component itself adds there, without a move.
    pub(super) values: Vec<i64>,
    /// The least of them.
    pub(super) least: i64,
    /// How many components choose from it.
    users: usize,
    scales: Scales,
}

/// Components with the same key have the same choice.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    admission: usize,
    pods: usize,
    scales: [u64; 4],
}

/// For how many sizes of pods raw values are kept: most fleets know fewer, and a row takes 32 bytes for each cluster.
const ROWS_MAX: usize = 512;

/// What the filters from `Tier` to `Lease` let something new do that asks for the same.
#[derive(Debug, Clone)]
struct Admission {
    component: Component,
    residency: Vec<String>,
    members: Arc<Roster>,
}

/// Tiers, regions, residency, and selector with tolerations.
type Asked = (Vec<String>, Vec<String>, Vec<String>, String);

#[derive(Debug, Clone)]
pub(super) struct Menus {
    all: Vec<Menu>,
    by_key: BTreeMap<Key, usize>,
    vacant: Vec<usize>,
    admissions: BTreeMap<Asked, usize>,
    admitted: Vec<Admission>,
    pods: BTreeMap<Vec<(u64, Amounts)>, usize>,
    groups: Vec<Vec<(PodCount, Amounts)>>,
    /// By cluster: which charge the same.
    sort: Vec<usize>,
    sorts: BTreeMap<Vec<u64>, usize>,
    /// Raw values by cluster, of pods that were asked for lately.
    rows: BTreeMap<usize, Arc<Vec<Raw>>>,
}

impl Menu {
    pub(super) fn value(&self, member: usize) -> Option<i64> {
        self.members.position(member).map(|at| self.values[at])
    }

    /// Tells, in their order, the clusters to look at that seem to have so much left and where the component itself
    /// adds less than `below`; who is told says below what he wants to hear more.
    pub(super) fn tell(
        &self,
        mut below: i64,
        (left, asked): (&[Glance], Glance),
        look: Look<'_>,
        mut tell: impl FnMut(usize, i64) -> i64,
    ) {
        for (members, values) in self.members.chunks(64).zip(self.values.chunks(64)) {
            let holds = |member: usize| left.get(member).is_some_and(|left| left.holds(&asked));
            let mut worth = match look {
                Look::Since(moved, tried) => worth(members, values, below, |member| {
                    holds(member) & moved.get(member).is_some_and(|moved| *moved > tried)
                }),
                _ => worth(members, values, below, holds),
            };
            while worth != 0 {
                let at = worth.trailing_zeros() as usize;
                worth &= worth - 1;
                below = tell(members[at] as usize, values[at]);
            }
        }
    }
}

/// Which of at most 64 clusters are worth asking: most are not, and cost no branch and no memory far away. A function of
/// its own, so that what it needs stays in registers.
#[inline(never)]
fn worth(members: &[u32], values: &[i64], below: i64, holds: impl Fn(usize) -> bool) -> u64 {
    let mut worth = 0;
    for (at, (member, own)) in members.iter().zip(values).enumerate() {
        worth |= u64::from((*own < below) & holds(*member as usize)) << at;
    }
    worth
}

impl Menus {
    pub(super) fn new(members: &[Member]) -> Self {
        let mut sorts = BTreeMap::new();
        let sort = members.iter().map(|member| number(&mut sorts, member.rates())).collect();
        Self {
            all: Vec::new(),
            by_key: BTreeMap::new(),
            vacant: Vec::new(),
            admissions: BTreeMap::new(),
            admitted: Vec::new(),
            pods: BTreeMap::new(),
            groups: Vec::new(),
            sort,
            sorts,
            rows: BTreeMap::new(),
        }
    }

    pub(super) fn of(&self, menu: usize) -> &Menu {
        &self.all[menu]
    }

    /// The clusters that the filters from `Tier` to `Lease` admit for whatever is new there.
    pub(super) fn admitted(&self, menu: usize) -> &[u32] {
        self.members_of(self.admission_of(menu))
    }

    /// Which of the admissions a menu is of, and the clusters of one.
    pub(super) fn admission_of(&self, menu: usize) -> usize {
        self.all[menu].key.admission
    }

    pub(super) fn members_of(&self, admission: usize) -> &[u32] {
        &self.admitted[admission].members
    }

    /// The menu of a component.
    pub(super) fn open(problem: &mut Problem, item: usize) -> usize {
        let admission = Self::admission(problem, item);
        let scales = *problem.scales(item);
        let Problem { menus, items, members, .. } = problem;
        let groups = &items[item].pods;
        let pods =
            number(&mut menus.pods, groups.iter().map(|(number, pod)| (count(*number), *pod)).collect());
        if pods == menus.groups.len() {
            menus.groups.push(groups.clone());
        }
        let key = Key { admission, pods, scales: scales.bits() };
        if let Some(at) = menus.by_key.get(&key).copied() {
            menus.all[at].users += 1;
            return at;
        }
        let mut menu = Menu { key: key.clone(), users: 1, scales, ..Menu::default() };
        let admitted = menus.admitted[admission].members.clone();
        let large_enough = |member: &u32| large_enough(groups, &members[*member as usize]);
        menu.members = match admitted.iter().all(large_enough) {
            true => admitted,
            false => Arc::new(Roster::new(admitted.iter().copied().filter(large_enough).collect())),
        };
        let row = menus.row(pods, groups, members);
        menu.values = menu.members.iter().map(|member| scales.own(&row[*member as usize])).collect();
        menu.least = menu.values.iter().copied().min().unwrap_or(0);
        let at = menus.vacant.pop().unwrap_or_else(|| {
            menus.all.push(Menu::default());
            menus.all.len() - 1
        });
        menus.all[at] = menu;
        menus.by_key.insert(key, at);
        at
    }

    /// One component less chooses from it.
    pub(super) fn close(&mut self, menu: usize) {
        self.all[menu].users -= 1;
        if self.all[menu].users == 0 {
            let Menu { key, .. } = std::mem::take(&mut self.all[menu]);
            self.by_key.remove(&key);
            self.vacant.push(menu);
        }
    }

    fn admission(problem: &mut Problem, item: usize) -> usize {
        let Wants { component, residency } = Wants::of(problem, item);
        let asked = (
            component.tiers.clone(),
            component.regions.clone(),
            residency.to_vec(),
            words(&component.cluster_selector, &component.tolerations),
        );
        if let Some(known) = problem.menus.admissions.get(&asked) {
            return *known;
        }
        let wants = Wants { component, residency };
        let admits = |member: &Member| wants.refused(member, false).is_none();
        let members = (0..).zip(&problem.members).filter(|(_, member)| admits(member)).map(|(at, _)| at);
        let admission = Admission {
            members: Arc::new(Roster::new(members.collect())),
            component: component.clone(),
            residency: residency.to_vec(),
        };
        problem.menus.admitted.push(admission);
        problem.menus.admissions.insert(asked, problem.menus.admitted.len() - 1);
        problem.menus.admitted.len() - 1
    }

    /// What the same pods cost, burn and take on each cluster.
    fn row(&mut self, pods: usize, groups: &[(PodCount, Amounts)], members: &[Member]) -> Arc<Vec<Raw>> {
        if let Some(row) = self.rows.get(&pods) {
            return row.clone();
        }
        if self.rows.len() == ROWS_MAX {
            self.rows.clear();
        }
        let mut by_sort = vec![None; self.sorts.len()];
        let raw = |(sort, member): (&usize, &Member)| {
            *by_sort[*sort].get_or_insert_with(|| objective::raw(groups, member))
        };
        let row = Arc::new(self.sort.iter().zip(members).map(raw).collect::<Vec<_>>());
        self.rows.insert(pods, row.clone());
        row
    }

    /// A cluster admits, offers or charges something else.
    pub(super) fn reprice(&mut self, at: usize, member: &Member) {
        self.sort[at] = number(&mut self.sorts, member.rates());
        self.rows.clear();
        let before: Vec<_> = self.admitted.iter().map(|admission| admission.members.clone()).collect();
        for Admission { component, residency, members } in &mut self.admitted {
            let admits = Wants { component, residency }.refused(member, false).is_none();
            match (members.position(at), admits) {
                (None, true) => _ = Arc::make_mut(members).enter(at),
                (Some(_), false) => _ = Arc::make_mut(members).leave(at),
                _ => {}
            }
        }
        for menu in self.all.iter_mut().filter(|menu| menu.users > 0) {
            let groups = &self.groups[menu.key.pods];
            let (before, admitted) =
                (&before[menu.key.admission], &self.admitted[menu.key.admission].members);
            let admits = admitted.position(at).is_some();
            let value = (admits && large_enough(groups, member))
                .then(|| menu.scales.own(&objective::raw(groups, member)));
            // A list that many menus share is changed once for all of them.
            let shared = Arc::ptr_eq(&menu.members, before) && admits == value.is_some();
            menu.set(at, value, shared.then_some(admitted));
        }
    }
}

impl Menu {
    /// `members` is the list afterwards, where it is there already.
    fn set(&mut self, member: usize, value: Option<i64>, members: Option<&Arc<Roster>>) {
        let found = self.members.position(member);
        match (members, found, value) {
            (Some(members), ..) => self.members = members.clone(),
            (None, Some(_), None) => _ = Arc::make_mut(&mut self.members).leave(member),
            (None, None, Some(_)) => _ = Arc::make_mut(&mut self.members).enter(member),
            _ => {}
        }
        let was = match (found, value) {
            (Some(at), Some(value)) => std::mem::replace(&mut self.values[at], value),
            (Some(at), None) => self.values.remove(at),
            (None, Some(value)) => {
                let at = self.members.partition_point(|known| (*known as usize) < member);
                self.values.insert(at, value);
                i64::MAX
            }
            (None, None) => return,
        };
        self.least = match value {
            // Something else may be the least now.
            _ if was <= self.least || self.values.len() < 2 => self.values.iter().copied().min().unwrap_or(0),
            Some(value) => self.least.min(value),
            None => self.least,
        };
        debug_assert_eq!(self.members.len(), self.values.len());
        debug_assert_eq!(self.least, self.values.iter().copied().min().unwrap_or(0));
    }
}

/// A quick look that refuses only what no node can ever hold.
fn large_enough(pods: &[(PodCount, Amounts)], member: &Member) -> bool {
    pods.iter().all(|(_, pod)| (0..RESOURCES).all(|i| pod[i] <= member.largest[i]))
}

fn count(count: PodCount) -> u64 {
    match count {
        PodCount::Replicas(count) => u64::from(count),
        PodCount::PerNode => u64::MAX,
    }
}

/// Selector and tolerations as one comparable text.
fn words(selector: &ClusterSelector, tolerations: &[Toleration]) -> String {
    match selector.is_empty() && tolerations.is_empty() {
        true => String::new(),
        false => format!("{selector:?}{tolerations:?}"),
    }
}

fn number<K: Ord>(known: &mut BTreeMap<K, usize>, key: K) -> usize {
    let next = known.len();
    *known.entry(key).or_insert(next)
}
