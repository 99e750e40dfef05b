//! `Snapshot`: the Knowledge Base at one index, as planning sees it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{document, measured::Measured, placement::Placement, release::Mark};
use crate::epoch::Epoch;
use crate::units::{Bandwidth, Bytes, Cpu, EnergyRate, Money};

document!(
    /// What `qonnect export` writes and `qonnect plan --snapshot` reads.
    Snapshot,
    SnapshotKind,
    SnapshotSpec
);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SnapshotSpec {
    /// The index of the Knowledge Base.
    pub index: u64,
    /// What counts as now in the plan, as RFC 3339 writes it.
    pub now: Timestamp,
    #[serde(default)]
    pub clusters: BTreeMap<String, ClusterState>,
    /// By name of the application.
    #[serde(default)]
    pub placements: BTreeMap<String, Placement>,
    /// Why nothing moves; absent if nothing is the matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brake: Option<Brake>,
}

/// Too many clusters fell silent at once: moves are frozen until they answer, or a person says that they are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Brake {
    pub since: Timestamp,
    pub clusters: BTreeSet<String>,
    /// When a person released it; these clusters are counted no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Timestamp>,
}

impl Brake {
    pub fn is_engaged(&self) -> bool {
        self.released.is_none()
    }
}

/// What a cluster last said of itself, and what the leads think of its silence.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClusterState {
    pub status: ClusterStatus,
    /// When the status changed.
    pub since: Timestamp,
    /// When it came back after it was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back: Option<Timestamp>,
    /// When it last reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported: Option<Timestamp>,
    /// When a person last asked it to reconcile at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Timestamp>,
    /// It was lost for so long that what runs there by a lease has ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
    /// Which start of its agent speaks, and which of its reports is the newest.
    pub incarnation: u64,
    pub seq: u64,
    pub agent_version: String,
    pub kubernetes_version: String,
    /// Absent until the first report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<Node>>,
    #[serde(skip_serializing_if = "Measured::is_empty")]
    pub measured: Measured,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<AppliedRelease>,
    /// What its agent has accepted, applied or not.
    #[serde(skip_serializing_if = "Mark::is_unset")]
    pub mark: Mark,
    pub components: Vec<ComponentStatus>,
    /// Since when components are Stalled, by `application/component`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failing: BTreeMap<String, Timestamp>,
}

impl ClusterState {
    /// Since when what it said may be wrong by now: its agent is silent. `None` while it speaks.
    pub fn stale(&self) -> Option<Timestamp> {
        matches!(self.status, ClusterStatus::Suspect | ClusterStatus::Lost).then_some(self.since)
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ClusterStatus {
    /// No agent has registered.
    #[default]
    Unknown,
    Ready,
    /// Silent for longer than `suspectAfter`: nothing new comes here.
    Suspect,
    /// Silent for longer than `lostAfter`.
    Lost,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Node {
    pub name: String,
    pub allocatable: Resources,
    /// What pods that QONNECT did not place request.
    #[serde(default)]
    pub foreign: Resources,
    pub ready: bool,
    #[serde(default)]
    pub unschedulable: bool,
    /// Conditions that are true and should not be, such as `MemoryPressure`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pressures: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<EnergyRate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resources {
    pub cpu: Cpu,
    pub memory: Bytes,
    pub storage: Bytes,
    pub pods: u32,
    /// Extended resources by name, such as `nvidia.com/gpu`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extended: BTreeMap<String, u64>,
}

impl Resources {
    /// Whether a name in a list of resources is that of an extended one: it has a domain.
    pub fn is_extended(name: &str) -> bool {
        name.contains('/')
    }

    pub fn plus(&self, other: &Self) -> Self {
        self.each(other, u64::saturating_add)
    }

    /// What is left; never less than nothing.
    pub fn minus(&self, other: &Self) -> Self {
        self.each(other, u64::saturating_sub)
    }

    /// Of each resource the larger amount.
    pub fn larger(&self, other: &Self) -> Self {
        self.each(other, u64::max)
    }

    fn each(&self, other: &Self, of: fn(u64, u64) -> u64) -> Self {
        let names = self.extended.keys().chain(other.extended.keys());
        let amount = |all: &Self, name: &String| all.extended.get(name).copied().unwrap_or(0);
        let pods = of(u64::from(self.pods), u64::from(other.pods));
        Self {
            cpu: Cpu(of(self.cpu.0, other.cpu.0)),
            memory: Bytes(of(self.memory.0, other.memory.0)),
            storage: Bytes(of(self.storage.0, other.storage.0)),
            pods: u32::try_from(pods).unwrap_or(u32::MAX),
            extended: names.map(|name| (name.clone(), of(amount(self, name), amount(other, name)))).collect(),
        }
    }
}

/// The newest release that an agent has applied without an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppliedRelease {
    pub generation: u64,
    pub epoch: Epoch,
    pub digest: String,
    pub commit: String,
}

/// What a cluster reports of one component that its inventory holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComponentStatus {
    pub application: String,
    pub component: String,
    /// The release that these objects are of.
    pub generation: u64,
    pub health: Health,
    /// One word for machines, such as `ProgressDeadlineExceeded`; empty when Ready.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    pub objects: u32,
}

/// As in kstatus, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Health {
    Ready,
    Reconciling,
    /// Objects that are going but not gone.
    Terminating,
    Stalled,
}
