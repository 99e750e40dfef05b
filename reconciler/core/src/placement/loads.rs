//! What sits on each cluster while a plan is made, and whether more still fits.
//!
//! What runs keeps its room until it is gone, also where the plan moves it away: a move is make-before-break,
//! so the old copy is still there when the new one starts.

use qonnect_schema::documents::placement::{Filter, Refusal};

use super::glance::Glance;
use super::item::Item;
use super::member::{Amounts, Member, RESOURCES};
use super::pack::{Misfit, Parcel, pack};
use super::problem::Problem;

#[derive(Debug, Clone, Default)]
pub(super) struct Loads {
    of: Vec<Load>,
    /// By cluster, what its nodes have left together: the first question, asked of many clusters in a row.
    slack: Vec<Amounts>,
    /// By cluster, of each resource, the most that one node has left.
    widest: Vec<Amounts>,
    /// By cluster, both at a glance.
    glances: Vec<Glance>,
    /// Kept between calls, so that trying allocates nothing.
    scratch: Vec<Amounts>,
}

#[derive(Debug, Clone, Default)]
struct Load {
    /// In the order of packing.
    parcels: Vec<Parcel>,
    /// What they leave on each node.
    free: Vec<Amounts>,
    /// Components that run here and find no room; while there are some, nothing new comes.
    squeezed: Vec<usize>,
    /// Components that are placed here and do not run here.
    guests: Vec<u32>,
}

impl Loads {
    pub(super) fn new(problem: &Problem) -> Self {
        let count = problem.members.len();
        let mut loads = Self {
            of: vec![Load::default(); count],
            slack: vec![[0; RESOURCES]; count],
            widest: vec![[0; RESOURCES]; count],
            glances: vec![Glance::left(&[0; RESOURCES], &[0; RESOURCES]); count],
            scratch: Vec::new(),
        };
        for item in problem.live() {
            for member in sits(&problem.items[item]) {
                loads.of[member].parcels.extend(&problem.items[item].parcels);
            }
        }
        for member in 0..count {
            loads.settle(problem, member);
        }
        loads
    }

    /// Packs what runs on a cluster anew; whoever is placed there comes back with [`Self::add`].
    fn settle(&mut self, problem: &Problem, member: usize) {
        let load = &mut self.of[member];
        load.parcels.sort_unstable();
        load.squeezed.clear();
        reset(&mut load.free, &problem.members[member]);
        let squeezed = &mut load.squeezed;
        pack(&mut load.free, load.parcels.iter(), |misfit| {
            squeezed.push(misfit.item);
            true
        });
        self.measure(member);
    }

    /// The components that run on a cluster, or whose old copy does.
    pub(super) fn rebuild(&mut self, problem: &Problem, member: usize, residents: &[usize]) {
        let load = &mut self.of[member];
        load.parcels.clear();
        for item in residents {
            load.parcels.extend(&problem.items[*item].parcels);
        }
        self.settle(problem, member);
        for guest in std::mem::take(&mut self.of[member].guests) {
            self.add(problem, guest as usize, member);
        }
    }

    /// A component that runs there comes or goes, with what it asks for.
    pub(super) fn resident(&mut self, problem: &Problem, item: usize, member: usize, comes: bool) {
        let load = &mut self.of[member];
        load.parcels.retain(|parcel| parcel.item as usize != item);
        if comes {
            load.parcels.extend(&problem.items[item].parcels);
        }
        let guests = std::mem::take(&mut load.guests);
        load.parcels.retain(|parcel| !guests.contains(&parcel.item));
        self.settle(problem, member);
        for guest in guests {
            self.add(problem, guest as usize, member);
        }
    }

    /// Components that are placed on a cluster and do not run there.
    pub(super) fn guests(&self, member: usize) -> &[u32] {
        &self.of[member].guests
    }

    /// Of whom [`Self::may_fit`] is to be asked at all.
    pub(super) fn glances(&self) -> &[Glance] {
        &self.glances
    }

    /// Whether a cluster may have room: together, and on one node for the largest pod. It answers no also where
    /// room could be made by moving pods to other nodes, which Kubernetes does not do.
    pub(super) fn may_fit(&self, item: &Item, member: usize) -> bool {
        let (slack, widest) = (&self.slack[member], &self.widest[member]);
        (0..RESOURCES).all(|i| item.total[i] <= slack[i] && item.largest[i] <= widest[i])
    }

    /// Whether all nodes together have enough left.
    pub(super) fn has_left(&self, item: &Item, member: usize) -> bool {
        within(&item.total, &self.slack[member])
    }

    /// Whether there may be room for two at once.
    pub(super) fn may_fit_both(&self, a: &Item, b: &Item, member: usize) -> bool {
        let (slack, widest) = (&self.slack[member], &self.widest[member]);
        (0..RESOURCES).all(|i| {
            a.total[i].saturating_add(b.total[i]) <= slack[i] && a.largest[i].max(b.largest[i]) <= widest[i]
        })
    }

    /// What the nodes of a cluster have left together.
    pub(super) fn slack(&self, member: usize) -> &Amounts {
        &self.slack[member]
    }

    /// What a cluster can give to whoever does not sit there already.
    pub(super) fn room(&self, problem: &Problem, member: usize) -> [f64; RESOURCES] {
        let guests = &self.of[member].guests;
        let mut room = problem.members[member].sum.map(|sum| sum as f64);
        for parcel in self.of[member].parcels.iter().filter(|parcel| !guests.contains(&parcel.item)) {
            let count = parcel.count.map_or(self.of[member].free.len() as f64, f64::from);
            (0..RESOURCES).for_each(|i| room[i] = (room[i] - parcel.pod[i] as f64 * count).max(0.0));
        }
        room
    }

    /// The components whose pods are on a cluster whatever is decided.
    pub(super) fn sitting(&self, problem: &Problem, member: usize) -> Vec<usize> {
        let all = self.of[member].parcels.iter().map(|parcel| parcel.item as usize);
        let mut sitting: Vec<usize> = all.filter(|item| problem.sits_on(*item, member)).collect();
        sitting.sort_unstable();
        sitting.dedup();
        sitting
    }

    /// Whether it finds room once other components are gone.
    pub(super) fn fits_without(
        &mut self,
        problem: &Problem,
        item: usize,
        member: usize,
        gone: &[usize],
    ) -> bool {
        let facts = &problem.items[item];
        let load = &self.of[member];
        let freed = |i: usize| gone.iter().map(|other| problem.items[*other].total[i]).sum::<u64>();
        let slack = |i: usize| self.slack[member][i].saturating_add(freed(i));
        if !load.squeezed.is_empty() || (0..RESOURCES).any(|i| facts.total[i] > slack(i)) {
            return false;
        }
        reset(&mut self.scratch, &problem.members[member]);
        let mut fits = true;
        let rest =
            merged(&load.parcels, &facts.parcels).filter(|parcel| !gone.contains(&(parcel.item as usize)));
        pack(&mut self.scratch, rest, |_| {
            fits = false;
            false
        });
        fits
    }

    /// Whether the component finds room beside everything that sits there.
    pub(super) fn fits(&mut self, problem: &Problem, item: usize, member: usize) -> bool {
        if problem.sits_on(item, member) {
            return self.stays(problem, item, member);
        }
        let facts = &problem.items[item];
        let load = &self.of[member];
        if facts.parcels.is_empty() {
            return true;
        }
        if !load.squeezed.is_empty() || load.free.is_empty() {
            return false;
        }
        let nodes = load.free.len() as u64;
        let wanted = |i: usize| facts.total[i].saturating_add(facts.per_node[i].saturating_mul(nodes));
        if (0..RESOURCES).any(|i| wanted(i) > self.slack[member][i]) {
            return false;
        }
        let mut fits = true;
        let stop = |_: Misfit| {
            fits = false;
            false
        };
        if load.parcels.last().is_none_or(|last| *last < facts.parcels[0]) {
            if !within(&facts.largest, &self.widest[member]) {
                return false;
            }
            // What comes last in the order of packing needs to be tried only on what is left.
            self.scratch.clone_from(&load.free);
            pack(&mut self.scratch, facts.parcels.iter(), stop);
        } else {
            reset(&mut self.scratch, &problem.members[member]);
            pack(&mut self.scratch, merged(&load.parcels, &facts.parcels), stop);
        }
        fits
    }

    /// Whether what runs can stay. A component that its cluster reports Ready fits, whatever packing makes of
    /// it, unless one of its pods is larger than what any node there could give.
    pub(super) fn stays(&self, problem: &Problem, item: usize, member: usize) -> bool {
        if !self.of[member].squeezed.contains(&item) {
            return true;
        }
        let nodes = &problem.members[member].nodes;
        let alone = |parcel: &Parcel| nodes.iter().any(|node| within(&parcel.pod, &node.free));
        problem.is_ready(item, member) && problem.items[item].parcels.iter().all(alone)
    }

    pub(super) fn add(&mut self, problem: &Problem, item: usize, member: usize) {
        if problem.sits_on(item, member) {
            return;
        }
        let parcels = &problem.items[item].parcels;
        let load = &mut self.of[member];
        load.guests.push(item as u32);
        if load.parcels.last().zip(parcels.first()).is_none_or(|(last, first)| last < first) {
            load.parcels.extend(parcels);
            pack(&mut load.free, parcels.iter(), |_| true);
            self.measure(member);
            return;
        }
        load.parcels.extend(parcels);
        load.parcels.sort_unstable();
        self.repack(problem, member);
    }

    pub(super) fn remove(&mut self, problem: &Problem, item: usize, member: usize) {
        if !problem.sits_on(item, member) {
            let load = &mut self.of[member];
            load.guests.retain(|guest| *guest as usize != item);
            load.parcels.retain(|parcel| parcel.item as usize != item);
            self.repack(problem, member);
        }
    }

    fn repack(&mut self, problem: &Problem, member: usize) {
        let load = &mut self.of[member];
        reset(&mut load.free, &problem.members[member]);
        pack(&mut load.free, load.parcels.iter(), |_| true);
        self.measure(member);
    }

    fn measure(&mut self, member: usize) {
        let (mut slack, mut widest) = ([0u64; RESOURCES], [0u64; RESOURCES]);
        for node in &self.of[member].free {
            for i in 0..RESOURCES {
                slack[i] = slack[i].saturating_add(node[i]);
                widest[i] = widest[i].max(node[i]);
            }
        }
        (self.slack[member], self.widest[member]) = (slack, widest);
        self.glances[member] = Glance::left(&slack, &widest);
    }

    /// Why the component does not fit, and by how much.
    pub(super) fn refusal(&self, problem: &Problem, item: usize, member: usize) -> Refusal {
        let refusal = |message| Refusal { filter: Filter::Capacity, message };
        let facts = &problem.members[member];
        if facts.nodes.is_empty() {
            return refusal(match facts.unusable.as_slice() {
                [] => "has no nodes".into(),
                [(node, reason), rest @ ..] => match rest.len() {
                    0 => format!("{node} {reason}"),
                    more => format!("no node takes pods: {node} {reason}, and {more} more"),
                },
            });
        }
        let mut free = self.of[member].free.clone();
        if problem.sits_on(item, member) {
            reset(&mut free, facts);
            let others = self.of[member].parcels.iter().filter(|parcel| parcel.item as usize != item);
            pack(&mut free, others, |_| true);
        }
        let mut found = None;
        pack(&mut free, problem.items[item].parcels.iter(), |misfit| {
            found = Some(misfit);
            false
        });
        refusal(match found {
            Some(misfit) => misfit.message(&facts.nodes, &free, &problem.extended),
            None if !self.of[member].squeezed.is_empty() => {
                "what runs here needs more than its nodes have".into()
            }
            None => "its pods would fit only if others moved to other nodes".into(),
        })
    }
}

/// The clusters that a component's pods sit on, whatever is decided.
pub(super) fn sits(item: &Item) -> impl Iterator<Item = usize> + use<> {
    let old_copy = item.leaving.filter(|leaving| item.home != Some(*leaving));
    item.home.into_iter().chain(old_copy)
}

fn reset(free: &mut Vec<Amounts>, member: &Member) {
    free.clear();
    free.extend(member.nodes.iter().map(|node| node.free));
}

fn merged<'x>(a: &'x [Parcel], b: &'x [Parcel]) -> impl Iterator<Item = &'x Parcel> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(x), Some(y)) if y < x => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}

fn within(wanted: &Amounts, free: &Amounts) -> bool {
    (0..RESOURCES).all(|i| wanted[i] <= free[i])
}
