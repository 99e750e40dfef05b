//! Room for failures: what is in one cluster or region shall find room elsewhere when that dies.
//!
//! Asked of sums: over all clusters, and over those from which components with the same choice may choose. What is free
//! outside of a cluster or region must be no less than what is guarded inside of it. Nodes and what depends on other
//! components are left out: [`super::survive`] plans each loss and says what would be missing after all.

use std::collections::BTreeMap;

use qonnect_schema::documents::fleet::Domain;
use qonnect_schema::documents::placement::{Filter, Refusal};
use qonnect_schema::documents::snapshot::ClusterStatus;

use super::loads::Loads;
use super::member::{Amounts, Member, RESOURCES};
use super::pack::plain;
use super::problem::{App, Problem};

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
    free: Amounts,
}

/// What dies together.
#[derive(Debug, Clone, Default)]
struct Part {
    name: String,
    free: Amounts,
    guarded: Amounts,
}

/// Where a component is placed, or would be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shift {
    pub(super) item: usize,
    pub(super) from: Option<usize>,
    pub(super) to: Option<usize>,
}

impl Reserve {
    pub(super) fn new(problem: &Problem, loads: &Loads, place: impl Fn(usize) -> Option<usize>) -> Self {
        let mut pools: Vec<Pool> = Vec::new();
        // Most fleets guard nothing, and what is guarded is said by application.
        let guards = problem.names.values().any(|app| problem.guarded(&problem.applications[*app]).is_some());
        let items = if guards { problem.live().collect() } else { Vec::new() };
        for item in items {
            let Some(domain) = problem.guard(item) else { continue };
            let admission = problem.menus.admission_of(problem.items[item].menu);
            for admission in [None, Some(admission)] {
                if !pools.iter().any(|pool| pool.domain == domain && pool.admission == admission) {
                    pools.push(Pool::new(problem, loads, domain, admission));
                }
            }
        }
        let mut reserve = Self { pools };
        if !reserve.pools.is_empty() {
            for item in problem.live() {
                reserve.count(problem, Shift { item, from: None, to: place(item) });
            }
        }
        reserve
    }

    /// A component is placed elsewhere.
    pub(super) fn count(&mut self, problem: &Problem, shift: Shift) {
        let asks = &problem.items[shift.item].total;
        for pool in self.pools.iter_mut().filter(|pool| pool.guards(problem, shift.item)) {
            for (member, comes) in [(shift.from, false), (shift.to, true)] {
                let Some(member) = member else { continue };
                let guarded = &mut pool.parts[pool.part[member]].guarded;
                *guarded = if comes { plus(guarded, asks) } else { minus(guarded, asks) };
            }
        }
    }

    /// A cluster has another amount free.
    pub(super) fn measure(&mut self, member: usize, before: &Amounts, after: &Amounts) {
        for pool in self.pools.iter_mut().filter(|pool| pool.takes[member]) {
            let free = &mut pool.parts[pool.part[member]].free;
            *free = minus(&plus(free, after), before);
            pool.free = minus(&plus(&pool.free, after), before);
        }
    }

    /// Why a component must not go somewhere: what would find no room when something dies. What is broken already may
    /// stay so, but not get worse.
    pub(super) fn refusal(&self, problem: &Problem, shift: Shift) -> Option<Refusal> {
        let (pool, lack) = self.worse(problem, shift)?;
        let part = &pool.parts[lack.part];
        let kind = match pool.domain {
            Domain::Cluster => "",
            Domain::Region => "region ",
        };
        let amount = |value: i128| plain(u64::try_from(value).unwrap_or(0), lack.resource);
        let message = format!(
            "would leave {} {} free for what is on {kind}{}, which needs {} if that dies",
            amount(lack.free),
            problem.extended.name(lack.resource),
            part.name,
            amount(lack.needed),
        );
        Some(Refusal { filter: Filter::Reserve, message })
    }

    pub(super) fn admits(&self, problem: &Problem, shift: Shift) -> bool {
        self.worse(problem, shift).is_none()
    }

    fn worse(&self, problem: &Problem, shift: Shift) -> Option<(&Pool, Lack)> {
        // The reserve is there for what must leave its cluster.
        let flees = problem.runs(shift.item) && problem.items[shift.item].at_home.is_none();
        self.pools.iter().filter(|_| !flees).find_map(|pool| Some((pool, pool.worse(problem, shift)?)))
    }
}

/// What would be missing.
#[derive(Debug, Clone, Copy)]
struct Lack {
    part: usize,
    resource: usize,
    free: i128,
    needed: i128,
}

impl Pool {
    fn new(problem: &Problem, loads: &Loads, domain: Domain, admission: Option<usize>) -> Self {
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
            if takes[at] {
                let slack = loads.slack(at);
                (parts[index].free, free) = (plus(&parts[index].free, slack), plus(&free, slack));
            }
        }
        Self { domain, admission, takes, part, parts, free }
    }

    fn guards(&self, problem: &Problem, item: usize) -> bool {
        let admission = || problem.menus.admission_of(problem.items[item].menu);
        problem.guard(item) == Some(self.domain) && self.admission.is_none_or(|own| own == admission())
    }

    /// What a change would leave without room, and more so than before.
    fn worse(&self, problem: &Problem, Shift { item, from, to }: Shift) -> Option<Lack> {
        let (asks, guards) = (&problem.items[item].total, self.guards(problem, item));
        // Pods that are there whatever is decided neither take nor leave room.
        let moved = |member: Option<usize>| {
            let member = member.filter(|member| !problem.sits_on(item, *member));
            member.filter(|member| self.takes[*member]).map(|member| self.part[member])
        };
        let placed = |member: Option<usize>| member.filter(|_| guards).map(|member| self.part[member]);
        let (taken, left) = (moved(to), moved(from));
        let (comes, goes) = (placed(to), placed(from));
        if taken.is_none() && comes.is_none() {
            return None;
        }
        (0..RESOURCES).filter(|i| asks[*i] > 0).find_map(|resource| {
            let asks = i128::from(asks[resource]);
            let change = |part: usize, plus: Option<usize>, minus: Option<usize>| {
                i128::from(plus == Some(part)) * asks - i128::from(minus == Some(part)) * asks
            };
            let all = i128::from(self.free[resource]);
            let all_after = all + i128::from(left.is_some()) * asks - i128::from(taken.is_some()) * asks;
            (0..self.parts.len()).find_map(|part| {
                let own = &self.parts[part];
                let (inside, needed) = (i128::from(own.free[resource]), i128::from(own.guarded[resource]));
                let needed_after = needed + change(part, comes, goes);
                let free = all_after - (inside + change(part, left, taken));
                let lacks = needed_after - free;
                let lacked = (needed - (all - inside)).max(0);
                (needed_after > 0 && lacks > lacked).then_some(Lack {
                    part,
                    resource,
                    free,
                    needed: needed_after,
                })
            })
        })
    }
}

impl Problem {
    /// What must not take a component with it for good.
    pub(super) fn guard(&self, item: usize) -> Option<Domain> {
        self.guarded(self.app(item))
    }

    fn guarded(&self, app: &App) -> Option<Domain> {
        app.source.application.spec.constraints.survive.or(self.fleet.survive)
    }
}

/// Whether something new may come, as far as the cluster itself is concerned.
fn is_open(member: &Member) -> bool {
    let spec = &member.cluster.spec;
    let alive = matches!(member.status, ClusterStatus::Ready | ClusterStatus::Unknown);
    alive && !spec.cordon && !spec.drain && !spec.fenced && member.maintenance.is_none()
}

fn plus(a: &Amounts, b: &Amounts) -> Amounts {
    std::array::from_fn(|i| a[i].saturating_add(b[i]))
}

fn minus(a: &Amounts, b: &Amounts) -> Amounts {
    std::array::from_fn(|i| a[i].saturating_sub(b[i]))
}
