//! `Release`: what one cluster shall run; the contract between leads and an agent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document;
use crate::epoch::Epoch;

document!(
    /// `clusters/<name>/release.yaml` on the deploy branch.
    Release,
    ReleaseKind,
    ReleaseSpec
);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseSpec {
    /// Grows with every change of this cluster's folder, never falls.
    pub generation: u64,
    pub epoch: Epoch,
    /// The commit of the spec branch at the last change.
    pub revision: String,
    /// Applications and their components, in the order of application (callees first).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<ReleasedApplication>,
    /// What left on purpose and is to be pruned, until it is reported gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removals: Vec<Removal>,
    /// SHA-256 over the sorted (path, length, bytes) of the folder without this file: see [`crate::layout::digest`].
    pub digest: String,
    /// The cluster has left the fleet; nothing follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decommissioned: bool,
}

/// The highest release that an agent has accepted, applied or not; it outlives restarts and never falls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mark {
    pub epoch: Epoch,
    /// Zero before the first release.
    pub generation: u64,
    pub digest: String,
}

impl Mark {
    /// The stricter of two: disk and cluster both remember, and either may have been lost.
    pub fn stricter(self, other: Self) -> Self {
        let epoch = self.epoch.max(other.epoch);
        let newest = if other.generation > self.generation { other } else { self };
        Self { epoch, ..newest }
    }

    /// Whether a release was accepted with the same number or a higher one, and is another.
    pub fn outruns(&self, generation: u64, digest: &str) -> bool {
        let other = !self.digest.is_empty() && self.digest != digest;
        self.generation > generation || (self.generation == generation && other)
    }

    /// Whether nothing was accepted yet.
    pub fn is_unset(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleasedApplication {
    pub application: String,
    pub namespace: String,
    pub components: Vec<String>,
    /// By component, the others of this cluster that it calls: it is rolled out once they are Ready.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub depends_on: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Removal {
    pub application: String,
    pub component: String,
    pub cause: RemovalCause,
    /// The intent that removed it.
    pub intent: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RemovalCause {
    /// The application was deleted.
    ApplicationDeleted,
    /// The component was deleted from its application.
    ComponentDeleted,
    /// It runs on another cluster now.
    Moved,
    /// No cluster takes it any more.
    Unplaced,
}
