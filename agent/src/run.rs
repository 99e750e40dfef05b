//! The agent's loop: what wakes it, and what it does then.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use qonnect_agent_core::release::{Mark, Verified, verify};
use qonnect_agent_core::state::{Problem, State};
use qonnect_schema::api::{EventSeverity, Registration, Report};
use qonnect_schema::documents::snapshot::AppliedRelease;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::backoff::{Backoff, jittered};
use crate::cluster::{Cluster, Seen, Watched};
use crate::config::Config;
use crate::disk::Disk;
use crate::facts::Facts;
use crate::repository::{self, Fetched, Repository, Source};
use crate::sync::{Shared, pass};
use crate::uplink::Uplink;

mod report;

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
        let (cluster, state, remembered) = connect(&config, &uplink).await;
        let line = tokio::spawn(uplink.clone().run());
        let mut agent = Agent::new(config, disk, uplink, cluster, state, incarnation);
        agent.restore(mark.stricter(remembered))?;
        let ended = agent.serve().await;
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

/// Tries until the cluster answers and its inventory can be read: nothing is done without either.
async fn connect(config: &Config, uplink: &Uplink) -> (Arc<Cluster>, State, Mark) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
    loop {
        let attempt = async {
            let cluster = Cluster::connect(config.kubeconfig.as_deref(), config.context.as_deref()).await?;
            uplink.cluster_is(&cluster.version().await?);
            let (inventory, mark) = cluster.load_inventory().await?;
            Ok::<_, crate::cluster::Error>((Arc::new(cluster), State::new(inventory, config.prune), mark))
        };
        match attempt.await {
            Ok(connected) => return connected,
            Err(error) => warn!(%error, "cluster not ready, will retry"),
        }
        tokio::time::sleep(backoff.failed()).await;
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
    /// What was said last, under the number zero.
    said: Option<Report>,
}

impl Agent {
    fn new(
        config: Config,
        disk: Disk,
        uplink: Arc<Uplink>,
        cluster: Arc<Cluster>,
        state: State,
        incarnation: u64,
    ) -> Self {
        let source = Source {
            remote: config.remote(),
            branch: config.repository.branch.clone(),
            cluster: config.cluster.clone(),
        };
        let kept = disk.copy().ok().flatten().and_then(|_| disk.mark().ok());
        let (owned, owned_inbox) = mpsc::channel(SEEN_MAX);
        Self {
            repository: Repository::start(source, disk.clone(), kept),
            config,
            uplink,
            cluster,
            disk,
            shared: Shared::new(state),
            facts: Facts::default(),
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
            fetching: None,
            fetch_next: None,
            fetch_at: Instant::now(),
            fetch_backoff: Backoff::new(RETRY_FIRST, RETRY_MAX),
            syncing: None,
            sync_at: None,
            sync_backoff: Backoff::new(RETRY_FIRST, RETRY_MAX),
            done: Arc::new(Notify::new()),
            report_at: None,
            said: None,
        }
    }

    /// Goes on with the copy on the disk: neither git nor a lead is needed for that.
    fn restore(&mut self, held: Mark) -> anyhow::Result<()> {
        self.held = held;
        if let Some(copy) = self.disk.copy().context("the copy of the last release")? {
            match verify(&copy.tree(), &self.config.cluster, &self.held, &[]) {
                Ok(release) => self.adopt(release, copy.commit),
                Err(refusal) => warn!(%refusal, "the copy on the disk is not used"),
            }
        }
        self.follow();
        self.unlisted = self.watches.keys().map(|(_, kind)| kind.clone()).collect();
        Ok(())
    }

    async fn serve(&mut self) -> anyhow::Result<()> {
        let (facts, mut facts_inbox) = mpsc::channel(SEEN_MAX);
        for kind in ["Node", "Pod"] {
            let cluster = self.cluster.clone();
            tokio::spawn(cluster.watch("v1".into(), kind.into(), Watched::All, facts.clone()));
        }
        let mut hints = self.uplink.hints();
        let done = self.done.clone();
        loop {
            self.start_what_is_due();
            let wake = self.next_wake();
            tokio::select! {
                Ok(()) = hints.changed() => {
                    let commit = hints.borrow_and_update().as_ref().map(|hint| hint.commit.clone());
                    debug!(commit, "a lead names a release");
                    self.fetch(commit);
                }
                fetched = doing(&mut self.fetching) => self.fetched(fetched),
                Some(seen) = self.owned_inbox.recv() => self.observe(seen),
                Some(seen) = facts_inbox.recv() => {
                    if self.facts.observe(seen) {
                        self.report_within(FACTS_AFTER);
                    }
                }
                ended = doing(&mut self.syncing) => self.synced(ended),
                () = done.notified() => self.report_within(Duration::ZERO),
                () = sleep_until(wake) => {}
            }
        }
    }

    /// The earliest moment at which something is due.
    fn next_wake(&self) -> Instant {
        let look = (!self.unlisted.is_empty()).then_some(self.look_until);
        let fetch = self.fetching.is_none().then_some(self.fetch_at);
        let wakes = [self.report_at, self.sync_at.filter(|_| self.syncing.is_none()), look, fetch];
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
        if self.report_at.is_some_and(|at| now >= at) {
            self.report();
        }
        if self.syncing.is_none() && self.unlisted.is_empty() && self.sync_at.is_some_and(|at| now >= at) {
            self.sync_at = None;
            self.syncing = Some(Box::pin(pass(self.shared.clone(), self.cluster.clone(), self.done.clone())));
        }
    }

    fn fetch(&mut self, commit: Option<String>) {
        if self.fetching.is_some() {
            self.fetch_next = Some(commit);
            return;
        }
        self.fetching = Some(Box::pin(self.repository.clone().fetch(commit, self.held.clone())));
    }

    fn fetched(&mut self, fetched: Result<Fetched, repository::Error>) {
        self.fetching = None;
        self.fetch_at = Instant::now() + jittered(self.config.poll.as_duration());
        match fetched {
            Ok(fetched) => {
                self.fetch_backoff.succeeded();
                if self.refused.take().is_some() {
                    self.report_within(Duration::ZERO);
                }
                let mark = fetched.release.mark();
                if mark != self.shared.state().mark() {
                    self.adopt(fetched.release, fetched.commit);
                }
            }
            Err(error) => self.not_fetched(error),
        }
        if let Some(commit) = self.fetch_next.take() {
            self.fetch(commit);
        }
    }

    fn not_fetched(&mut self, error: repository::Error) {
        let text = error.to_string();
        self.fetch_at = Instant::now() + self.fetch_backoff.failed();
        // Before the first release there is nothing to miss.
        if error.means_nothing_published() && self.held == Mark::default() {
            return;
        }
        if self.refused.as_deref() == Some(&text) {
            return;
        }
        warn!(error = text, "release not taken over, will retry");
        if matches!(error, repository::Error::Refused { .. }) {
            self.event(
                EventSeverity::Warning,
                "ReleaseRefused",
                format!("cluster/{}", self.config.cluster),
                text.clone(),
            );
        }
        self.refused = Some(text);
        self.report_within(Duration::ZERO);
    }

    /// Whatever is under way gives way to the newest release.
    fn adopt(&mut self, release: Verified, commit: String) {
        info!(generation = release.spec.generation, epoch = %release.spec.epoch, commit, objects = release.objects.len(), "release accepted");
        self.held = self.held.clone().stricter(release.mark());
        self.uplink.saw(release.mark());
        self.commit = commit;
        self.syncing = None;
        self.blocked = None;
        self.sync_backoff.succeeded();
        self.shared.state().adopt(release);
        self.sync_at = Some(Instant::now());
    }

    fn observe(&mut self, first: Seen) {
        let mut news = false;
        {
            let mut state = self.shared.state();
            let mut next = Some(first);
            while let Some(seen) = next {
                news |= match seen {
                    Seen::Object(id, object) => state.observe(&id, &object),
                    Seen::Gone(id) => state.gone(&id),
                    Seen::ListBegins { group, kind } => {
                        state.list_begins(&group, &kind);
                        false
                    }
                    Seen::ListEnds { group, kind } => {
                        self.unlisted.remove(&kind);
                        state.list_ends(&group, &kind)
                    }
                };
                next = self.owned_inbox.try_recv().ok();
            }
        }
        if news {
            self.sync_if_due();
            self.report_within(if self.syncing.is_some() { PROGRESS_AFTER } else { REPORT_AFTER });
        }
    }

    /// Plans a pass where something is to be done now or later.
    fn sync_if_due(&mut self) {
        if self.syncing.is_some() {
            return;
        }
        let mut state = self.shared.state();
        let now = self.shared.now();
        let due_now = !state.to_apply(now).is_empty() || !state.to_delete(now).is_empty();
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

    /// Watches every kind that is wanted or owned, and no other.
    fn follow(&mut self) {
        let kinds = self.shared.state().kinds();
        self.watches.retain(|kind, watch| {
            let stays = kinds.contains(kind);
            if !stays {
                watch.abort();
            }
            stays
        });
        for (api_version, kind) in kinds {
            self.watches.entry((api_version.clone(), kind.clone())).or_insert_with(|| {
                let cluster = self.cluster.clone();
                tokio::spawn(cluster.watch(api_version, kind, Watched::Owned, self.owned.clone()))
                    .abort_handle()
            });
        }
    }
}

/// Waits for what is under way; forever where nothing is.
async fn doing<T>(slot: &mut Doing<T>) -> T {
    match slot {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
