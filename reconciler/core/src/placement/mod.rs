//! Which component runs on which cluster, and why.
//!
//! ```text
//! Revision + Snapshot ─▶ Problem, Menus ─▶ Loads ─▶ borda, search ─▶ Solution ─▶ outcome ─▶ Plan
//!                        positions, values  room    decide           kept       names again
//! ```
//!
//! A [`Planner`] keeps problem and solution, and plans again what a change touches: what it keeps is a value
//! like any other, so that a plan stays a function of what it is given.
//!
//! Hard filters come first: tier, selector, taints, residency, cordon, lease ([`filter`]), then capacity,
//! latency, limit and reserve, which depend on what else is placed ([`loads`], [`state`], [`reserve`]). What is left is decided
//! by the objective function ([`objective`]) and a search ([`search`]), or by ranks ([`borda`]).
//!
//! *Guarantees:* planning never fails, and it never evicts: a component that runs keeps its cluster until
//! another one can take it. Same input, same plan, on every machine. Planning again with what was planned
//! moves nothing.
//!
//! *Assumptions:* the revision is free of faults, so that names in it are unique and dependencies exist.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_schema::SnapshotSpec;
use qonnect_schema::documents::application::Strategy;
use qonnect_schema::documents::placement::ComponentPlacement;
use qonnect_schema::revision::{ApplicationSource, Revision};

mod bond;
mod borda;
mod bound;
mod communication;
mod difference;
mod extended;
mod field;
mod filter;
mod glance;
mod grow;
mod item;
mod labels;
mod latency;
mod limit;
mod loads;
pub(crate) mod maintenance;
mod member;
mod menu;
mod narrow;
mod notes;
mod objective;
mod outcome;
mod pack;
mod parts;
mod planner;
mod problem;
mod reason;
mod relax;
mod report;
mod requests;
mod reserve;
mod roster;
mod scan;
mod search;
mod signals;
mod sources;
mod state;
mod survive;
mod touched;
mod verdict;
mod what_if;

pub use bound::Quality;
pub use difference::difference;
pub use maintenance::UnderWay;
pub(crate) use narrow::patience_ends;
pub use planner::Planner;
pub use reason::{micro, reason};
pub use report::{Change, Line, Report, Totals};
pub use requests::{PodCount, PodGroup, requests};
pub use survive::{Loss, survive};
pub use touched::Touched;
pub use what_if::{Error as WhatIfError, WhatIf, what_if};

/// How many other clusters a plan names for each component. [`explain`] names all.
const OTHERS_MAX: usize = 8;

/// All placements for one revision and one snapshot. What cannot be placed has no cluster and says why.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub applications: BTreeMap<String, ApplicationPlan>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApplicationPlan {
    pub strategy: Strategy,
    /// Components that may not stay where they are: a filter or a limit drives them out.
    pub forced: BTreeSet<String>,
    /// The application with parts for what runs on several clusters, if anything does: as such it is rolled out.
    pub divided: Option<Arc<ApplicationSource>>,
    /// By name of the component; `moving` is absent here, rolling out decides it.
    pub components: BTreeMap<String, ComponentPlacement>,
}

impl Plan {
    /// The revision that is rolled out: with parts for what the plan has on several clusters.
    pub fn divided<'a>(&self, revision: &'a Revision) -> Cow<'a, Revision> {
        let mut revision = Cow::Borrowed(revision);
        for (name, plan) in &self.applications {
            if let Some(source) = plan.divided.as_ref().filter(|_| revision.applications.contains_key(name)) {
                revision.to_mut().applications.insert(name.clone(), source.clone());
            }
        }
        revision
    }
}

/// Plans all applications together. Same input, same plan, on every machine.
pub fn plan(revision: &Revision, snapshot: &SnapshotSpec) -> Plan {
    Planner::new(revision, snapshot).plan()
}

/// The plan of one application, with every other cluster for each component and the source of each figure.
pub fn explain(revision: &Revision, snapshot: &SnapshotSpec, name: &str) -> Option<ApplicationPlan> {
    let mut plan = Planner::new(revision, snapshot).explain(name)?;
    sources::name(&mut plan, revision, snapshot, name);
    Some(plan)
}
