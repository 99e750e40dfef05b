//! The only home of openraft.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, RaftError};
use openraft::impls::ProgressResponder;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::vote::{RaftLeaderId, leader_id_adv::LeaderId};
use openraft::{BasicNode, RaftMetrics, ServerState, SnapshotPolicy};
use qonnect_core::knowledge::{Answer, Command, Knowledge};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::folder::Folder;
use super::{Error, Leadership};

mod disk;
mod log;
mod machine;
mod network;
mod snapshot;
#[cfg(test)]
mod tests;

use log::Log;
use machine::Machine;
use network::Network;

openraft::declare_raft_types!(
    pub(crate) Types:
        D = Arc<Command>,
        R = Answer,
        NodeId = u64,
        Node = BasicNode,
);

/// A snapshot after so many entries: what a restart applies again, in some hundred milliseconds.
const ENTRIES_PER_SNAPSHOT: u64 = 2_000;

/// Kept below a snapshot, for peers that lag a little.
const ENTRIES_BELOW_SNAPSHOT: u64 = 500;

/// How long an ordered end may take before it is left to the operating system.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Raft {
    raft: openraft::Raft<Types, Machine>,
    log: Log,
    pub(super) knowledge: watch::Receiver<Arc<Knowledge>>,
    pub(super) leadership: watch::Receiver<Option<Leadership>>,
    _threads: Threads,
    folder: Arc<Folder>,
}

/// Raft has threads of its own, so that no planning and no git can hold its elections up.
struct Threads(Option<Runtime>);

impl Drop for Threads {
    /// A runtime must not wait for its threads inside of another one.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Raft {
    pub(super) async fn start(folder: Folder, node: u64) -> Result<Self, Error> {
        let folder = Arc::new(folder);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("raft")
            .enable_all()
            .build()
            .map_err(|source| Error::Io { path: folder.log(), source })?;
        let on_it = runtime.handle().clone();
        let threads = Threads(Some(runtime));
        let opened = folder.clone();
        let started = on_it.spawn(async move { Self::open(&opened, node).await });
        let (raft, log, knowledge) =
            started.await.map_err(|panic| Error::Stopped(panic.to_string())).flatten()?;
        let (tell, leadership) = watch::channel(None);
        on_it.spawn(follow(raft.metrics(), tell));
        Ok(Self { raft, log, knowledge, leadership, _threads: threads, folder })
    }

    async fn open(
        folder: &Folder,
        node: u64,
    ) -> Result<(openraft::Raft<Types, Machine>, Log, watch::Receiver<Arc<Knowledge>>), Error> {
        let log = Log::open(&folder.log(), node)?;
        let (machine, knowledge) = Machine::open(folder.snapshot())?;
        let config = Arc::new(config().validate().expect("the constants keep openraft's rules"));
        let raft = openraft::Raft::new(node, config, Network, log.clone(), machine).await.map_err(stopped)?;
        let alone = |members: Vec<u64>| members == [node];
        if !raft.is_initialized().await.map_err(stopped)? {
            let founders = BTreeMap::from([(node, BasicNode::default())]);
            raft.initialize(founders).await.map_err(|error| Error::Stopped(error.to_string()))?;
        } else if alone(raft.voter_ids().collect()) {
            // Nobody else can be the leader: no need to wait for an election timeout.
            raft.trigger().elect(false).await.map_err(stopped)?;
        }
        Ok((raft, log, knowledge))
    }

    pub(super) async fn write(
        &self,
        command: Command,
        leadership: Option<Leadership>,
    ) -> Result<Answer, Error> {
        let (responder, outcome) = ProgressResponder::complete_only();
        let mut request = self.raft.write(Arc::new(command)).responder(responder);
        if let Some(Leadership { term, node }) = leadership {
            request = request.with_leader(LeaderId { term, node_id: node }.to_committed());
        }
        request.await.map_err(stopped)?;
        match outcome.await {
            Ok(Ok(written)) => Ok(written.data),
            Ok(Err(ClientWriteError::ForwardToLeader(forward))) => {
                Err(Error::NotLeader { leader: forward.leader_id })
            }
            Ok(Err(ClientWriteError::PreconditionFailed(_))) => Err(Error::NotLeader { leader: None }),
            Ok(Err(ClientWriteError::LogEntryDiscarded(_))) => Err(Error::Unknown),
            Ok(Err(ClientWriteError::ChangeMembershipError(error))) => Err(Error::Stopped(error.to_string())),
            Err(_) => Err(Error::Unknown),
        }
    }

    pub(super) async fn stop(&self) {
        if tokio::time::timeout(STOP_TIMEOUT, self.raft.shutdown()).await.is_err() {
            tracing::warn!("the consensus did not end in time");
        }
        self.log.close().await;
        self.folder.release();
    }
}

fn config() -> openraft::Config {
    openraft::Config {
        cluster_name: "qonnect".into(),
        heartbeat_interval: 100,
        election_timeout_min: 300,
        election_timeout_max: 500,
        // At least twice the longest election.
        quorum_loss_probe_interval: Some(1_000),
        enable_pre_vote: Some(true),
        // A restarted process would go on under its old epoch.
        enable_leader_restore: Some(false),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(ENTRIES_PER_SNAPSHOT),
        max_in_snapshot_log_to_keep: ENTRIES_BELOW_SNAPSHOT,
        ..Default::default()
    }
}

/// Tells of a leadership once the first entry of its own is applied: then nothing acknowledged is missing.
async fn follow(
    mut metrics: WatchReceiverOf<Types, RaftMetrics<Types>>,
    tell: watch::Sender<Option<Leadership>>,
) {
    loop {
        let now = {
            let metrics = metrics.borrow_watched();
            let leader = *metrics.vote.leader_id();
            let caught_up =
                metrics.last_applied.is_some_and(|applied| applied.leader_id == leader.to_committed());
            let leads = metrics.state == ServerState::Leader && metrics.running_state.is_ok() && caught_up;
            leads.then_some(Leadership { term: leader.term, node: leader.node_id })
        };
        tell.send_if_modified(|known| std::mem::replace(known, now) != now);
        if metrics.changed().await.is_err() {
            tell.send_replace(None);
            return;
        }
    }
}

fn stopped(error: impl Into<RaftError<Types>>) -> Error {
    match error.into() {
        RaftError::Fatal(Fatal::StorageError(error)) => Error::Stopped(error.to_string()),
        error => Error::Stopped(error.to_string()),
    }
}
