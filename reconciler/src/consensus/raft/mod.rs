//! The only home of openraft.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, RaftError};
use openraft::impls::ProgressResponder;
use openraft::type_config::alias::WatchReceiverOf;
use openraft::vote::{RaftLeaderId, leader_id_adv::LeaderId};
use openraft::{RaftMetrics, ServerState, SnapshotPolicy};
use qonnect_core::knowledge::{Answer, Command, Knowledge};
use qonnect_schema::api::LeadView;
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::folder::Folder;
use super::group::{Group, Timers};
use super::{Error, Leadership, Note};

#[cfg(test)]
mod crash;
mod disk;
mod log;
mod machine;
mod snapshot;

mod found;
mod leader;
mod links;
mod members;
mod network;
mod secured;
mod serve;
mod wire;

#[cfg(test)]
mod tests;

use found::Beginning;
use links::Links;
use log::Log;
use machine::Machine;
pub(super) use members::{Member, Membership};
use network::Network;
use secured::Secured;
use serve::Door;
use wire::Standing;

openraft::declare_raft_types!(
    pub(crate) Types:
        D = Arc<Command>,
        R = Answer,
        NodeId = u64,
        Node = Member,
);

/// A snapshot after so many entries: what a restart applies again, in some hundred milliseconds.
const ENTRIES_PER_SNAPSHOT: u64 = 2_000;

/// Kept below a snapshot, for peers that lag a little.
const ENTRIES_BELOW_SNAPSHOT: u64 = 500;

/// How long an ordered end may take before it is left to the operating system.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

type Handle = openraft::Raft<Types, Machine>;

pub(super) struct Raft {
    raft: Handle,
    log: Log,
    links: Arc<Links>,
    pub(super) knowledge: watch::Receiver<Arc<Knowledge>>,
    pub(super) leadership: watch::Receiver<Option<Leadership>>,
    pub(super) leader: watch::Receiver<Option<u64>>,
    door: Option<Tied<()>>,
    threads: Threads,
    folder: Arc<Folder>,
}

/// Raft has threads of its own, so that no planning and no git can hold its elections up.
struct Threads(Option<Runtime>);

impl Threads {
    fn new(folder: &Folder) -> Result<Self, Error> {
        let mut builder = runtime::Builder::new_multi_thread();
        // Two: one decodes what a peer sends while the other counts time.
        let built = builder.worker_threads(2).thread_name("raft").enable_all().build();
        Ok(Self(Some(built.map_err(|source| Error::Io { path: folder.log(), source })?)))
    }

    fn handle(&self) -> &runtime::Handle {
        self.0.as_ref().expect("it is taken when dropped").handle()
    }

    /// Runs there, and ends there when the caller is dropped.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let mut task = Tied(self.handle().spawn(work));
        (&mut task.0).await.map_err(|panic| Error::Stopped(panic.to_string())).flatten()
    }
}

/// A task that ends when this is dropped.
struct Tied<T>(JoinHandle<T>);

impl<T> Drop for Tied<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for Threads {
    /// A runtime must not wait for its threads inside of another one.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// What is open before this lead belongs to a group.
struct Opened {
    raft: Handle,
    log: Log,
    links: Arc<Links>,
    knowledge: watch::Receiver<Arc<Knowledge>>,
    door: Option<Tied<()>>,
}

impl Raft {
    /// Returns once this lead knows its place: with an empty disk that may take until the others are up.
    pub(super) async fn start(
        folder: Folder,
        node: u64,
        group: Option<Group>,
        notes: mpsc::Sender<Note>,
    ) -> Result<Self, Error> {
        let folder = Arc::new(folder);
        let threads = Threads::new(&folder)?;
        let opened = folder.clone();
        let opening = async move {
            match group {
                Some(group) => open_in(&opened, node, &group, notes).await,
                None => open_alone(&opened, node).await,
            }
        };
        let Opened { raft, log, links, knowledge, door } = threads.run(opening).await?;
        let (tell, leadership) = watch::channel(None);
        let (tell_leader, leader) = watch::channel(None);
        threads.handle().spawn(follow(raft.metrics(), tell, tell_leader));
        Ok(Self { raft, log, links, knowledge, leadership, leader, door, threads, folder })
    }

    pub(super) async fn write(
        &self,
        command: Command,
        leadership: Option<Leadership>,
    ) -> Result<Answer, Error> {
        write(&self.raft, Arc::new(command), leadership).await.map(|(answer, _)| answer)
    }

    pub(super) fn views(&self) -> Vec<LeadView> {
        members::views(&self.raft)
    }

    /// Hands a leadership over, so that nobody has to wait for an election.
    pub(super) async fn hand_over(&self) {
        if self.raft.is_leader() && members::furthest(&self.raft).is_some() {
            let raft = self.raft.clone();
            let over = async move { members::change(&raft, Membership::Transfer { to: None }).await };
            match self.threads.handle().spawn(over).await {
                Ok(wire::Tell::NotLeader { .. }) => {}
                other => tracing::warn!(?other, "the leadership was not handed over"),
            }
        }
    }

    pub(super) async fn stop(&self) {
        if tokio::time::timeout(STOP_TIMEOUT, self.raft.shutdown()).await.is_err() {
            tracing::warn!("the consensus did not end in time");
        }
        if let Some(door) = &self.door {
            door.0.abort();
        }
        self.log.close().await;
        self.folder.release();
    }
}

async fn open_alone(folder: &Folder, node: u64) -> Result<Opened, Error> {
    let links = Arc::new(Links::new(node, String::new(), &[], Secured::new(None)?));
    let log = Log::open(&folder.log(), node)?;
    let (raft, knowledge) = begin(folder, node, Timers::Lan, &links, &log).await?;
    let alone = |members: Vec<u64>| members == [node];
    if !raft.is_initialized().await.map_err(stopped)? {
        initialize(&raft, BTreeMap::from([(node, Member::default())])).await?;
    } else if alone(raft.voter_ids().collect()) {
        // Nobody else can be the leader: no need to wait for an election timeout.
        raft.trigger().elect(false).await.map_err(stopped)?;
    }
    Ok(Opened { raft, log, links, knowledge, door: None })
}

async fn open_in(
    folder: &Folder,
    node: u64,
    group: &Group,
    notes: mpsc::Sender<Note>,
) -> Result<Opened, Error> {
    group.check(node)?;
    let secured = Secured::new(group.tls.as_ref())?;
    let links = Arc::new(Links::new(node, group.name.clone(), &group.peers, secured.clone()));
    let listening = TcpListener::bind(group.listen).await;
    let listener = listening.map_err(|source| Error::Listen { address: group.listen, source })?;
    let log = Log::open(&folder.log(), node)?;
    let standing = if log.is_empty() { Standing::Empty } else { Standing::Member };
    let entrance = Arc::new(Door::new(node, standing, notes, secured));
    let door = Tied(tokio::spawn(serve::serve(listener, entrance.clone())));
    let beginning = match standing {
        Standing::Empty => Some(found::settle(&links, &log, node).await),
        Standing::Ready | Standing::Member => None,
    };
    let (raft, knowledge) = begin(folder, node, group.timers, &links, &log).await?;
    let standing = match beginning {
        Some(Beginning::Ready) => Standing::Ready,
        _ => Standing::Member,
    };
    entrance.opened(raft.clone(), standing);
    match beginning {
        Some(Beginning::Founder(members)) => {
            tracing::info!(members = members.len(), "founding the group");
            initialize(&raft, members).await?;
        }
        Some(Beginning::Forgotten) if !log.returns() => {
            tracing::info!("this lead does not belong to the group; `qonnect raft add` takes it in");
        }
        Some(Beginning::Ready | Beginning::Forgotten) | None => {}
    }
    if log.returns() {
        tracing::warn!("the disk was lost: this lead learns before it votes again");
        tokio::spawn(found::return_as_voter(links.clone(), log.clone(), raft.clone(), node));
    }
    Ok(Opened { raft, log, links, knowledge, door: Some(door) })
}

async fn begin(
    folder: &Folder,
    node: u64,
    timers: Timers,
    links: &Arc<Links>,
    log: &Log,
) -> Result<(Handle, watch::Receiver<Arc<Knowledge>>), Error> {
    let (machine, knowledge) = Machine::open(folder.snapshot())?;
    let config = Arc::new(config(timers).validate().expect("the constants keep openraft's rules"));
    let network = Network(links.clone());
    let raft = openraft::Raft::new(node, config, network, log.clone(), machine).await.map_err(stopped)?;
    Ok((raft, knowledge))
}

async fn initialize(raft: &Handle, members: BTreeMap<u64, Member>) -> Result<(), Error> {
    raft.initialize(members).await.map_err(|error| Error::Stopped(error.to_string()))
}

/// Written by this lead, if it leads; with the index of the entry.
async fn write(
    raft: &Handle,
    command: Arc<Command>,
    leadership: Option<Leadership>,
) -> Result<(Answer, u64), Error> {
    let (responder, outcome) = ProgressResponder::complete_only();
    let mut request = raft.write(command).responder(responder);
    if let Some(Leadership { term, node }) = leadership {
        request = request.with_leader(LeaderId { term, node_id: node }.to_committed());
    }
    request.await.map_err(stopped)?;
    match outcome.await {
        Ok(Ok(written)) => Ok((written.data, written.log_id.index)),
        Ok(Err(ClientWriteError::ForwardToLeader(forward))) => {
            Err(Error::NotLeader { leader: forward.leader_id })
        }
        Ok(Err(ClientWriteError::PreconditionFailed(_))) => Err(Error::NotLeader { leader: None }),
        Ok(Err(ClientWriteError::LogEntryDiscarded(_))) => Err(Error::Unknown),
        Ok(Err(ClientWriteError::ChangeMembershipError(error))) => Err(Error::Stopped(error.to_string())),
        Err(_) => Err(Error::Unknown),
    }
}

fn config(timers: Timers) -> openraft::Config {
    let (heartbeat, election_min, election_max) = timers.millis();
    openraft::Config {
        cluster_name: "qonnect".into(),
        heartbeat_interval: heartbeat,
        election_timeout_min: election_min,
        election_timeout_max: election_max,
        // At least twice the longest election.
        quorum_loss_probe_interval: Some(2 * election_max),
        max_payload_entries: wire::ENTRIES_MAX,
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
    tell_leader: watch::Sender<Option<u64>>,
) {
    loop {
        let (now, leading) = {
            let metrics = metrics.borrow_watched();
            let leader = *metrics.vote.leader_id();
            let caught_up =
                metrics.last_applied.is_some_and(|applied| applied.leader_id == leader.to_committed());
            let leads = metrics.state == ServerState::Leader && metrics.running_state.is_ok() && caught_up;
            (leads.then_some(Leadership { term: leader.term, node: leader.node_id }), metrics.current_leader)
        };
        tell_leader.send_if_modified(|known| std::mem::replace(known, leading) != leading);
        tell.send_if_modified(|known| std::mem::replace(known, now) != now);
        if metrics.changed().await.is_err() {
            tell.send_replace(None);
            tell_leader.send_replace(None);
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
