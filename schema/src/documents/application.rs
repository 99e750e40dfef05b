//! `Application`: what a person wants to run, and what matters to them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document;
use super::fleet::Domain;
use crate::units::{Bandwidth, Bytes, Latency, Money, Span};

document!(
    /// An application: its components, and weights for energy, cost and performance.
    Application,
    ApplicationKind,
    ApplicationSpec
);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplicationSpec {
    pub objectives: Objectives,
    /// The namespace of its objects; by default the application's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// Who gets room first; of what does not run yet, the lower gives way to the higher.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,
    /// How clusters are chosen.
    #[serde(default)]
    pub strategy: Strategy,
    #[schemars(length(min = 1))]
    pub components: Vec<Component>,
    #[serde(default)]
    pub constraints: Constraints,
    /// By component: the one cluster that it may run on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pin: BTreeMap<String, String>,
    /// Nothing of it changes, and nothing moves, until this is taken out again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// How long a cluster must be lost before what runs there is placed elsewhere; at once, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover_after: Option<Span>,
}

fn is_zero(priority: &i32) -> bool {
    *priority == 0
}

/// Weights between 0 and 1, not all zero. Only their ratio matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objectives {
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub energy: f64,
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub cost: f64,
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub performance: f64,
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub carbon: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// Minimise the documented objective function over the whole fleet.
    #[default]
    Optimal,
    /// The scorer of the original QONNECT paper: ranks by Borda count, tier by tier.
    Borda,
}

/// One placeable part of an application.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Component {
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Files or folders beside this file: plain YAML, many documents each.
    #[schemars(length(min = 1))]
    pub manifests: Vec<String>,
    /// The tiers it may run in; any, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<String>,
    /// The clusters it may run on, by their labels; any, if empty.
    #[serde(default, skip_serializing_if = "ClusterSelector::is_empty")]
    pub cluster_selector: ClusterSelector,
    /// The regions it may run in; any, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Cluster taints that it accepts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// The components of the same application that it calls. Where they run on one cluster they are rolled out first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    /// Components of the same application that it must be on one cluster with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub colocate: Vec<String>,
    /// Components of the same application that it must be apart from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub separate: Vec<Separation>,
    /// Several clusters at once; one, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// In how many different places its clusters must lie; with it alone, its replicas are divided evenly over as many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// What a move has to copy to the other cluster, such as `20Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Bytes>,
    /// How it moves from one cluster to another.
    #[serde(default, skip_serializing_if = "MoveStrategy::is_default")]
    pub strategy: MoveStrategy,
    /// With `strategy: recreate`: what happens to it on a cluster that is lost.
    #[serde(default, skip_serializing_if = "OnLost::is_default")]
    pub on_lost: OnLost,
    /// With `strategy: recreate`: on how many of its clusters it must be Ready before it may leave another one, unless
    /// that is lost or it has failed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub min_available: Option<u32>,
    /// How long each of its objects may take to be Ready, such as `10m`, before it counts as Stalled. An object says
    /// otherwise by the annotation `qonnect.io/ready-within`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_within: Option<Span>,
    /// How components on other clusters reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<Expose>,
}

/// How the replicas of Deployments, StatefulSets and ReplicaSets are divided over clusters. All other objects are on
/// each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Replicas {
    pub division: Division,
    /// Over how many clusters, at the most where they are `packed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub clusters: Option<u32>,
    /// For `weighted`: the share of each cluster; alike, if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(range(min = 1, max = 1000)))]
    pub weights: Vec<u32>,
}

/// Over how many clusters what is `packed` is divided at the most, unless it says so.
pub const PACKED_MAX: u32 = 8;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Division {
    /// On every cluster that its tiers, selector, regions and tolerations let it be on, each with all replicas.
    All,
    /// Divided by weights.
    #[default]
    Weighted,
    /// Divided evenly over as few clusters as have room for them.
    Packed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spread {
    /// `cluster`, `region`, `tier`, or a label of clusters. Clusters without it count as one place.
    #[serde(default = "cluster")]
    #[schemars(length(min = 1))]
    pub by: String,
    #[schemars(range(min = 2, max = 64))]
    pub min: u32,
}

impl Component {
    /// Whether it runs on several clusters at once.
    pub fn is_divided(&self) -> bool {
        self.replicas.is_some() || self.spread.is_some()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MoveStrategy {
    /// Runs on both until its callers use the new copy.
    #[default]
    MakeBeforeBreak,
    /// Must not run twice: it is placed anew only when the old copy is reported gone, or its cluster is `fenced`.
    Recreate,
}

impl MoveStrategy {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What must not run twice, and nobody knows whether it still runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnLost {
    /// It stays assigned until its cluster returns, or a person says that nothing runs there.
    #[default]
    Stay,
    /// Its agent scales it to zero when no lead has vouched for it for half a minute, and only then is it placed
    /// elsewhere. That holds as long as the agent and the API server of that cluster are alive.
    AfterLease,
}

impl OnLost {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Selects clusters by their labels, as Kubernetes selects pods, and by what their documents say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSelector {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelRequirement>,
    /// By fields of the `Cluster`: `metadata.name`, `spec.tier` or `spec.region`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_fields: Vec<LabelRequirement>,
}

/// The fields that `matchFields` may name.
pub const FIELDS: [&str; 3] = ["metadata.name", "spec.tier", "spec.region"];

impl ClusterSelector {
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty() && self.match_fields.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelRequirement {
    pub key: String,
    pub operator: LabelOperator,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Accepts a taint, as in Kubernetes: an absent key accepts all, an absent effect any effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Toleration {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default)]
    pub operator: TolerationOperator,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<super::cluster::TaintEffect>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TolerationOperator {
    #[default]
    Equal,
    Exists,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dependency {
    pub component: String,
    /// The longest round trip to it that is acceptable, such as `40ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_latency: Option<Latency>,
    /// What usually goes over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
}

/// What goes over a dependency, as a service mesh measures it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Traffic {
    /// Of the dependencies of an application, the round trips of those with more requests count for more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub requests_per_second: Option<f64>,
    /// Bits per second from the caller to the component, such as `2M`.
    #[serde(default)]
    pub sends: Bandwidth,
    /// Bits per second back to the caller.
    #[serde(default)]
    pub receives: Bandwidth,
}

/// Keeps two components from clusters that have the same value of a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Separation {
    /// The other component.
    pub from: String,
    /// `cluster`, `region`, `tier`, or a label of clusters. Clusters without it count as one place.
    #[serde(default = "cluster")]
    #[schemars(length(min = 1))]
    pub by: String,
}

fn cluster() -> String {
    "cluster".into()
}

/// A Service of this component that other clusters reach by a node port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expose {
    /// The name of a Service among its manifests.
    pub service: String,
    /// The port on every node, unique in the fleet.
    #[schemars(range(min = 30000, max = 32767))]
    pub node_port: u16,
}

/// Hard limits of an application; a plan never trades them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Constraints {
    /// The most that all components together may cost, in currency per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_per_hour: Option<Money>,
    /// The most that nodes may draw for all components together, in watts, without the building around them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub max_power: Option<f64>,
    /// The most that all components together may emit, in gCO₂e per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub max_carbon_per_hour: Option<f64>,
    /// The longest that the round trips along a chain of dependencies may take together, such as `100ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_path_latency: Option<Latency>,
    /// Residency: the regions that its components may run in; any, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Room is kept free elsewhere for what of it is in one cluster or region: instead of what `survive` of the fleet
    /// says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survive: Option<Domain>,
}
