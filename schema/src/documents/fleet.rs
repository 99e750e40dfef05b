//! `Fleet`: what holds for all clusters; `fleet.yaml`, one per repository.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::approval::Approval;
use super::document;
use super::maintenance::Maintenance;
use crate::units::{Bandwidth, EnergyRate, Latency, Money, Span};

document!(
    /// Settings of the whole fleet. Every field has a default.
    Fleet,
    FleetKind,
    FleetSpec
);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FleetSpec {
    pub branches: Branches,
    /// Which decisions wait for people; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Cluster-scoped kinds that applications may bring, as `Kind` or `Kind.group`.
    pub cluster_scoped: Vec<String>,
    pub references: References,
    pub defaults: FleetDefaults,
    pub moves: Moves,
    /// Room is kept free for what is in one cluster or region, so that it fits elsewhere when that dies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub survive: Option<Domain>,
    pub lease: Lease,
    pub failover: Failover,
    /// When clusters are worked on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<Maintenance>,
}

/// What may die at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Domain {
    Cluster,
    Region,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Branches {
    /// Where leads commit decisions and agents read them.
    pub deploy: String,
    /// Where people approve decisions, by merging `<review>-next`; no agent reads either.
    pub review: String,
}

impl Default for Branches {
    fn default() -> Self {
        Self { deploy: "qonnect/deploy".into(), review: "qonnect/review".into() }
    }
}

impl Branches {
    /// Where leads propose what is to be merged into `review`.
    pub fn proposal(&self) -> String {
        format!("{}-next", self.review)
    }
}

/// What counts as one in the objective function: fixed, so that a new cluster flips no unrelated choice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct References {
    /// kWh per hour.
    #[schemars(range(min = 1e-9))]
    pub energy: f64,
    /// Currency per hour.
    #[schemars(range(min = 1e-9))]
    pub cost: f64,
    /// Milliseconds.
    #[schemars(range(min = 1e-9))]
    pub performance: f64,
    /// gCO₂e per hour.
    #[schemars(range(min = 1e-9))]
    pub carbon: f64,
}

impl Default for References {
    fn default() -> Self {
        Self { energy: 0.001, cost: 1.0, performance: 100.0, carbon: 0.5 }
    }
}

/// Where neither a node, nor its cluster, nor a signal says it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FleetDefaults {
    pub energy: EnergyRate,
    pub price: Money,
    pub bandwidth: Bandwidth,
    /// Round trip between clusters of one region.
    pub same_region_latency: Latency,
    /// Round trip between regions.
    pub other_region_latency: Latency,
    pub egress: DefaultEgress,
    /// gCO₂e per kWh.
    #[schemars(range(min = 0.0))]
    pub grid_intensity: f64,
    /// Power usage effectiveness of the building.
    #[schemars(range(min = 1.0))]
    pub pue: f64,
}

impl Default for FleetDefaults {
    fn default() -> Self {
        Self {
            energy: EnergyRate(0.0026),
            price: Money(1.0),
            bandwidth: Bandwidth(1_000_000_000),
            same_region_latency: Latency::from_ms(2),
            other_region_latency: Latency::from_ms(40),
            egress: DefaultEgress::default(),
            grid_intensity: 400.0,
            pue: 1.5,
        }
    }
}

/// What a GB takes that leaves a cluster for another one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DefaultEgress {
    /// Currency per GB.
    pub price: Money,
    /// kWh per GB, of the network on the way.
    #[schemars(range(min = 0.0))]
    pub energy: f64,
}

impl Default for DefaultEgress {
    fn default() -> Self {
        Self { price: Money(0.02), energy: 0.001 }
    }
}

/// How a component that runs is moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Moves {
    /// What the disturbance of a move costs in the objective function; a smaller gain moves nothing.
    #[schemars(range(min = 0.0))]
    pub price: f64,
    /// How long both copies run in a usual move.
    pub overlap: Span,
    /// Over how long what a move costs once is spread: within it, the move has to pay.
    pub horizon: Span,
    /// How long a phase of a move may take before it is rolled back, and how long a component may have failed
    /// before it is tried elsewhere.
    pub deadline: Span,
    /// What has arrived somewhere stays at least this long, unless it must leave or a person wants it elsewhere.
    pub residence: Span,
    /// A cluster that was lost must be Ready for this long before anything moves there only to be better off.
    pub failback_after: Span,
    /// How many components may move within an hour only to be better off.
    pub per_hour: u32,
    pub in_flight: InFlight,
    /// On how many clusters a component that fails is tried before it stays where it is.
    pub tries: u32,
}

impl Default for Moves {
    fn default() -> Self {
        Self {
            price: 0.05,
            overlap: Span::from_secs(60),
            horizon: Span::from_secs(24 * 3600),
            deadline: Span::from_secs(600),
            residence: Span::from_secs(600),
            failback_after: Span::from_secs(600),
            per_hour: 60,
            in_flight: InFlight::default(),
            tries: 3,
        }
    }
}

/// How many moves are under way at once. A failover waits for none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct InFlight {
    #[schemars(range(min = 1))]
    pub fleet: u32,
    /// To or from one cluster.
    #[schemars(range(min = 1))]
    pub cluster: u32,
    /// Of one application.
    #[schemars(range(min = 1))]
    pub application: u32,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { fleet: 50, cluster: 10, application: 10 }
    }
}

/// How long a cluster counts as alive without a word from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Lease {
    pub heartbeat: Span,
    pub suspect_after: Span,
    pub lost_after: Span,
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            heartbeat: Span::from_secs(5),
            suspect_after: Span::from_secs(15),
            lost_after: Span::from_secs(30),
        }
    }
}

/// How the clusters that fell silent for good are emptied, and when that waits for a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Failover {
    pub batch: Batch,
    pub brake: BrakeRule,
}

/// So many clusters count as lost at a time, at least one: each batch is one plan and one commit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Batch {
    /// Of all clusters.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    pub every: Span,
}

impl Default for Batch {
    fn default() -> Self {
        Self { share: 0.1, every: Span::from_secs(10) }
    }
}

/// When so many clusters fall silent together, rather our own network is at fault than theirs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BrakeRule {
    /// At least this share of the clusters,
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: f64,
    /// and at least so many,
    #[schemars(range(min = 1))]
    pub clusters: u32,
    /// whose silence began within this time.
    pub within: Span,
}

impl Default for BrakeRule {
    fn default() -> Self {
        Self { share: 0.3, clusters: 3, within: Span::from_secs(60) }
    }
}
