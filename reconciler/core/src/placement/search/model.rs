//! A problem in few numbers: what each component adds on each cluster, what each pair of them adds, and how much room
//! there is in sums. Small enough to try millions of changes.
//!
//! Nodes, limits of an application and the reserve are not in it: a placement that it likes is one to be tried.

use super::super::loads;
use super::super::member::RESOURCES;
use super::super::state::{NOWHERE, State};

/// How many numbers all pairs may take together: some tens of MiB.
const TABLE_MAX: usize = 4_000_000;

/// How much it counts against a placement that two components are where they must not be, and as much as that a
/// cluster has to hold twice its room.
const BROKEN: i64 = 1000;

/// How much any excess counts beside its size: a little too much is not possible either.
const FULL: i64 = 300;

/// Placements differ by what they add, and by how far they are from being possible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) adds: i64,
    pub(super) breaks: i64,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) choosers: Vec<Chooser>,
    clusters: usize,
    /// By pair: by cluster of the first and of the second. What is not allowed is the complement of what it adds.
    tables: Vec<Vec<i64>>,
    /// By cluster, of each resource that anybody asks for.
    room: Vec<[i64; RESOURCES]>,
    asked: Vec<usize>,
}

/// A component that can choose.
#[derive(Debug)]
pub(super) struct Chooser {
    pub(super) members: Vec<u32>,
    /// By cluster; only those of its members count.
    own: Vec<i64>,
    asks: [i64; RESOURCES],
    /// Where it takes no room, since its pods are there.
    sits: Vec<usize>,
    pub(super) pairs: Vec<Pair>,
}

/// One end of what two components add together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub(super) other: usize,
    table: usize,
    first: bool,
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

    fn tie(&mut self, ends: [usize; 2], adds: impl Fn(usize, usize) -> i64) {
        let clusters = self.clusters;
        let (table, all) = (self.tables.len(), 0..clusters);
        self.tables.push(
            all.flat_map(|here| (0..clusters).map(move |there| (here, there)))
                .map(|(a, b)| adds(a, b))
                .collect(),
        );
        for (end, first) in [(0, true), (1, false)] {
            self.choosers[ends[end]].pairs.push(Pair { other: ends[1 - end], table, first });
        }
    }

    /// What two of them add together.
    pub(super) fn pair(&self, pair: &Pair, here: u32, there: u32) -> Cost {
        let (a, b) = if pair.first { (here, there) } else { (there, here) };
        let adds = self.tables[pair.table][a as usize * self.clusters + b as usize];
        match adds < 0 {
            true => Cost { adds: !adds, breaks: BROKEN },
            false => Cost { adds, breaks: 0 },
        }
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
            sits: loads::sits(facts).collect(),
            pairs: Vec::new(),
        })
    }

    /// Where it was, if it may be there; else where it adds least by itself.
    pub(super) fn like(&self, was: Option<usize>) -> u32 {
        let was = was.map(|member| member as u32).filter(|member| self.members.contains(member));
        was.unwrap_or(self.members[0])
    }
}

/// Where all of them are.
#[derive(Debug)]
pub(super) struct Layout<'m> {
    model: &'m Model,
    pub(super) at: Vec<u32>,
    load: Vec<[i64; RESOURCES]>,
    pub(super) cost: Cost,
}

impl<'m> Layout<'m> {
    /// Each where it is told to be.
    pub(super) fn new(model: &'m Model, at: Vec<u32>) -> Self {
        let mut layout =
            Self { model, load: vec![[0; RESOURCES]; model.clusters], cost: Cost::default(), at };
        for (number, chooser) in model.choosers.iter().enumerate() {
            let here = layout.at[number];
            layout.cost.adds += chooser.own[here as usize];
            for pair in chooser.pairs.iter().filter(|pair| pair.first) {
                layout.cost = layout.cost.plus(model.pair(pair, here, layout.at[pair.other]));
            }
            layout.load(chooser, here, 1);
        }
        layout.cost.breaks += (0..model.clusters).map(|member| layout.excess(member as u32)).sum::<i64>();
        layout
    }

    /// Whether it may choose that cluster.
    pub(super) fn admits(&self, number: usize, to: u32) -> bool {
        self.model.choosers[number].own[to as usize] < NOWHERE
    }

    /// What it would change to have one of them elsewhere.
    pub(super) fn weigh(&mut self, number: usize, to: u32) -> Cost {
        let (model, from) = (self.model, self.at[number]);
        let chooser = &model.choosers[number];
        if from == to {
            return Cost::default();
        }
        let mut change = Cost { adds: chooser.own[to as usize] - chooser.own[from as usize], breaks: 0 };
        for pair in &chooser.pairs {
            let there = self.at[pair.other];
            change = change.plus(model.pair(pair, to, there)).minus(model.pair(pair, from, there));
        }
        for (member, sign) in [(from, -1), (to, 1)] {
            if !chooser.sits.contains(&(member as usize)) {
                let before = self.excess(member);
                self.load(chooser, member, sign);
                change.breaks += self.excess(member) - before;
                self.load(chooser, member, -sign);
            }
        }
        change
    }

    pub(super) fn put(&mut self, number: usize, to: u32, change: Cost) {
        let chooser = &self.model.choosers[number];
        let from = std::mem::replace(&mut self.at[number], to);
        self.load(chooser, from, -1);
        self.load(chooser, to, 1);
        self.cost = self.cost.plus(change);
    }

    fn load(&mut self, chooser: &Chooser, member: u32, sign: i64) {
        if !chooser.sits.contains(&(member as usize)) {
            let load = &mut self.load[member as usize];
            self.model.asked.iter().for_each(|i| load[*i] += sign * chooser.asks[*i]);
        }
    }

    /// By how much a cluster is above its room.
    fn excess(&self, member: u32) -> i64 {
        let (load, room) = (&self.load[member as usize], &self.model.room[member as usize]);
        let over = |i: &usize| match load[*i] - room[*i] {
            over if over > 0 => (over as i128 * BROKEN as i128 / room[*i].max(1) as i128) as i64 + FULL,
            _ => 0,
        };
        self.model.asked.iter().map(over).sum()
    }
}

impl Cost {
    pub(super) fn plus(self, other: Self) -> Self {
        Self { adds: self.adds + other.adds, breaks: self.breaks + other.breaks }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self { adds: self.adds - other.adds, breaks: self.breaks - other.breaks }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dice::Dice;
    use super::*;

    /// Five components in a ring on three clusters, where the neighbours of the first must not be with it.
    fn ring() -> Model {
        let chooser = |number: usize| Chooser {
            members: vec![0, 1, 2],
            own: vec![10, 20 + number as i64, 30],
            asks: std::array::from_fn(|i| if i < 2 { 3 + number as i64 } else { 0 }),
            sits: if number == 1 { vec![2] } else { Vec::new() },
            pairs: Vec::new(),
        };
        let room = vec![[9; RESOURCES]; 3];
        let choosers = (0..5).map(chooser).collect();
        let mut model = Model { choosers, clusters: 3, tables: Vec::new(), room, asked: vec![0, 1] };
        for first in 0..5 {
            model.tie([first, (first + 1) % 5], |here, there| match here == there {
                true if first == 0 => !7,
                true => 0,
                false => 5 + (here * 3 + there) as i64,
            });
        }
        model
    }

    #[test]
    fn what_changes_weigh_is_what_they_make_of_the_cost() {
        let (model, mut dice) = (ring(), Dice(1));
        let mut layout = Layout::new(&model, vec![0; 5]);
        assert!(layout.cost.breaks > 0);
        for _ in 0..200 {
            let (number, to) = (dice.roll(5), dice.roll(3) as u32);
            let change = layout.weigh(number, to);
            layout.put(number, to, change);
            assert_eq!(layout.cost, Layout::new(&model, layout.at.clone()).cost);
        }
    }
}
