//! What a plan changes, and what it costs before and after.

use std::collections::BTreeSet;

use qonnect_schema::SnapshotSpec;
use qonnect_schema::revision::Revision;
use serde::Serialize;

use super::notes::notes;
use super::problem::Problem;
use super::reason::reason;
use super::survive::{self, Loss};
use super::{ApplicationPlan, Plan, Planner, Quality};

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Every component of the plan and of the snapshot, by application and name.
    pub components: Vec<Line>,
    /// Of what runs and is still in the revision, with the requests that it has there.
    pub before: Totals,
    pub after: Totals,
    /// How far from the best the plan may be, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// The largest losses that have to be survived, with what would have no place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// What was taken for granted: signals that have ended, defaults that stand in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub application: String,
    pub component: String,
    pub change: Change,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// It is new.
    Place,
    Move,
    /// It is no longer in the revision.
    Remove,
    /// No cluster takes it.
    Unplaced,
    Stay,
}

/// Sums over all components that have a place, and over what they send each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub placed: usize,
    /// Currency per hour.
    pub cost: f64,
    /// kWh per hour.
    pub energy: f64,
    /// gCO₂e per hour.
    pub carbon: f64,
    /// The round trips of all dependencies together, in milliseconds.
    pub latency: f64,
}

impl Report {
    /// From what runs to the plan for it, with its bound.
    pub fn planned(revision: &Revision, snapshot: &SnapshotSpec) -> Self {
        let mut planner = Planner::new(revision, snapshot);
        let plan = planner.plan();
        Self {
            quality: Some(planner.quality()),
            losses: survive::required(revision, snapshot, &plan),
            ..Self::new(revision, snapshot, &plan)
        }
    }

    /// From what runs to a plan.
    pub fn new(revision: &Revision, snapshot: &SnapshotSpec, plan: &Plan) -> Self {
        let revision = &*plan.divided(revision);
        let problem = Problem::new(revision, snapshot);
        let before = |application: &str, component: &str| home(snapshot, application, component);
        Self {
            components: lines(revision, snapshot, plan),
            before: totals(&problem, before),
            after: totals(&problem, |application, component| planned(plan, application, component)),
            quality: None,
            losses: Vec::new(),
            notes: notes(revision, snapshot),
        }
    }

    /// From what runs in one world to a plan in another one, in which prices and clusters may be others.
    pub fn between(
        before: (&Revision, &SnapshotSpec),
        after: (&Revision, &SnapshotSpec),
        plan: &Plan,
    ) -> Self {
        let after = (&*plan.divided(after.0), after.1);
        let runs = |application: &str, component: &str| home(before.1, application, component);
        let there = |application: &str, component: &str| planned(plan, application, component);
        Self {
            components: lines(after.0, after.1, plan),
            before: totals(&Problem::new(before.0, before.1), runs),
            after: totals(&Problem::new(after.0, after.1), there),
            quality: None,
            losses: Vec::new(),
            notes: notes(after.0, after.1),
        }
    }

    /// What is not as it was; what cannot be placed is no change.
    pub fn changes(&self) -> impl Iterator<Item = &Line> {
        self.components
            .iter()
            .filter(|line| matches!(line.change, Change::Place | Change::Move | Change::Remove))
    }

    pub fn count(&self, change: Change) -> usize {
        self.components.iter().filter(|line| line.change == change).count()
    }
}

fn planned<'a>(plan: &'a Plan, application: &str, component: &str) -> Option<&'a str> {
    plan.applications.get(application)?.components.get(component)?.cluster.as_deref()
}

fn home<'a>(snapshot: &'a SnapshotSpec, application: &str, component: &str) -> Option<&'a str> {
    snapshot.placements.get(application)?.spec.components.get(component)?.cluster.as_deref()
}

fn lines(revision: &Revision, snapshot: &SnapshotSpec, plan: &Plan) -> Vec<Line> {
    let planned =
        plan.applications.iter().flat_map(|(name, plan)| plan.components.keys().map(move |c| (name, c)));
    let running = snapshot
        .placements
        .iter()
        .flat_map(|(name, placement)| placement.spec.components.keys().map(move |c| (name, c)));
    let all: BTreeSet<(&String, &String)> = planned.chain(running).collect();
    all.into_iter()
        .map(|(application, component)| {
            let plan = plan.applications.get(application);
            let mut line = line(snapshot, plan, application, component);
            // What ran on a cluster that has left the fleet and finds no other runs nowhere.
            if line.to.as_ref().is_some_and(|to| !revision.clusters.contains_key(to)) {
                (line.to, line.change) = (None, Change::Unplaced);
            }
            line
        })
        .collect()
}

fn line(snapshot: &SnapshotSpec, plan: Option<&ApplicationPlan>, application: &str, component: &str) -> Line {
    let from = home(snapshot, application, component);
    let planned = plan.and_then(|plan| Some((plan.components.get(component)?, plan.strategy)));
    let to = planned.and_then(|(placement, _)| placement.cluster.as_deref());
    let change = match (from, to, planned) {
        (_, _, None) => Change::Remove,
        (_, None, Some(_)) => Change::Unplaced,
        (None, Some(_), Some(_)) => Change::Place,
        (Some(from), Some(to), Some(_)) if from != to => Change::Move,
        (Some(_), Some(_), Some(_)) => Change::Stay,
    };
    let reason = match planned {
        Some((placement, strategy)) => reason(placement, strategy, from),
        None => "it is no longer in the repository".into(),
    };
    Line {
        application: application.into(),
        component: component.into(),
        change,
        from: from.map(Into::into),
        to: to.map(Into::into),
        reason,
    }
}

fn totals<'a>(problem: &Problem, cluster: impl Fn(&str, &str) -> Option<&'a str>) -> Totals {
    let mut totals = Totals::default();
    let place = |item: usize| {
        let name = cluster(&problem.app(item).name, &problem.component(item).name)?;
        problem.position(name)
    };
    for item in problem.live() {
        let Some(member) = place(item) else { continue };
        let raw = problem.raw(item, member);
        totals.placed += 1;
        totals.cost += raw.cost;
        totals.energy += raw.energy;
        totals.carbon += raw.carbon;
        for call in problem.items[item].calls.iter().filter(|call| call.outgoing) {
            let Some(there) = place(call.other) else { continue };
            totals.latency += problem.latencies.between(member, there) as f64 / 1000.0;
            for traffic in problem.exchanged(call, member, there) {
                totals.cost += traffic.cost;
                totals.energy += traffic.energy;
                totals.carbon += traffic.carbon;
            }
        }
    }
    totals
}
