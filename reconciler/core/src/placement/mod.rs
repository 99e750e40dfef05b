//! Which component runs on which cluster, and why.
//!
//! ```text
//! Revision + Snapshot ─▶ Problem ─▶ Loads, Options ─▶ borda, search ─▶ State ─▶ outcome ─▶ Plan
//!                        positions   what is possible   decide                    names again
//! ```
//!
//! Hard filters come first: tier, selector, taints, residency, cordon, lease ([`filter`]), then capacity,
//! latency and limit, which depend on what else is placed ([`state`], [`options`]). What is left is decided
//! by the objective function ([`objective`]) and a search ([`search`]), or by ranks ([`borda`]).
//!
//! *Guarantees:* planning never fails, and it never evicts: a component that runs keeps its cluster until
//! another one can take it. Same input, same plan, on every machine. Planning again with what was planned
//! moves nothing.
//!
//! *Assumptions:* the revision is free of faults, so that names in it are unique and dependencies exist.

use std::collections::BTreeMap;

use qonnect_schema::SnapshotSpec;
use qonnect_schema::documents::application::Strategy;
use qonnect_schema::documents::placement::ComponentPlacement;
use qonnect_schema::revision::Revision;

mod borda;
mod filter;
mod labels;
mod latency;
mod member;
mod objective;
mod options;
mod outcome;
mod pack;
mod problem;
mod reason;
mod report;
mod requests;
mod search;
mod signals;
mod state;

pub use reason::{micro, reason};
pub use report::{Change, Line, Report, Totals};
pub use requests::{PodCount, PodGroup, requests};

use options::Options;
use problem::Problem;
use state::{Loads, State};

/// How many other clusters a plan names for each component. [`explain`] names all.
const OTHERS_MAX: usize = 16;

/// All placements for one revision and one snapshot. What cannot be placed has no cluster and says why.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub applications: BTreeMap<String, ApplicationPlan>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationPlan {
    pub strategy: Strategy,
    /// By name of the component; `moving` is absent here, rolling out decides it.
    pub components: BTreeMap<String, ComponentPlacement>,
}

/// Plans all applications together. Same input, same plan, on every machine.
pub fn plan(revision: &Revision, snapshot: &SnapshotSpec) -> Plan {
    let problem = Problem::new(revision, snapshot);
    with_solution(&problem, |state| {
        let named =
            |(at, app): (usize, &problem::App<'_>)| (app.name.to_owned(), application(state, at, OTHERS_MAX));
        Plan { applications: problem.applications.iter().enumerate().map(named).collect() }
    })
}

/// The plan of one application, with every other cluster for each component.
pub fn explain(revision: &Revision, snapshot: &SnapshotSpec, name: &str) -> Option<ApplicationPlan> {
    let problem = Problem::new(revision, snapshot);
    let at = problem.applications.iter().position(|app| app.name == name)?;
    Some(with_solution(&problem, |state| application(state, at, usize::MAX)))
}

fn with_solution<T>(problem: &Problem<'_>, then: impl FnOnce(&mut State<'_, '_>) -> T) -> T {
    let mut loads = Loads::new(problem);
    let options = Options::new(problem, &mut loads);
    let mut state = State::new(problem, &options, loads);
    let by = |strategy| {
        let items = 0..problem.items.len();
        items.filter(|item| problem.app(*item).strategy() == strategy).collect::<Vec<_>>()
    };
    borda::solve(&mut state, &by(Strategy::Borda));
    search::solve(&mut state, &by(Strategy::Optimal));
    then(&mut state)
}

fn application(state: &mut State<'_, '_>, at: usize, others_max: usize) -> ApplicationPlan {
    let problem = state.problem;
    let app = &problem.applications[at];
    let components = app.items.clone().map(|item| {
        let name = problem.items[item].component.name.clone();
        (name, outcome::component(state, item, others_max))
    });
    ApplicationPlan { strategy: app.strategy(), components: components.collect() }
}
