//! The replicated log below the Knowledge Base, and its state at every lead.
//!
//! In the data folder of a lead:
//!
//! ```text
//! knowledge/lock             held by the process that uses it
//! knowledge/log.redb         the log, the vote and the committed index; every change is synced before it counts
//! knowledge/snapshot.json    the newest snapshot: a line with its checksum and place in the log, then the state
//! ```

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use qonnect_core::knowledge::{Answer, Change, Command, Knowledge};
use qonnect_schema::api::LeadView;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

mod folder;
mod group;
mod raft;

pub use group::{Group, Peer, PeerTls, Timers};

use folder::Folder;
use raft::{Member, Membership, Raft};

/// After this long a proposal is answered with [`Error::Unknown`].
const PROPOSAL_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder of the lead.
    pub data: PathBuf,
    /// The number of this lead among the leads; it never changes.
    pub node: u64,
}

/// What a follower tells the leader; it never enters the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// Clusters that were heard since the last note, and how many milliseconds ago.
    Heard(BTreeMap<String, u64>),
    /// Somebody says that the spec branch has moved.
    SpecMoved,
    /// Or that people have done something about a proposal.
    ReviewMoved,
}

/// Notes of followers that wait here; those that find no room are said again.
const NOTES_MAX: usize = 64;

/// This lead is the leader, and its [`Consensus::knowledge`] holds all that was acknowledged before.
///
/// A term alone is no fence: one term may see two leaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leadership {
    pub term: u64,
    pub node: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} is in use by another process; end that lead first, or give this one its own data folder", .0.display())]
    InUse(PathBuf),
    #[error("{} belongs to node {holds}, not to node {wanted}; set `node: {holds}` or give another data folder", .folder.display())]
    OtherNode { folder: PathBuf, holds: u64, wanted: u64 },
    #[error(
        "{} is damaged: {why}; restore {} from a backup, or move it away and start again: a lead of a group then \
         learns from the others; one that is alone says how `qonnect raft recover` goes on from the deploy branch",
        .file.display(), .file.parent().unwrap_or(Path::new(".")).display()
    )]
    Damaged { file: PathBuf, why: String },
    #[error("cannot use {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the group of leads cannot be as `peers` says: {0}")]
    Group(String),
    #[error("cannot listen for peers on {address}; is another lead running there?")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Tls(#[from] crate::tls::Error),
    #[error("{0}")]
    Refused(String),
    #[error("another lead is the leader{}; ask there", .leader.map(|node| format!(": node {node}")).unwrap_or_default())]
    NotLeader { leader: Option<u64> },
    #[error("the outcome of the proposal is not known; propose the same command again")]
    Unknown,
    #[error("the consensus has stopped: {0}; restart the lead")]
    Stopped(String),
}

/// A member of the group of leads. Clones are the same member.
#[derive(Clone)]
pub struct Consensus {
    raft: Arc<Raft>,
    notes: Arc<tokio::sync::Mutex<mpsc::Receiver<Note>>>,
    /// What makes the keys of this process differ from those of any other, and of its own earlier lives.
    prefix: Arc<str>,
    commands: Arc<AtomicU64>,
}

impl Consensus {
    /// Opens the data folder and joins. The first start in an empty folder founds a group of one.
    pub async fn start(config: Config) -> Result<Self, Error> {
        Self::open(config, None).await
    }

    /// As [`Self::start`], as one of several. With an empty folder it waits for the others: see `raft/found.rs`.
    pub async fn join(config: Config, group: Group) -> Result<Self, Error> {
        Self::open(config, Some(group)).await
    }

    async fn open(config: Config, group: Option<Group>) -> Result<Self, Error> {
        let folder = Folder::open(&config.data)?;
        let (tell, notes) = mpsc::channel(NOTES_MAX);
        let raft = Raft::start(folder, config.node, group, tell).await?;
        let prefix = format!("{}-{}", config.node, Timestamp::now().as_nanosecond());
        Ok(Self {
            raft: Arc::new(raft),
            notes: Arc::new(notes.into()),
            prefix: prefix.into(),
            commands: Arc::default(),
        })
    }

    /// Applied when it returns, here and durably, whoever leads. After [`Error::Unknown`] propose the same command
    /// again: its key keeps it from counting twice.
    pub async fn propose(&self, command: Command) -> Result<Answer, Error> {
        within_time(self.raft.propose(command)).await
    }

    /// Everything that was acknowledged before the call, by any lead, can be read here when it returns.
    pub async fn linearizable(&self) -> Result<(), Error> {
        within_time(self.raft.linearizable()).await
    }

    /// As [`Self::propose`], but here, and only while this leadership lasts.
    pub async fn propose_as(&self, leadership: Leadership, command: Command) -> Result<Answer, Error> {
        within_time(self.raft.write(command, Some(leadership))).await
    }

    /// A command with a fresh key and the clock of this process.
    pub fn command(&self, change: Change) -> Command {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        Command { key: format!("{}-{number}", self.prefix), now: Timestamp::now(), change }
    }

    /// The state after the newest command that is applied here.
    pub fn knowledge(&self) -> Arc<Knowledge> {
        self.raft.knowledge.borrow().clone()
    }

    /// Wakes after commands were applied, once for those that were applied together.
    pub fn changes(&self) -> watch::Receiver<Arc<Knowledge>> {
        self.raft.knowledge.clone()
    }

    pub fn leadership(&self) -> watch::Receiver<Option<Leadership>> {
        self.raft.leadership.clone()
    }

    /// Who leads, as far as this lead knows.
    pub fn leader(&self) -> watch::Receiver<Option<u64>> {
        self.raft.leader.clone()
    }

    /// The group, as this lead sees it: only the leader knows how far the others are.
    pub fn leads(&self) -> Vec<LeadView> {
        self.raft.views()
    }

    /// Takes a lead into the group: it learns first, and votes once it has caught up.
    pub async fn add(&self, peer: &Peer) -> Result<(), Error> {
        self.raft.change(Membership::Add { node: peer.node, member: Member::from(peer) }).await
    }

    /// Takes a lead out of the group, also the leader.
    pub async fn remove(&self, node: u64) -> Result<(), Error> {
        self.raft.change(Membership::Remove { node }).await
    }

    /// Lets another voter lead; without a name, the one that is furthest.
    pub async fn transfer(&self, to: Option<u64>) -> Result<(), Error> {
        self.raft.change(Membership::Transfer { to }).await
    }

    /// Tells the leader, which is another one.
    pub async fn note(&self, note: Note) -> Result<(), Error> {
        self.raft.note(note).await
    }

    /// The next note of a follower. There is one listener.
    pub async fn noted(&self) -> Option<Note> {
        self.notes.lock().await.recv().await
    }

    /// Hands a leadership over before a planned end, if there is somebody to take it.
    pub async fn hand_over(&self) {
        self.raft.hand_over().await;
    }

    /// Ends it and lets the folder go. Every clone is of no use afterwards.
    pub async fn stop(&self) {
        self.raft.stop().await;
    }
}

async fn within_time<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(PROPOSAL_TIMEOUT, answer).await.unwrap_or(Err(Error::Unknown))
}
