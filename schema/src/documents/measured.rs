//! What agents measure, beside what Kubernetes tells them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{Bytes, Cpu, Latency};

/// Each value is the last one that differed enough from the one before to be told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Measured {
    /// By node.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<String, Usage>,
    /// To other clusters, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub round_trips: BTreeMap<String, Latency>,
}

/// What a node uses. Absent: nobody measures it there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Usage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// What it draws.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watts: Option<f64>,
}

impl Measured {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
