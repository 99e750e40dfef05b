//! `Cluster`: a member of the fleet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document;
use super::snapshot::{Node, Resources};
use crate::units::{Bandwidth, Bytes, Cpu, EnergyRate, Latency, Money};

document!(
    /// A cluster of the fleet. The labels of `metadata` are what selectors match.
    Cluster,
    ClusterKind,
    ClusterSpec
);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterSpec {
    /// `cloud`, `fog` or `edge`; a fleet may define others.
    pub tier: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taints: Vec<Taint>,
    /// Where other clusters reach what it exposes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress: Option<Ingress>,
    /// The family of its nodes' processors, of which `signals/` may say what they draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<String>,
    /// What its nodes cost, burn and deliver, where they do not say so themselves.
    #[serde(default)]
    pub defaults: NodeRates,
    /// Round trips from here.
    #[serde(default)]
    pub latency: LatencyTable,
    /// What a GB takes that leaves it for another cluster.
    #[serde(default, skip_serializing_if = "EgressRates::is_absent")]
    pub egress: EgressRates,
    /// Capacity until an agent has reported, and for planning without a fleet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<DeclaredNode>,
    /// Nothing new comes here; what runs stays.
    #[serde(default)]
    pub cordon: bool,
    /// Everything moves away, make before break.
    #[serde(default)]
    pub drain: bool,
    /// A person vouches that nothing runs here any more: what was here is placed elsewhere at once, also what must not
    /// run twice. A cluster that answers all the same is emptied as by `drain`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fenced: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Taint {
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub effect: TaintEffect,
}

/// `NoSchedule` refuses new components, `NoExecute` also those that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    NoSchedule,
    NoExecute,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ingress {
    /// A host name or an IP address, without scheme and port.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9.:-]+$"))]
    pub address: String,
    /// Where agents of other clusters measure the round trip, 443 if absent. A port that refuses answers as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
}

/// Facts of a node that Kubernetes does not know. Absent means: ask the next wider default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeRates {
    /// kWh per vCPU-hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<EnergyRate>,
    /// Currency per node-hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// Bits per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

/// Absent means: ask the next wider default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressRates {
    /// Currency per GB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// kWh per GB, of the network on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub energy: Option<f64>,
}

impl EgressRates {
    fn is_absent(&self) -> bool {
        *self == Self::default()
    }
}

/// Round trips; the name of a cluster wins over its region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LatencyTable {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, Latency>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub regions: BTreeMap<String, Latency>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeclaredNode {
    pub name: String,
    /// How many alike; their names get a number.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10000))]
    pub count: u32,
    pub cpu: Cpu,
    pub memory: Bytes,
    #[serde(default)]
    pub storage: Bytes,
    #[serde(default = "pods")]
    pub pods: u32,
    /// Extended resources by name, such as `nvidia.com/gpu`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extended: BTreeMap<String, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<EnergyRate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

impl DeclaredNode {
    /// The nodes as an agent would report them; of several alike each gets a number.
    pub fn nodes(&self) -> impl Iterator<Item = Node> {
        (1..=self.count).map(|number| Node {
            name: if self.count == 1 { self.name.clone() } else { format!("{}-{number}", self.name) },
            allocatable: Resources {
                cpu: self.cpu,
                memory: self.memory,
                storage: self.storage,
                pods: self.pods,
                extended: self.extended.clone(),
            },
            ready: true,
            energy: self.energy,
            price: self.price,
            bandwidth: self.bandwidth,
            ..Default::default()
        })
    }
}

fn one() -> u32 {
    1
}

/// What the kubelet allows unless told otherwise.
fn pods() -> u32 {
    110
}
