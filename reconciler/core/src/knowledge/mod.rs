//! The Knowledge Base as a deterministic state machine.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use qonnect_schema::api::{Event, EventSeverity, Registration, ReleaseHint, Report, RevisionRecord};
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::{Epoch, Placement, SnapshotSpec};
use serde::{Deserialize, Serialize};

/// One entry of the replicated log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// A second command with the same key changes nothing and gets the first one's answer.
    pub key: String,
    /// The proposer's clock; the state machine has none.
    pub now: Timestamp,
    pub change: Change,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// A leadership begins. The answer holds the epoch.
    OpenEpoch {
        node: u64,
        term: u64,
    },
    Register {
        cluster: String,
        registration: Registration,
    },
    Report {
        cluster: String,
        report: Box<Report>,
    },
    /// Edges only: clusters whose status is another one now.
    Status {
        clusters: BTreeMap<String, ClusterStatus>,
    },
    /// A commit of the spec branch was judged. `good` is what counts from here on.
    Revision {
        record: Box<RevisionRecord>,
        good: Option<Good>,
    },
    /// Before a push.
    Intent(Box<Intent>),
    /// After a push, or after the tip was looked up. `Published` carries what the commit says.
    Outcome {
        intent: String,
        outcome: Outcome,
    },
    /// The deploy branch was read: what it says replaces what was known.
    Deployed {
        placements: BTreeMap<String, Placement>,
        releases: BTreeMap<String, ReleaseHint>,
    },
    Event {
        severity: EventSeverity,
        reason: String,
        regarding: String,
        message: String,
    },
}

/// The commits that count: a restarted lead reads the same files again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    /// `fleet.yaml`, `clusters/` and `signals/` are read here.
    pub commit: String,
    /// Each application is read at its own commit, which is older while a fault is held.
    pub applications: BTreeMap<String, String>,
}

/// A planned commit, recorded before it is pushed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    pub id: String,
    pub epoch: Epoch,
    /// The tip of the deploy branch that was planned on; absent for the first commit.
    pub base: Option<String>,
    pub commit: String,
    pub revision: String,
    pub kb_index: u64,
    /// Changed files, bytes included; `None` deletes. With the message and the time they give the same commit again.
    pub files: BTreeMap<String, Option<String>>,
    pub message: String,
    pub time: Timestamp,
    /// What the commit makes known; adopted with the outcome `Published`. `None` forgets an application.
    pub placements: BTreeMap<String, Option<Placement>>,
    pub releases: BTreeMap<String, ReleaseHint>,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Not known: look, never assume.
    Unknown,
    Published,
    /// Another commit stands where it should.
    Lost,
    /// The server refused it.
    Refused(String),
}

/// The state at one index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Knowledge {
    pub index: u64,
    /// The newest `now` of a command.
    pub now: Timestamp,
    pub epoch: Epoch,
    pub clusters: BTreeMap<String, ClusterState>,
    /// By cluster: why its newest release is not applied.
    pub stalled: BTreeMap<String, String>,
    pub placements: BTreeMap<String, Placement>,
    pub releases: BTreeMap<String, ReleaseHint>,
    pub good: Option<Good>,
    /// The newest last, with retention.
    pub revisions: VecDeque<RevisionRecord>,
    pub intents: VecDeque<Intent>,
    pub events: VecDeque<Event>,
}

impl Knowledge {
    pub fn snapshot(&self) -> SnapshotSpec {
        SnapshotSpec {
            index: self.index,
            now: self.now,
            clusters: self.clusters.clone(),
            placements: self.placements.clone(),
        }
    }
}
