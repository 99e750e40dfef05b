//! `Placement`: where the components of one application run, and why; written by leads only.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::application::Strategy;
use super::document;
use crate::epoch::Epoch;

document!(
    /// The decision for one application. It changes only when the decision does.
    Placement,
    PlacementKind,
    PlacementSpec
);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlacementSpec {
    /// The commit of the spec branch that was planned.
    pub revision: String,
    /// The index of the Knowledge Base that was planned on.
    pub kb_index: u64,
    pub epoch: Epoch,
    pub strategy: Strategy,
    /// SHA-256 of what the `Application` asked for: what differs from it is a person's wish, not a change of the world.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub asked: String,
    /// By name of the component.
    pub components: BTreeMap<String, ComponentPlacement>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComponentPlacement {
    /// Where it runs, or is going to run; absent if no cluster takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Under way from another cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Move>,
    /// A move that failed, and is not tried again for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gave_up: Option<GaveUp>,
    /// When it was sent to its cluster, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived: Option<Arrival>,
    /// When it began to move only to be better off, the newest last: what `moves.perHour` of the fleet counts. Those
    /// older than an hour go with the next change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub improved: Vec<Timestamp>,
    /// On how many clusters it has failed in a row.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// Its cluster is lost and no other takes it: it stays assigned, and `others` says why.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stranded: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// The other clusters, the best first, then those that a filter refused, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Candidate>,
    /// What keeps it from better clusters, and what that costs; where somebody asks, not in Git.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub binding: Vec<Binding>,
}

/// A filter that refuses better clusters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Binding {
    pub filter: Filter,
    /// The best of them.
    pub cluster: String,
    /// How much less it would add to the objective function, in millionths.
    pub gain: i64,
    /// What it would save, in currency per hour; less than zero where it costs more.
    pub cost_per_hour: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Arrival {
    pub at: Timestamp,
    pub cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// It ran nowhere before.
    New,
    /// The application asks for something else.
    Asked,
    /// It is better off here.
    Improved,
    /// Where it was, a filter or a limit no longer lets it be.
    Forced,
    /// It failed where it was.
    Failed,
    /// Where it was is lost.
    FailedOver,
    /// The move away was given up.
    RolledBack,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A move is make-before-break: place, wait until Ready, repoint the callers, wait, drop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Move {
    pub from: String,
    pub phase: MovePhase,
    /// When this phase is given up.
    pub deadline: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MovePhase {
    /// Must not run twice: it goes where it was, and is placed when that is reported.
    Leaving,
    /// Runs on both; callers use the old copy until the new one is Ready.
    Placing,
    /// Runs on both; callers use the new copy, the old one goes when they are Ready.
    Repointing,
}

/// Where a component did not become Ready in time, so that it stays where it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GaveUp {
    pub cluster: String,
    /// Tried again from then on, and before if its manifests change.
    pub until: Timestamp,
    /// SHA-256 of the manifests that did not become Ready there.
    pub manifests: String,
}

/// In millionths, by term: of the objective function with `optimal`, where less is better; of points with `borda`, where more is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Score {
    pub total: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terms: Vec<Term>,
}

/// One summand: weight × raw ÷ reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Term {
    /// `energy`, `cost`, `performance`, `carbon`, `communication`, `move`; for Borda its criteria.
    pub name: Cow<'static, str>,
    /// In `unit`.
    pub raw: f64,
    pub unit: Cow<'static, str>,
    pub value: i64,
    /// Who says what it stands on; where somebody asks, not in Git.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub source: Cow<'static, str>,
}

/// A cluster that was not chosen, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Candidate {
    pub cluster: String,
    /// What it would score; absent if it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// The filter that refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refusal {
    pub filter: Filter,
    /// By how much: `needs 2 CPU on one node, 1.5 free on fog-cost-worker`.
    pub message: String,
}

/// The hard filters, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Filter {
    Tier,
    Selector,
    Taint,
    Residency,
    Cordon,
    Lease,
    Failed,
    Capacity,
    Colocation,
    Separation,
    Latency,
    Reserve,
    Limit,
}
