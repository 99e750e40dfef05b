//! `Signals`: what the world costs and burns; `signals/*.yaml`, each with its source and its time.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document;
use crate::units::{Latency, Money};

document!(
    /// Prices, power models, grid intensity, PUE, round trips and egress from one source.
    Signals,
    SignalsKind,
    SignalsSpec
);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignalsSpec {
    /// Who says so: a URL, a paper, a meter.
    #[schemars(length(min = 1))]
    pub source: String,
    /// How it was counted, such as `location-based yearly mean, at generation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// When it was true.
    pub time: Timestamp,
    /// Until when it counts; afterwards the defaults do. For ever, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<Price>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub power_models: Vec<PowerModel>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processors: Vec<FamilyPower>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grid_intensity: Vec<GridIntensity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pue: Vec<Pue>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub round_trips: Vec<RoundTrip>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<Egress>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Price {
    pub cluster: String,
    /// Currency per node-hour.
    pub price: Money,
}

/// The power that a node of this cluster draws: idle + CPU share × (max − idle).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PowerModel {
    pub cluster: String,
    #[schemars(range(min = 0.0))]
    pub idle_watts: f64,
    #[schemars(range(min = 0.0))]
    pub max_watts: f64,
}

/// The power that each vCPU of a family of processors draws, for clusters without a model of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FamilyPower {
    /// As `processor` of a `Cluster` names it.
    pub family: String,
    /// Per vCPU.
    #[schemars(range(min = 0.0))]
    pub idle_watts: f64,
    /// Per vCPU.
    #[schemars(range(min = 0.0))]
    pub max_watts: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GridIntensity {
    pub region: String,
    #[schemars(range(min = 0.0))]
    pub grams_per_kwh: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pue {
    pub cluster: String,
    #[schemars(range(min = 1.0))]
    pub pue: f64,
}

/// A round trip between two clusters or two regions, the same in both directions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoundTrip {
    #[schemars(length(min = 2, max = 2))]
    pub between: Vec<String>,
    pub latency: Latency,
}

/// What a GB takes that leaves a cluster, or any cluster of a region, for another cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Egress {
    pub from: String,
    /// Currency per GB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// kWh per GB, of the network on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub energy: Option<f64>,
}
