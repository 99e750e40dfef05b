//! The agent's loop: what wakes it, and what it does then.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use qonnect_agent_core::inventory;
use qonnect_agent_core::state::Problem;
use qonnect_schema::api::{Registration, ReleaseHint, Report};
use qonnect_schema::documents::measured::Measured;
use qonnect_schema::documents::release::Mark;
use qonnect_schema::documents::snapshot::AppliedRelease;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::backoff::{Backoff, jittered};
use crate::cluster::{Cluster, Seen, Watched};
use crate::config::Config;
use crate::disk::Disk;
use crate::facts::Facts;
use crate::measuring;
use crate::memory::{QUIET, give_back};
use crate::metrics::Metrics;
use crate::probes::Probes;
use crate::repository::{self, Fetched, Repository, Source};
use crate::sync::{Shared, pass};
use crate::uplink::Uplink;

mod connect;
mod leases;
mod release;
mod report;
mod watching;

use connect::connect;

/// A burst of changes becomes one report.
const REPORT_AFTER: Duration = Duration::from_millis(20);
/// Nodes and pods change in longer bursts, and nobody waits for them.
const FACTS_AFTER: Duration = Duration::from_millis(250);
/// While objects are being applied, progress is reported this often.
const PROGRESS_AFTER: Duration = Duration::from_millis(500);
/// How long to wait at the start for a look at what is there, before everything is applied anew.
const LOOK_MAX: Duration = Duration::from_secs(15);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Watches that tell faster than the loop listens wait here.
const SEEN_MAX: usize = 256;

/// Serves the cluster until `stop` is done.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let disk = Disk::open(&config.data).context("the data folder")?;
    let mark = disk.mark().context("the mark of the last release")?;
    let incarnation =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let registration = Registration {
        incarnation,
        agent_version: env!("CARGO_PKG_VERSION").into(),
        kubernetes_version: String::new(),
    };
    let uplink = Uplink::new(&config, registration, mark.clone())?;
    let serve = async {
        // Before the line begins, so that no hint is missed.
        let hints = uplink.hints();
        // A sign of life needs no API server: the workloads of a cluster outlive it.
        let line = tokio::spawn(uplink.clone().run());
        let metrics = Metrics::default();
        let probes = Probes::start(config.probes, metrics.clone()).await?;
        let (cluster, state, remembered) = connect(&config, &uplink, &probes).await;
        let shared = Shared::new(state, metrics);
        let mut agent = Agent::new(config, disk, uplink, cluster, shared, incarnation, probes)?;
        agent.restore(mark.stricter(remembered)).await?;
        let ended = agent.serve(hints).await;
        line.abort();
        ended
    };
    tokio::select! {
        ended = serve => ended,
        () = stop => {
            info!("stopped");
            Ok(())
        }
    }
}

type Doing<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

struct Agent {
    config: Config,
    uplink: Arc<Uplink>,
    cluster: Arc<Cluster>,
    repository: Repository,
    disk: Disk,
    shared: Shared,
    facts: Facts,
    probes: Probes,
    incarnation: u64,
    seq: u64,
    /// The highest release that was accepted.
    held: Mark,
    /// The commit of the release that is wanted now.
    commit: String,
    /// The newest release that was applied without an error.
    applied: Option<AppliedRelease>,
    /// Why the newest release is not applied.
    refused: Option<String>,
    /// Why a pass could not end.
    blocked: Option<String>,

    watches: BTreeMap<(Arc<str>, String), AbortHandle>,
    owned: mpsc::Sender<Seen>,
    owned_inbox: mpsc::Receiver<Seen>,
    /// Kinds that are not listed yet; nothing is applied before they are, or before the time is up.
    unlisted: BTreeSet<String>,
    look_until: Instant,
    /// Kinds of ours that the agent may not watch, and what refuses it.
    unwatched: BTreeMap<String, String>,
    /// Whether a lead vouches for what runs by a lease; absent for some seconds after the start.
    lease: watch::Receiver<Option<bool>>,
    /// Something of the release runs by one.
    leased: bool,
    /// What the agent's own namespace last said about reconciling at once.
    asked: Option<String>,

    fetching: Doing<Result<Fetched, repository::Error>>,
    /// A lead named another commit during a fetch.
    fetch_next: Option<Option<String>>,
    fetch_at: Instant,
    fetch_backoff: Backoff,
    syncing: Doing<Result<(), Problem>>,
    sync_at: Option<Instant>,
    sync_backoff: Backoff,
    done: Arc<Notify>,
    report_at: Option<Instant>,
    /// When to give memory back, if nothing happens before.
    quiet_at: Option<Instant>,
    /// What was said last, under the number zero.
    said: Option<Report>,
}

impl Agent {
    fn new(
        config: Config,
        disk: Disk,
        uplink: Arc<Uplink>,
        cluster: Arc<Cluster>,
        shared: Shared,
        incarnation: u64,
        probes: Probes,
    ) -> anyhow::Result<Self> {
        let source = Source {
            remote: config.remote(),
            branch: config.repository.branch.clone(),
            signers: config.repository.signers.clone(),
            cluster: config.cluster.clone(),
        };
        let (owned, owned_inbox) = mpsc::channel(SEEN_MAX);
        let repository = Repository::start(source, disk.clone());
        Ok(Self {
            repository: repository.context("the system starts no thread for the repository")?,
            config,
            lease: uplink.lease().held(),
            leased: false,
            uplink,
            cluster,
            disk,
            shared,
            facts: Facts::default(),
            probes,
            incarnation,
            seq: 0,
            held: Mark::default(),
            commit: String::new(),
            applied: None,
            refused: None,
            blocked: None,
            watches: BTreeMap::new(),
            owned,
            owned_inbox,
            unlisted: BTreeSet::new(),
            look_until: Instant::now() + LOOK_MAX,
            unwatched: BTreeMap::new(),
            asked: None,
            fetching: None,
            fetch_next: None,
            fetch_at: Instant::now(),
            fetch_backoff: Backoff::new(RETRY_FIRST, RETRY_MAX),
            syncing: None,
            sync_at: None,
            sync_backoff: Backoff::new(RETRY_FIRST, RETRY_MAX),
            done: Arc::new(Notify::new()),
            report_at: None,
            quiet_at: Some(Instant::now() + QUIET),
            said: None,
        })
    }

    async fn serve(&mut self, mut hints: watch::Receiver<Option<ReleaseHint>>) -> anyhow::Result<()> {
        let (facts, mut facts_inbox) = mpsc::channel(SEEN_MAX);
        for kind in ["Node", "Pod"] {
            let cluster = self.cluster.clone();
            tokio::spawn(cluster.watch("v1".into(), kind.into(), Watched::All, facts.clone()));
        }
        let (home, mut home_inbox) = mpsc::channel(SEEN_MAX);
        let own = Watched::Metadata(inventory::NAMESPACE);
        tokio::spawn(self.cluster.clone().watch("v1".into(), "Namespace".into(), own, home));
        let (tell, mut measured) = watch::channel(Measured::default());
        let (measure, cluster, uplink) =
            (self.config.measure.clone(), self.cluster.clone(), self.uplink.clone());
        tokio::spawn(async move {
            if let Err(error) = measuring::measure(measure, cluster, uplink, tell).await {
                warn!(%error, "nothing is measured; mend it and restart");
            }
        });
        let done = self.done.clone();
        let mut asked = self.uplink.reconcile();
        loop {
            self.start_what_is_due();
            let wake = self.next_wake();
            let mut woken = true;
            tokio::select! {
                Ok(()) = hints.changed() => {
                    let commit = hints.borrow_and_update().as_ref().map(|hint| hint.commit.clone());
                    debug!(commit, "a lead names a release");
                    self.fetch(commit);
                }
                fetched = doing(&mut self.fetching) => self.fetched(fetched),
                Some(seen) = self.owned_inbox.recv() => self.observe(seen),
                Some(seen) = facts_inbox.recv() => self.observe_facts(seen),
                Ok(()) = measured.changed() => {
                    self.facts.measured = measured.borrow_and_update().clone();
                    self.report_within(FACTS_AFTER);
                }
                Some(seen) = home_inbox.recv() => self.observe_home(seen),
                ended = doing(&mut self.syncing) => self.synced(ended),
                Ok(()) = self.lease.changed() => self.lease_changed(),
                Ok(()) = asked.changed() => {
                    asked.mark_unchanged();
                    self.reconcile_now();
                }
                () = done.notified() => self.report_within(Duration::ZERO),
                () = sleep_until(wake) => woken = false,
            }
            if woken {
                self.quiet_at = Some(Instant::now() + QUIET);
            }
        }
    }

    /// The earliest moment at which something is due.
    fn next_wake(&self) -> Instant {
        let look = (!self.unlisted.is_empty()).then_some(self.look_until);
        let fetch = self.fetching.is_none().then_some(self.fetch_at);
        let sync = self.sync_at.filter(|_| self.syncing.is_none() && self.knows_leases());
        let wakes = [self.report_at, sync, look, fetch, self.quiet_at];
        wakes.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + RETRY_MAX)
    }

    fn start_what_is_due(&mut self) {
        let now = Instant::now();
        if now >= self.look_until {
            self.unlisted.clear();
        }
        if self.fetching.is_none() && now >= self.fetch_at {
            // While a lead answers, it tells what is new; a fetch would only cost the git host.
            let silent = self.uplink.silence().is_none_or(|silence| silence > self.config.poll.as_duration());
            match silent || self.refused.is_some() {
                true => self.fetch(None),
                false => self.fetch_at = now + jittered(self.config.poll.as_duration()),
            }
        }
        if self.unlisted.is_empty() {
            self.probes.ready();
        }
        if self.report_at.is_some_and(|at| now >= at) {
            self.report();
        }
        if self.quiet_at.is_some_and(|at| now >= at) {
            self.quiet_at = None;
            give_back();
        }
        let ready = self.unlisted.is_empty() && self.knows_leases();
        if self.syncing.is_none() && ready && self.sync_at.is_some_and(|at| now >= at) {
            self.sync_at = None;
            let (shared, cluster) = (self.shared.clone(), self.cluster.clone());
            let (repository, done) = (self.repository.clone(), self.done.clone());
            let in_place = async move {
                // A report tells of nothing that a restart would not find.
                repository.kept().await;
                done.notify_one();
            };
            self.syncing = Some(Box::pin(pass(shared, cluster, in_place)));
        }
    }

    /// Plans a pass where something is to be done now or later.
    fn sync_if_due(&mut self) {
        if self.syncing.is_some() {
            return;
        }
        let mut state = self.shared.state();
        let now = self.shared.now();
        let due_now = state.has_to_apply(now) || !state.to_delete(now).is_empty();
        let wait = if due_now { Some(0) } else { state.next_due(now).map(|due| due - now) };
        drop(state);
        if let Some(wait) = wait {
            let at = Instant::now() + Duration::from_millis(wait);
            self.sync_at = Some(self.sync_at.map_or(at, |planned| planned.min(at)));
        }
    }

    fn synced(&mut self, ended: Result<(), Problem>) {
        self.syncing = None;
        match ended {
            Ok(()) => {
                self.sync_backoff.succeeded();
                self.blocked = None;
                self.sync_if_due();
            }
            Err(problem) => {
                warn!(reason = problem.reason, why = problem.message, "pass not finished, will retry");
                self.sync_at = Some(Instant::now() + self.sync_backoff.failed());
                self.blocked = Some(problem.message);
            }
        }
        self.follow();
        self.report_within(REPORT_AFTER);
    }
}

/// Waits for what is under way; forever where nothing is.
async fn doing<T>(slot: &mut Doing<T>) -> T {
    match slot {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
