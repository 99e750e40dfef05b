//! The replicated log below the Knowledge Base, and its state at every lead.
//!
//! In the data folder of a lead:
//!
//! ```text
//! knowledge/lock             held by the process that uses it
//! knowledge/log.redb         the log, the vote and the committed index; every change is synced before it counts
//! knowledge/snapshot.json    the newest snapshot: a line with its checksum and place in the log, then the state
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use qonnect_core::knowledge::{Answer, Change, Command, Knowledge};
use tokio::sync::watch;

mod folder;
mod raft;

use folder::Folder;
use raft::Raft;

/// After this long a proposal is answered with [`Error::Unknown`].
const PROPOSAL_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder of the lead.
    pub data: PathBuf,
    /// The number of this lead among the leads; it never changes.
    pub node: u64,
}

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
        "{} is damaged: {why}; restore {} from a backup, or move it away and start again: the lead then reads \
         the placements from the deploy branch, and the agents report anew",
        .file.display(), .file.parent().unwrap_or(Path::new(".")).display()
    )]
    Damaged { file: PathBuf, why: String },
    #[error("cannot use {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
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
    /// What makes the keys of this process differ from those of any other, and of its own earlier lives.
    prefix: Arc<str>,
    commands: Arc<AtomicU64>,
}

impl Consensus {
    /// Opens the data folder and joins. The first start in an empty folder founds a group of one.
    pub async fn start(config: Config) -> Result<Self, Error> {
        let folder = Folder::open(&config.data)?;
        let raft = Raft::start(folder, config.node).await?;
        let prefix = format!("{}-{}", config.node, Timestamp::now().as_nanosecond());
        Ok(Self { raft: Arc::new(raft), prefix: prefix.into(), commands: Arc::default() })
    }

    /// Applied when it returns, here and durably. After [`Error::Unknown`] propose the same command again: its
    /// key keeps it from counting twice.
    pub async fn propose(&self, command: Command) -> Result<Answer, Error> {
        self.within_time(self.raft.write(command, None)).await
    }

    /// As [`Self::propose`], but only while this leadership lasts.
    pub async fn propose_as(&self, leadership: Leadership, command: Command) -> Result<Answer, Error> {
        self.within_time(self.raft.write(command, Some(leadership))).await
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

    /// Ends it and lets the folder go. Every clone is of no use afterwards.
    pub async fn stop(&self) {
        self.raft.stop().await;
    }

    async fn within_time(
        &self,
        proposal: impl Future<Output = Result<Answer, Error>>,
    ) -> Result<Answer, Error> {
        tokio::time::timeout(PROPOSAL_TIMEOUT, proposal).await.unwrap_or(Err(Error::Unknown))
    }
}
