//! A problem in few numbers: what each component adds on each cluster, what each pair of them adds, and how much room
//! there is in sums. Small enough to try millions of changes.
//!
//! Nodes, limits of an application and the reserve are not in it: a placement that it likes is one to be tried.

use super::super::loads;
use super::super::member::RESOURCES;
use super::super::state::{NOWHERE, State};

/// How many numbers all pairs may take together, of which both ends have their own: some tens of MiB.
const TABLE_MAX: usize = 4_000_000;

/// How much it counts against a placement that two components are where they must not be, and as much as that a
/// cluster has to hold twice its room.
pub(super) const BROKEN: i64 = 1000;

/// Placements differ by what they add, and by how far they are from being possible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) adds: i64,
    pub(super) breaks: i64,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) choosers: Vec<Chooser>,
    pub(super) clusters: usize,
    /// By end of a pair: by its cluster and that of the other. What is not allowed is the complement of what it adds.
    pub(super) tables: Vec<Vec<i64>>,
    /// By cluster, of each resource that anybody asks for.
    pub(super) room: Vec<[i64; RESOURCES]>,
    pub(super) asked: Vec<usize>,
}

/// A component that can choose.
#[derive(Debug)]
pub(super) struct Chooser {
    pub(super) members: Vec<u32>,
    /// By cluster; only those of its members count.
    pub(super) own: Vec<i64>,
    pub(super) asks: [i64; RESOURCES],
    /// Where it takes no room, since its pods are there.
    pub(super) sits: Vec<u32>,
    pub(super) pairs: Vec<Pair>,
}

/// One end of what two components add together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) other: usize,
    table: usize,
    /// What both ends know of counts at this one.
    pub(super) first: bool,
}

impl Model {
    /// Of components that have been taken out; `None` if one of them can go nowhere, or if there are too many.
    pub(super) fn new(state: &State<'_>, items: &[usize]) -> Option<Self> {
        let problem = state.problem;
        let clusters = problem.members.len();
        let ties = |item: &usize| {
            let facts = &problem.items[*item];
            let calls = facts.calls.iter().filter(|call| call.outgoing).count();
            calls + facts.bonds.iter().filter(|bond| bond.asks).count()
        };
        if items.iter().map(ties).sum::<usize>() * clusters * clusters > TABLE_MAX {
            return None;
        }
        let choosers = items.iter().map(|item| Chooser::new(state, *item)).collect::<Option<Vec<_>>>()?;
        let asked = (0..RESOURCES).filter(|i| choosers.iter().any(|chooser| chooser.asks[*i] > 0));
        let room = |member| state.solution.loads.slack(member).map(|amount| amount as i64);
        let asked = asked.collect();
        let room = (0..clusters).map(room).collect();
        let mut model = Self { choosers, clusters, tables: Vec::new(), room, asked };
        for (at, item) in items.iter().enumerate() {
            let facts = &problem.items[*item];
            let position = |other: usize| items.binary_search(&other).ok();
            for call in facts.calls.iter().filter(|call| call.outgoing) {
                let Some(other) = position(call.other) else { continue };
                model.tie([at, other], |here, there| {
                    let adds = problem.communication(*item, call, here, there);
                    let far = |limit| problem.latencies.between(here, there) > limit;
                    if call.limit.is_some_and(far) { !adds } else { adds }
                });
            }
            for bond in facts.bonds.iter().filter(|bond| bond.asks) {
                let Some(other) = position(bond.other) else { continue };
                model.tie([at, other], |here, there| match bond.admits(problem, here, there) {
                    true => 0,
                    false => !0,
                });
            }
        }
        Some(model)
    }

    pub(super) fn tie(&mut self, ends: [usize; 2], adds: impl Fn(usize, usize) -> i64) {
        let all = 0..self.clusters;
        let cells = || all.clone().flat_map(|here| all.clone().map(move |there| (here, there)));
        let there_and_back: [Vec<i64>; 2] = [
            cells().map(|(here, there)| adds(here, there)).collect(),
            cells().map(|(here, there)| adds(there, here)).collect(),
        ];
        for (end, table) in there_and_back.into_iter().enumerate() {
            let pair = Pair { other: ends[1 - end], table: self.tables.len(), first: end == 0 };
            self.choosers[ends[end]].pairs.push(pair);
            self.tables.push(table);
        }
    }

    /// What two of them add together.
    pub(super) fn pair(&self, pair: &Pair, here: u32, there: u32) -> Cost {
        Cost::of(self.tables[pair.table][here as usize * self.clusters + there as usize])
    }

    /// The same by the cluster of the other.
    pub(super) fn row(&self, pair: &Pair, here: u32) -> impl Iterator<Item = Cost> + '_ {
        let row = &self.tables[pair.table][here as usize * self.clusters..][..self.clusters];
        row.iter().map(|adds| Cost::of(*adds))
    }
}

impl Chooser {
    fn new(state: &State<'_>, item: usize) -> Option<Self> {
        let problem = state.problem;
        let field = state.field(item, None, true);
        let mut candidates = state.candidates(item, &field, NOWHERE, true);
        candidates.sort_unstable();
        let mut own = vec![NOWHERE; problem.members.len()];
        candidates.iter().for_each(|(adds, member)| own[*member as usize] = *adds);
        let facts = &problem.items[item];
        (!candidates.is_empty()).then(|| Self {
            members: candidates.into_iter().map(|(_, member)| member).collect(),
            own,
            asks: facts.total.map(|amount| amount as i64),
            sits: loads::sits(facts).map(|member| member as u32).collect(),
            pairs: Vec::new(),
        })
    }

    /// Where it was, if it may be there; else where it adds least by itself.
    pub(super) fn like(&self, was: Option<usize>) -> u32 {
        let was = was.map(|member| member as u32).filter(|member| self.members.contains(member));
        was.unwrap_or(self.members[0])
    }
}

impl Cost {
    /// What is not allowed is the complement of what it adds.
    fn of(adds: i64) -> Self {
        let broken = adds >> 63;
        Self { adds: adds ^ broken, breaks: broken & BROKEN }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self { adds: self.adds + other.adds, breaks: self.breaks + other.breaks }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self { adds: self.adds - other.adds, breaks: self.breaks - other.breaks }
    }
}
