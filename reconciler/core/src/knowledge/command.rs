//! What the replicated log holds, and what its proposers are answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use qonnect_schema::api::{EventSeverity, Registration, ReleaseHint, Report, RevisionRecord};
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::{Epoch, Origin, Placement};
use serde::{Deserialize, Serialize};

use super::{Proposal, Reviewed};

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
        /// The id of the group, should it have none yet.
        group: String,
    },
    /// What keeps the leader from publishing: the branch belongs to others. `None`: nothing does any more.
    Blocked {
        origin: Option<Origin>,
    },
    /// A person hands the deploy branch, as `adopt` left it, to this group: a new era begins, above every one
    /// that was seen.
    Recover {
        adopt: Option<String>,
    },
    Register {
        cluster: String,
        registration: Registration,
    },
    Report {
        cluster: String,
        report: Box<Report>,
    },
    /// A person asks a cluster to reconcile at once.
    Reconcile {
        cluster: String,
    },
    /// Edges only: clusters whose status is another one now.
    Status {
        clusters: BTreeMap<String, ClusterStatus>,
    },
    /// Clusters that were lost for so long that what runs there by a lease has ended.
    Expired {
        clusters: BTreeSet<String>,
    },
    /// The clusters that hold the brake; none lift it.
    Brake {
        clusters: BTreeSet<String>,
    },
    /// A person says that the clusters which hold the brake are gone.
    ReleaseBrake,
    /// Clusters that have left the fleet and fell silent.
    Forget {
        clusters: BTreeSet<String>,
    },
    /// A commit of the spec branch was judged. `good` is what counts from here on.
    Revision {
        record: Box<RevisionRecord>,
        good: Option<Good>,
        /// What is new in it may wait for people.
        #[serde(default)]
        waits: bool,
    },
    /// Nothing in what counts waits for people any more, for it changes nothing that is deployed.
    Settled {
        good: Good,
    },
    /// Before a proposal is pushed.
    Proposed(Box<Proposal>),
    /// The review branches were read, or written.
    Reviewed {
        commit: String,
        reviewed: Reviewed,
    },
    /// Before a push.
    Intent(Box<Intent>),
    /// After a push, or after the tip was looked up. `Published` adopts what the intent says.
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
    /// Changed files, bytes included; `None` deletes. With the message and the time they give the same commit
    /// again. Dropped, as are `placements`, `releases` and `notes`, once the outcome
    /// is known.
    pub files: BTreeMap<String, Option<String>>,
    pub message: String,
    pub time: Timestamp,
    /// What the commit makes known; adopted with the outcome `Published`. `None` forgets an application.
    pub placements: BTreeMap<String, Option<Placement>>,
    pub releases: BTreeMap<String, ReleaseHint>,
    /// What readers are told once it is published.
    pub notes: Vec<Note>,
    /// All of this is carried out with it: nothing of it waits for people.
    #[serde(default)]
    pub completes: Option<Good>,
    pub outcome: Outcome,
}

/// An event before it has a number and a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub severity: EventSeverity,
    pub reason: String,
    pub regarding: String,
    pub message: String,
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

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Done,
    /// It says nothing new.
    Unchanged,
    /// The leadership that has begun.
    Epoch(Epoch),
    /// This start of the agent is not known: it shall register first.
    Unregistered,
    /// Something later has spoken: another start of the agent, a newer leadership, another outcome.
    Superseded,
    /// Its changes do not fit what is known: it shall tell everything.
    Differs,
    /// No such intent, or no such group.
    NotFound,
}

/// For logs: what it is, without its content.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, change, .. } = self;
        match change {
            Change::OpenEpoch { node, term, .. } => write!(f, "OpenEpoch({term}.{node}) {key}"),
            Change::Blocked { .. } => write!(f, "Blocked {key}"),
            Change::Recover { .. } => write!(f, "Recover {key}"),
            Change::Register { cluster, .. } => write!(f, "Register({cluster}) {key}"),
            Change::Reconcile { cluster } => write!(f, "Reconcile({cluster}) {key}"),
            Change::Report { cluster, report } => write!(f, "Report({cluster} #{}) {key}", report.seq),
            Change::Status { clusters } => write!(f, "Status({} clusters) {key}", clusters.len()),
            Change::Expired { clusters } => write!(f, "Expired({} clusters) {key}", clusters.len()),
            Change::Brake { clusters } => write!(f, "Brake({} clusters) {key}", clusters.len()),
            Change::ReleaseBrake => write!(f, "ReleaseBrake {key}"),
            Change::Forget { clusters } => write!(f, "Forget({} clusters) {key}", clusters.len()),
            Change::Revision { record, .. } => write!(f, "Revision({}) {key}", record.commit),
            Change::Settled { good } => write!(f, "Settled({}) {key}", good.commit),
            Change::Proposed(proposal) => write!(f, "Proposed({}) {key}", proposal.commit),
            Change::Reviewed { commit, .. } => write!(f, "Reviewed({commit}) {key}"),
            Change::Intent(intent) => write!(f, "Intent({}) {key}", intent.id),
            Change::Outcome { intent, .. } => write!(f, "Outcome({intent}) {key}"),
            Change::Deployed { .. } => write!(f, "Deployed {key}"),
            Change::Event { reason, .. } => write!(f, "Event({reason}) {key}"),
        }
    }
}
