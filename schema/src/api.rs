//! What agents and readers exchange with leads, as JSON over HTTP below `/v1alpha1`.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `PUT /clusters/{name}/registration` | [`Registration`] | [`Grant`] |
//! | `POST /clusters/{name}/heartbeat?wait=25s` | [`Heartbeat`] | [`Grant`]; with `wait`, as soon as its release differs from what the heartbeat names, and no later than the next heartbeat is due |
//! | `GET /clusters/{name}/release` | | [`ReleaseFolder`]: what the deploy branch holds for this cluster |
//! | `GET /clusters/{name}/neighbours` | | [`Neighbours`]: to whom its agent measures the round trip |
//! | `PUT /clusters/{name}/report` | [`Report`] | [`Grant`], after it is in the log |
//! | `GET /clusters`, `/nodes`, `/applications`, `/placements`, `/revisions`, `/decisions`, `/hashes`, `/events` | | [`List`] of [`ClusterView`], [`NodeView`], [`ApplicationView`], [`PlacementView`], [`RevisionRecord`], [`Decision`], [`StateHash`], [`Event`] |
//! | `GET /brakes` | | [`List`] of [`crate::documents::snapshot::Brake`]; empty unless something holds moves |
//! | the same with `?watch=true` | | one [`List`] a line: at once, and again after each change |
//! | `GET /snapshot` | | [`crate::Snapshot`] |
//! | `GET /explain/{application}` | | [`crate::Placement`], scored now |
//! | any of these `GET` with `?consistency=linearizable` | | nothing is missing that any lead acknowledged before |
//! | `GET /leads` | | [`List`] of [`LeadView`] |
//! | `PUT /leads/{name}` | [`LeadAddress`] | 204, once it votes |
//! | `DELETE /leads/{name}`, `POST /leads/{name}/leadership` | | 204 |
//! | `DELETE /brake` | | 204; the clusters that hold it are gone |
//! | `POST /recovery` | [`Recovery`] | [`Recovered`]: a new era begins |
//! | `POST /hooks/git` (without prefix) | anything | 202; the spec branch is fetched at once |
//! | `POST /hooks/github` (without prefix) | a signed delivery | 202, or 200 and why it is ignored |
//! | `GET /metrics` (without prefix) | | OpenMetrics text |
//! | `GET /healthz`, `/readyz`, `/openapi.json` (without prefix) | | |
//!
//! Errors are [`Problem`]s.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Diagnostic;
use crate::documents::application::Objectives;
use crate::documents::measured::{Measured, Usage};
use crate::documents::placement::{Arrival, Candidate, Move, Score};
use crate::documents::release::Mark;
use crate::documents::snapshot::{AppliedRelease, ClusterStatus, ComponentStatus, Health, Node, Resources};
use crate::epoch::Epoch;

mod changes;
mod folder;
pub use changes::{Changes, ComponentChanges, NodeChanges};
pub use folder::ReleaseFolder;

/// An agent starts, or has met a lead that does not know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    /// Milliseconds since 1970 at the start of the agent: a later start outranks an earlier one.
    pub incarnation: u64,
    pub agent_version: String,
    pub kubernetes_version: String,
}

/// A sign of life. It never enters the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Heartbeat {
    pub incarnation: u64,
    /// The newest release that the agent has seen, applied or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    pub generation: u64,
    /// Something there runs only while a lead vouches for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leased: bool,
}

/// What a lead answers to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    pub epoch: Epoch,
    /// When to send the next heartbeat, counted from sending this one: after one that waited, at once.
    pub heartbeat_ms: u64,
    /// The lead does not know this incarnation: register and report everything.
    #[serde(default)]
    pub register: bool,
    /// The changes of a report do not fit what is known: report all nodes and components.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeat: bool,
    /// The release that this cluster should run; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseHint>,
    /// How long what asked for it may run, counted from the moment of asking; absent: it shall end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// When a person last asked this cluster to reconcile at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile: Option<Timestamp>,
}

/// Enough to know that nothing needs to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseHint {
    /// The commit of the deploy branch that it was read at.
    pub commit: String,
    pub generation: u64,
    pub digest: String,
}

/// The whole state of a cluster, as its agent sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    pub incarnation: u64,
    /// Grows by one with every report of an incarnation, from one; an older one is ignored.
    pub seq: u64,
    /// All of them. Absent where the agent may not list them, or tells changes: what is known stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<Node>>,
    /// In place of all nodes: what is other than in the last report that a lead acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_changes: Option<NodeChanges>,
    #[serde(default, skip_serializing_if = "Measured::is_empty")]
    pub measured: Measured,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<AppliedRelease>,
    /// Nothing older than this is accepted any more.
    #[serde(default, skip_serializing_if = "Mark::is_unset")]
    pub mark: Mark,
    /// Every component that the inventory holds an object of, sorted; empty where changes are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentStatus>,
    /// In place of all components: what is other than in the last report that a lead acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component_changes: Option<ComponentChanges>,
    /// Why the newest release is not applied; empty when it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stalled: String,
    /// What happened since the last report, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ReportedEvent>,
}

/// Other clusters to which an agent measures the round trip.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Neighbours {
    /// By name: `HOST:PORT` of what the fleet calls its ingress.
    pub clusters: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportedEvent {
    pub time: Timestamp,
    pub severity: EventSeverity,
    /// One word, such as `DriftCorrected`.
    pub reason: String,
    pub regarding: String,
    pub message: String,
}

/// Items of one kind at one index of the Knowledge Base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct List<T> {
    pub index: u64,
    pub items: Vec<T>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterView {
    pub name: String,
    pub tier: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    pub status: ClusterStatus,
    pub since: Timestamp,
    /// Nothing new comes to it: it is cordoned, drained or fenced.
    pub cordon: bool,
    /// A person's word that nothing runs there still stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fenced: bool,
    /// It is worked on until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Timestamp>,
    pub nodes: u32,
    /// `allocatable` minus foreign requests, summed over the nodes that take pods.
    pub capacity: Resources,
    pub components: u32,
    pub components_ready: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<ReleaseHint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<AppliedRelease>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stalled: String,
    pub agent_version: String,
    pub kubernetes_version: String,
}

/// A lead of the group that keeps the Knowledge Base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeadView {
    pub name: String,
    pub node: u64,
    pub role: LeadRole,
    /// Where it listens for the other leads.
    pub peer: String,
    /// The URL of its API.
    pub api: String,
    /// The term of whoever says so.
    pub term: u64,
    /// How far its log is known to go; only the leader knows it of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}

/// A lead that is taken into the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeadAddress {
    /// Its number; no lead ever had it before.
    pub node: u64,
    /// `HOST:PORT` where it listens for the other leads.
    pub peer: String,
    /// The URL of its API.
    pub api: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LeadRole {
    Leader,
    /// It votes.
    Follower,
    /// It is told everything, and does not vote.
    Learner,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeView {
    pub cluster: String,
    /// False where only the `Cluster` document says that it exists.
    pub reported: bool,
    pub node: Node,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplicationView {
    pub name: String,
    pub namespace: String,
    pub objectives: Objectives,
    pub components: u32,
    pub components_ready: u32,
    /// The worst of its components; absent where nothing is placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Since when a cluster that one of them runs on is silent: `health` is what it said before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<Timestamp>,
    /// The commit that it runs at.
    pub commit: String,
    /// The newest commit changes it, but has a fault.
    pub held: bool,
    /// Nothing of it changes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// By component: where it was when all of it was last Ready elsewhere than now.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ran_before: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlacementView {
    pub application: String,
    pub component: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Move>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived: Option<Arrival>,
    /// Its cluster is lost, and no other takes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stranded: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ComponentStatus>,
    /// Since when its cluster is silent: `status` is what it said before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Candidate>,
    /// The revision of the decision.
    pub revision: String,
}

/// The state of the Knowledge Base after one command; equal on every lead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateHash {
    pub index: u64,
    /// SHA-256 in hexadecimal; it covers the hash before.
    pub hash: String,
}

/// A planned commit of the deploy branch and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    pub intent: String,
    pub epoch: Epoch,
    /// The commit of the spec branch; empty where a leadership begins.
    pub revision: String,
    pub kb_index: u64,
    /// The commit that it was planned on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    pub outcome: DecisionOutcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DecisionOutcome {
    /// It may be on the branch, or arrive there yet.
    Unknown,
    Published,
    /// Another commit stands where it should.
    Lost,
    /// What the server said.
    Refused(String),
}

/// A person hands the deploy branch to this group of leads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovery {
    /// The group whose branch it is; absent where nobody else's is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recovered {
    pub epoch: Epoch,
}

/// A commit of the spec branch and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevisionRecord {
    pub commit: String,
    /// The first line of its message.
    pub subject: String,
    /// When it was seen.
    pub seen: Timestamp,
    pub verdict: Verdict,
    /// Applications that stay at an older commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// For people: what it waits for, or why it is refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Diagnostic>,
    /// The commit of the deploy branch that carries it out; absent where it changed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Verdict {
    /// Free of faults.
    Accepted,
    /// Some applications are held at their last good revision.
    Held,
    /// Nothing of it counts.
    Refused,
    /// It removes so much that it waits for the trailer `Qonnect-Allow-Removals: N`.
    Waiting,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    /// Grows by one.
    pub id: u64,
    pub time: Timestamp,
    pub severity: EventSeverity,
    /// One word, such as `ComponentMoved`.
    pub reason: String,
    /// `cluster/fog-cost`, `application/bookinfo`, `component/bookinfo/reviews`, `revision/1a2b3c4`.
    pub regarding: String,
    pub message: String,
    /// The commit of the deploy branch that decided it; absent where nothing was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
}

/// As in Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EventSeverity {
    Normal,
    Warning,
}

/// Every error of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Problem {
    /// One word, such as `NotFound`.
    pub reason: String,
    /// What is wrong, and the way out.
    pub message: String,
}
