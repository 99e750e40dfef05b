//! The Knowledge Base as a deterministic state machine: what is, and what was decided.
//!
//! ```text
//! Command ─▶ Knowledge::apply ─▶ Answer      the same commands give the same state on every lead
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::api::{Event, ReleaseHint, RevisionRecord};
use qonnect_schema::documents::snapshot::{Brake, ClusterState};
use qonnect_schema::{Epoch, Origin, Placement, SnapshotSpec};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

mod apply;
mod brake;
mod command;
mod events;
mod hashes;
mod keys;
mod leadership;
mod lease;
pub mod liveness;
mod proposal;
mod report;
mod settled;
#[cfg(test)]
mod tests;

pub use command::{Answer, Change, Command, Good, Intent, Note, Outcome};
use hashes::Hashes;
use keys::Keys;
pub use proposal::{Proposal, ProposalState, Reviewed};
pub use settled::Places;

/// The state at one index.
///
/// A clone copies no record: every collection is shared until one of the clones changes it, so that a lead
/// publishes each state to its readers for a few pointers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Knowledge {
    pub index: u64,
    /// The newest `now` of a command.
    pub now: Timestamp,
    pub epoch: Epoch,
    /// The id of this group of leads, drawn at its first leadership.
    pub group: String,
    /// Groups whose branch a person has handed to this one.
    pub succeeds: Arc<BTreeSet<String>>,
    /// Who wrote the deploy branch, if that keeps this group from publishing.
    pub blocked: Option<Arc<Origin>>,
    pub clusters: Arc<BTreeMap<String, Arc<ClusterState>>>,
    /// Why nothing moves.
    #[serde(default)]
    pub brake: Option<Arc<Brake>>,
    /// By cluster: why its newest release is not applied.
    pub stalled: Arc<BTreeMap<String, String>>,
    pub placements: Arc<BTreeMap<String, Arc<Placement>>>,
    pub releases: Arc<BTreeMap<String, ReleaseHint>>,
    /// By application: where it last was Ready as a whole, the newest last.
    #[serde(default)]
    pub settled: Arc<BTreeMap<String, Vec<Places>>>,
    pub good: Option<Arc<Good>>,
    /// What goes on while something in `good` waits for people; its commit is empty if nothing was ever approved.
    /// Absent: nothing in `good` waits.
    #[serde(default)]
    pub approved: Option<Arc<Good>>,
    #[serde(default)]
    pub proposal: Option<Arc<Proposal>>,
    /// The newest last, with retention.
    pub revisions: Arc<VecDeque<Arc<RevisionRecord>>>,
    pub intents: Arc<VecDeque<Arc<Intent>>>,
    pub events: Arc<VecDeque<Arc<Event>>>,
    /// By reason: how many events there were ever.
    #[serde(default)]
    pub told: Arc<BTreeMap<String, u64>>,
    /// The entry that last took back that the leases of a cluster have ended.
    #[serde(default)]
    renewed: u64,
    keys: Keys,
    hashes: Hashes,
}

impl Knowledge {
    /// What planning sees.
    pub fn snapshot(&self) -> SnapshotSpec {
        fn copies<T: Clone>(shared: &BTreeMap<String, Arc<T>>) -> BTreeMap<String, T> {
            shared.iter().map(|(name, record)| (name.clone(), T::clone(record))).collect()
        }
        SnapshotSpec {
            index: self.index,
            now: self.now,
            clusters: copies(&self.clusters),
            placements: copies(&self.placements),
            brake: self.brake.as_deref().cloned(),
        }
    }

    /// Equal on two leads that applied the same commands, and only there: SHA-256 in hexadecimal.
    pub fn hash(&self) -> String {
        let bytes = serde_json::to_vec(self).expect("the state has text for keys and no infinite number");
        hex::encode(Sha256::digest(bytes))
    }
}
