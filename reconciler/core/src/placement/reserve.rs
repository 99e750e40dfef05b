//! Room for failures: what is in one cluster or region shall find room elsewhere when that dies.
//!
//! Asked of sums: over all clusters, and over those from which components with the same choice may choose. What is free
//! outside of a cluster or region must be no less than what is guarded inside of it. Nodes and what depends on other
//! components are left out: [`super::survive`] plans each loss and says what would be missing after all.
//!
//! Everything counts where it is placed, as if all moves were over. So a guarded component that goes from one cluster of
//! a pool to another changes no lack: it takes as much outside of the one as it leaves outside of the other. What mends a
//! lack is that something else goes into the part that lacks, or out of the pool: [`super::search`] sees to it.

use std::collections::BTreeMap;

use qonnect_schema::documents::fleet::Domain;
use qonnect_schema::documents::placement::{Filter, Refusal};
use qonnect_schema::documents::snapshot::ClusterStatus;

use super::member::{Amounts, Member, RESOURCES};
use super::pack::plain;
use super::problem::Problem;

/// Empty where nothing is guarded.
#[derive(Debug, Clone, Default)]
pub(super) struct Reserve {
    pools: Vec<Pool>,
}

/// Clusters that stand in for each other, for the components that may choose from them.
#[derive(Debug, Clone)]
struct Pool {
    domain: Domain,
    /// Whose components are guarded here: those of one admission, or all.
    admission: Option<usize>,
    /// By cluster, whether it takes something new, and which part of the pool it is in.
    takes: Vec<bool>,
    part: Vec<usize>,
    parts: Vec<Part>,
    free: Sums,
}

/// Less than nothing is free where more runs than nodes have.
type Sums = [i128; RESOURCES];

/// What dies together.
#[derive(Debug, Clone, Default)]
struct Part {
    name: String,
    free: Sums,
    guarded: Sums,
}

/// Where a component is placed, or would be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift {
    pub(super) item: usize,
    pub(super) from: Option<usize>,
    pub(super) to: Option<usize>,
}

/// What would be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lack {
    pool: usize,
    part: usize,
    pub(super) resource: usize,
    free: i128,
    needed: i128,
}

impl Lack {
    /// Whether anything is missing at all.
    pub(super) fn is_any(&self) -> bool {
        self.needed > 0 && self.needed > self.free
    }

    pub(super) fn amount(&self) -> u64 {
        u64::try_from(self.needed - self.free).unwrap_or(0)
    }
}

impl Reserve {
    pub(super) fn new(problem: &Problem, place: impl Fn(usize) -> Option<usize>) -> Self {
        let mut pools: Vec<Pool> = Vec::new();
        // Most fleets guard nothing.
        let items = if problem.guards() { problem.live().collect() } else { Vec::new() };
        for &item in &items {
            let Some(domain) = problem.app(item).guard else { continue };
            let admission = problem.menus.admission_of(problem.items[item].menu);
            for admission in [None, Some(admission)] {
                if !pools.iter().any(|pool| pool.domain == domain && pool.admission == admission) {
                    pools.push(Pool::new(problem, domain, admission));
                }
            }
        }
        let mut reserve = Self { pools };
        for item in items {
            reserve.count(problem, Shift { item, from: None, to: place(item) });
        }
        reserve
    }

    /// A component is placed elsewhere.
    pub(super) fn count(&mut self, problem: &Problem, shift: Shift) {
        for pool in &mut self.pools {
            let guards = pool.guards(problem, shift.item);
            for (member, sign) in [(shift.from, -1), (shift.to, 1)] {
                let Some(member) = member else { continue };
                let part = &mut pool.parts[pool.part[member]];
                let takes = asks(problem, shift.item, member);
                for i in (0..RESOURCES).filter(|_| pool.takes[member]) {
                    part.free[i] -= sign * takes[i];
                    pool.free[i] -= sign * takes[i];
                }
                for i in (0..RESOURCES).filter(|_| guards) {
                    part.guarded[i] += sign * i128::from(problem.items[shift.item].total[i]);
                }
            }
        }
    }

    /// Why a component must not go somewhere: what would find no room when something dies. What is broken already may
    /// stay so, but not get worse.
    pub(super) fn refusal(&self, problem: &Problem, shift: Shift) -> Option<Refusal> {
        let lack = self.worse(problem, shift)?;
        let pool = &self.pools[lack.pool];
        let kind = match pool.domain {
            Domain::Cluster => "",
            Domain::Region => "region ",
        };
        let amount = |value: i128| plain(u64::try_from(value).unwrap_or(0), lack.resource);
        let message = format!(
            "would leave {} {} free for what is on {kind}{}, which needs {} if that dies",
            amount(lack.free),
            problem.extended.name(lack.resource),
            pool.parts[lack.part].name,
            amount(lack.needed),
        );
        Some(Refusal { filter: Filter::Reserve, message })
    }

    pub(super) fn admits(&self, problem: &Problem, shift: Shift) -> bool {
        self.worse(problem, shift).is_none()
    }

    /// All that is missing now.
    pub(super) fn lacks(&self) -> Vec<Lack> {
        let each = self.pools.iter().enumerate().flat_map(|(at, pool)| {
            let parts = 0..pool.parts.len();
            let lack = move |part| (0..RESOURCES).map(move |resource| pool.lack(at, part, resource));
            parts.flat_map(lack).filter(Lack::is_any)
        });
        each.collect()
    }

    /// Whether nothing is missing by now that was not, nor more of it.
    pub(super) fn lacks_no_more_than(&self, before: &[Lack]) -> bool {
        let same = |a: &Lack, b: &Lack| (a.pool, a.part, a.resource) == (b.pool, b.part, b.resource);
        let known = |lack: &Lack| before.iter().find(|known| same(lack, known)).map_or(0, Lack::amount);
        self.lacks().iter().all(|lack| lack.amount() <= known(lack))
    }

    /// What is missing of something by now.
    pub(super) fn left(&self, lack: &Lack) -> Lack {
        self.pools[lack.pool].lack(lack.pool, lack.part, lack.resource)
    }

    /// Whether a component takes the room that is missing where it is not guarded.
    pub(super) fn is_in_the_way(&self, problem: &Problem, lack: &Lack, item: usize, member: usize) -> bool {
        let pool = &self.pools[lack.pool];
        !pool.guards(problem, item) && pool.takes[member] && pool.part[member] != lack.part
    }

    fn worse(&self, problem: &Problem, shift: Shift) -> Option<Lack> {
        // The reserve is there for what must leave its cluster.
        let flees = problem.runs(shift.item) && problem.items[shift.item].at_home.is_none();
        let mut pools = self.pools.iter().enumerate().filter(|_| !flees);
        pools.find_map(|(at, pool)| pool.worse(problem, at, shift))
    }
}

impl Pool {
    fn new(problem: &Problem, domain: Domain, admission: Option<usize>) -> Self {
        let mut takes: Vec<bool> =
            problem.members.iter().map(|member| admission.is_none() && is_open(member)).collect();
        for member in admission.map_or(&[][..], |admission| problem.menus.members_of(admission)) {
            takes[*member as usize] = true;
        }
        let mut known: BTreeMap<(bool, &str), usize> = BTreeMap::new();
        let (mut part, mut parts, mut free) = (Vec::new(), Vec::new(), [0; RESOURCES]);
        for (at, member) in problem.members.iter().enumerate() {
            // What lies in no region dies alone.
            let region = member.cluster.spec.region.as_deref().filter(|_| domain == Domain::Region);
            let key = (region.is_some(), region.unwrap_or(&member.name));
            let index = *known.entry(key).or_insert_with(|| {
                parts.push(Part { name: key.1.to_owned(), ..Part::default() });
                parts.len() - 1
            });
            part.push(index);
            for i in (0..RESOURCES).filter(|_| takes[at]) {
                parts[index].free[i] += i128::from(member.sum[i]);
                free[i] += i128::from(member.sum[i]);
            }
        }
        Self { domain, admission, takes, part, parts, free }
    }

    fn guards(&self, problem: &Problem, item: usize) -> bool {
        let admission = || problem.menus.admission_of(problem.items[item].menu);
        problem.app(item).guard == Some(self.domain) && self.admission.is_none_or(|own| own == admission())
    }

    fn lack(&self, pool: usize, part: usize, resource: usize) -> Lack {
        let own = &self.parts[part];
        let (free, needed) = (self.free[resource] - own.free[resource], own.guarded[resource]);
        Lack { pool, part, resource, free, needed }
    }

    /// What a change would leave without room, and more so than before.
    fn worse(&self, problem: &Problem, pool: usize, Shift { item, from, to }: Shift) -> Option<Lack> {
        let guards = self.guards(problem, item);
        if !guards && to.is_none_or(|to| !self.takes[to]) {
            return None;
        }
        let needs = &problem.items[item].total;
        let [leaves, comes] = [from, to].map(|member| {
            let member = member?;
            let takes = if self.takes[member] { asks(problem, item, member) } else { [0; RESOURCES] };
            Some((self.part[member], takes))
        });
        // By how much a sum over some parts changes.
        let change = |of: &dyn Fn(usize, &Sums) -> i128| {
            let part = |end: &Option<(usize, Sums)>| end.as_ref().map_or(0, |(part, takes)| of(*part, takes));
            part(&comes) - part(&leaves)
        };
        let asked = (0..RESOURCES).filter(|i| needs[*i] > 0);
        asked.flat_map(|i| (0..self.parts.len()).map(move |part| (i, part))).find_map(|(i, part)| {
            let before = self.lack(pool, part, i);
            let needed =
                before.needed + change(&|at, _| if guards && at == part { i128::from(needs[i]) } else { 0 });
            let free = before.free - change(&|at, takes| if at == part { 0 } else { takes[i] });
            let lacked = (before.needed - before.free).max(0);
            (needed > 0 && needed - free > lacked).then_some(Lack { free, needed, ..before })
        })
    }
}

/// What a component takes of a cluster.
fn asks(problem: &Problem, item: usize, member: usize) -> Sums {
    let (facts, nodes) = (&problem.items[item], problem.members[member].nodes.len());
    let of = |amounts: &Amounts, i: usize| i128::from(amounts[i]);
    std::array::from_fn(|i| of(&facts.total, i) + of(&facts.per_node, i) * nodes as i128)
}

/// Whether something new may come, as far as the cluster itself is concerned.
fn is_open(member: &Member) -> bool {
    let spec = &member.cluster.spec;
    let alive = matches!(member.status, ClusterStatus::Ready | ClusterStatus::Unknown);
    alive && !spec.cordon && !spec.drain && !spec.fenced && member.maintenance.is_none()
}
