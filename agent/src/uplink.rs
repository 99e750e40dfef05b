//! The line to the leads: a long poll that brings hints of new releases, and reports, of which only the newest counts.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use qonnect_agent_core::outbox::Outbox;
use qonnect_schema::api::{
    Grant, Heartbeat, Neighbours, Problem, Registration, ReleaseFolder, ReleaseHint, Report, ReportedEvent,
};
use qonnect_schema::documents::release::Mark;
use qonnect_schema::layout::LEASE;
use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};
use url::Url;

use crate::backoff::Backoff;
use crate::config::Config;
use crate::connection::Connection;
use crate::lease::{self, Lease};
use crate::repository::LIMITS;

/// Until a lead says otherwise.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// However seldom a lead wants to hear of it.
const HEARTBEAT_MAX: Duration = Duration::from_secs(60);
/// On top of the time that a lead may hold a long poll.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A lead that takes longer to hand a release on is itself waiting for git.
const RELAY_TIMEOUT: Duration = Duration::from_secs(3);
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{path}: cannot be used: {why}")]
    File { path: PathBuf, why: String },
    #[error("no lead answers: {0}")]
    Unreachable(String),
    #[error("the lead refuses ({code}): {message}")]
    Refused { code: u16, message: String },
}

pub(crate) struct Uplink {
    connection: Connection,
    leads: Vec<Url>,
    /// Which lead it stays with.
    current: AtomicUsize,
    token_file: Option<PathBuf>,
    cluster: String,
    registration: Mutex<Registration>,
    /// The registration says something else now.
    renamed: Notify,
    /// The newest release that was seen, whatever became of it.
    seen: Mutex<Mark>,
    outbox: Mutex<Outbox>,
    /// Something lies in the outbox.
    filled: Notify,
    hints: watch::Sender<Option<ReleaseHint>>,
    /// When a lead last answered.
    heard: Mutex<Option<Instant>>,
    /// A lead answers: whoever waits before the next attempt need not.
    answered: Notify,
    /// Something of the release runs by a lease.
    leased: AtomicBool,
    lease: Lease,
    /// When a person last asked to reconcile at once.
    reconcile: watch::Sender<Option<Timestamp>>,
}

impl Uplink {
    pub(crate) fn new(config: &Config, registration: Registration, seen: Mark) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            connection: Connection::new(config)?,
            leads: config.leads.clone(),
            current: AtomicUsize::new(0),
            token_file: config.token_file.clone(),
            cluster: config.cluster.clone(),
            registration: Mutex::new(registration),
            renamed: Notify::new(),
            seen: Mutex::new(seen),
            outbox: Mutex::default(),
            filled: Notify::new(),
            hints: watch::Sender::new(None),
            heard: Mutex::new(None),
            answered: Notify::new(),
            leased: AtomicBool::new(false),
            lease: Lease::new(),
            reconcile: watch::Sender::new(None),
        }))
    }

    pub(crate) fn hints(&self) -> watch::Receiver<Option<ReleaseHint>> {
        self.hints.subscribe()
    }

    pub(crate) fn reconcile(&self) -> watch::Receiver<Option<Timestamp>> {
        self.reconcile.subscribe()
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Whether a lead is to vouch for something.
    pub(crate) fn needs_lease(&self, leased: bool) {
        if !self.leased.swap(leased, Ordering::Relaxed) && leased {
            // What is asked now did not ask for it.
            self.renamed.notify_one();
        }
    }

    fn leased(&self) -> bool {
        self.leased.load(Ordering::Relaxed)
    }

    /// How long a lead may wait with its answer: who needs a lease soon, as after a lead that hung, has no time.
    fn patience(&self, interval: Duration) -> Duration {
        if self.leased() && self.lease.is_ending() { Duration::ZERO } else { interval }
    }

    /// Hands over the newest state; it is sent as soon as the one before is acknowledged.
    pub(crate) fn report(&self, report: Report) {
        lock(&self.outbox).put(report);
        self.filled.notify_one();
    }

    /// An event goes out with the next report.
    pub(crate) fn event(&self, event: ReportedEvent) {
        lock(&self.outbox).event(event);
    }

    pub(crate) fn saw(&self, mark: Mark) {
        *lock(&self.seen) = mark;
    }

    pub(crate) fn cluster_is(&self, kubernetes_version: &str) {
        lock(&self.registration).kubernetes_version = kubernetes_version.into();
        self.renamed.notify_one();
    }

    /// How long no lead has answered; `None` before the first answer.
    pub(crate) fn silence(&self) -> Option<Duration> {
        lock(&self.heard).map(|heard| heard.elapsed())
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        if self.leads.is_empty() {
            // Nobody ever vouches for anything.
            return self.lease.run().await;
        }
        futures::join!(self.listen(), self.tell(), self.lease.run());
    }

    /// Registers, then hangs on the long poll; every answer may bring the hint of a release.
    async fn listen(&self) {
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MAX);
        let (mut interval, mut silent) = (HEARTBEAT, false);
        let mut registered: Option<Registration> = None;
        let mut registered_at = None;
        loop {
            let start = Instant::now();
            let current = lock(&self.registration).clone();
            let beat = registered.as_ref() == Some(&current);
            let call = async {
                match beat {
                    true => self.heartbeat(self.patience(interval)).await,
                    false => self.put("registration", &current).await,
                }
            };
            let call = tokio::select! {
                call = call => call,
                () = self.renamed.notified() => continue,
            };
            match call {
                Ok(grant) => {
                    backoff.succeeded();
                    if std::mem::take(&mut silent) {
                        info!("a lead answers again");
                    }
                    if !beat {
                        registered_at = Some(start);
                        lock(&self.outbox).tell_all();
                        self.filled.notify_one();
                    }
                    registered = (!grant.register).then_some(current);
                    let longest = if self.leased() { LEASE / 6 } else { HEARTBEAT_MAX };
                    interval = Duration::from_millis(grant.heartbeat_ms.max(200)).min(longest);
                    let news = self.take_hint(grant.release);
                    let since = if grant.register { registered_at } else { beat.then_some(start) };
                    if !news && let Some(since) = since {
                        tokio::time::sleep(pause(interval, since.elapsed())).await;
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut silent, true) {
                        warn!(%error, "lead lost, will retry");
                    }
                    self.wait(backoff.failed()).await;
                }
            }
        }
    }

    /// Before the next attempt. A cluster whose reports arrive must not count as lost since its heartbeats wait.
    async fn wait(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.answered.notified() => {}
        }
    }

    /// True if the release is another than the one seen last. It counts as seen from now on: what becomes of it is
    /// for the rest of the agent to worry about, and a poll that named the old one would be answered at once.
    fn take_hint(&self, hint: Option<ReleaseHint>) -> bool {
        let Some(hint) = hint else { return false };
        let mut seen = lock(&self.seen);
        let news = hint.generation != seen.generation || hint.digest != seen.digest;
        if news {
            (seen.generation, seen.digest) = (hint.generation, hint.digest.clone());
            drop(seen);
            self.hints.send_replace(Some(hint));
        }
        news
    }

    /// Sends what lies in the outbox, one report at a time.
    async fn tell(&self) {
        let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MAX);
        let mut failing = false;
        loop {
            self.filled.notified().await;
            // The lock ends before the wait.
            let next = || lock(&self.outbox).to_send();
            while let Some((report, last)) = next() {
                match self.put("report", &report).await {
                    Ok(Grant { repeat: true, .. }) => {
                        info!(seq = report.seq, "the leads know something else; everything is reported");
                        lock(&self.outbox).tell_all();
                        tokio::time::sleep(backoff.failed()).await;
                    }
                    Ok(_) => {
                        backoff.succeeded();
                        failing = false;
                        debug!(seq = report.seq, "report acknowledged");
                        lock(&self.outbox).arrived(report.seq, last);
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut failing, true) {
                            warn!(%error, seq = report.seq, "report not delivered, will retry with the newest");
                        }
                        self.wait(backoff.failed()).await;
                    }
                }
            }
        }
    }

    async fn heartbeat(&self, wait: Duration) -> Result<Grant, Error> {
        let incarnation = lock(&self.registration).incarnation;
        let body = {
            let seen = lock(&self.seen);
            let digest = (!seen.digest.is_empty()).then(|| seen.digest.clone());
            let leased = self.leased();
            Heartbeat { incarnation, digest, generation: seen.generation, leased }
        };
        let path = format!("heartbeat?wait={}ms", wait.as_millis());
        let asked = lease::now();
        let post = |url| self.connection.client().post(url).json(&body).timeout(wait + ANSWER_TIMEOUT);
        let grant: Grant = self.call(&path, post).await?;
        if let Some(lasts) = grant.lease_ms {
            self.lease.granted(asked, Duration::from_millis(lasts));
        }
        self.reconcile.send_if_modified(|known| {
            let news = *known != grant.reconcile;
            *known = grant.reconcile;
            news
        });
        Ok(grant)
    }

    /// The files of a release that a lead has named, if one hands them on. Git has them all the same.
    pub(crate) async fn release(&self, commit: &str) -> Option<ReleaseFolder> {
        let get = |url| self.connection.client().get(url).timeout(RELAY_TIMEOUT);
        let answer = async {
            let (_, url) = self.lead("release")?;
            let mut response = self.send(get(url)).await?;
            let unreachable = |error: reqwest::Error| Error::Unreachable(text(&error));
            let mut bytes = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(unreachable)? {
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > LIMITS.total_bytes {
                    return Err(Error::Unreachable("the release is larger than an agent accepts".into()));
                }
            }
            serde_json::from_slice(&bytes).map_err(|error| Error::Unreachable(error.to_string()))
        };
        match answer.await {
            Ok(folder) => Some(folder).filter(|folder: &ReleaseFolder| folder.commit == commit),
            Err(error) => {
                debug!(%error, "the lead does not hand the release on; asking git");
                None
            }
        }
    }

    /// Whom this cluster measures the round trip to; `None` while no lead says so.
    pub(crate) async fn neighbours(&self) -> Option<Neighbours> {
        if self.leads.is_empty() {
            return None;
        }
        let get = |url| self.connection.client().get(url).timeout(RELAY_TIMEOUT);
        let (_, url) = self.lead("neighbours").ok()?;
        let response = self.send(get(url)).await.ok()?;
        response.json().await.ok()
    }

    async fn put(&self, what: &str, body: &impl Serialize) -> Result<Grant, Error> {
        self.call(what, |url| self.connection.client().put(url).json(body).timeout(ANSWER_TIMEOUT)).await
    }

    /// Asks the current lead, and turns to the next one if it does not answer.
    async fn call(&self, what: &str, request: impl Fn(Url) -> RequestBuilder) -> Result<Grant, Error> {
        let (current, url) = self.lead(what)?;
        let answer = async {
            let response = self.send(request(url)).await?;
            response.json().await.map_err(|error| Error::Unreachable(text(&error)))
        };
        let answer = answer.await;
        match &answer {
            Ok(_) => {
                *lock(&self.heard) = Some(Instant::now());
                self.answered.notify_waiters();
            }
            // Several calls may fail at once; only the first of them turns.
            Err(_) => drop(self.current.compare_exchange(
                current,
                current + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            )),
        }
        answer
    }

    /// The number of the lead that this agent stays with, and where it takes calls of this kind.
    fn lead(&self, what: &str) -> Result<(usize, Url), Error> {
        let current = self.current.load(Ordering::Relaxed);
        let lead = &self.leads[current % self.leads.len()];
        let base = lead.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}/v1alpha1/clusters/{}/{what}", self.cluster));
        Ok((current, url.map_err(|error| Error::Unreachable(error.to_string()))?))
    }

    async fn send(&self, mut request: RequestBuilder) -> Result<Response, Error> {
        if let Some(path) = &self.token_file {
            let token = std::fs::read_to_string(path)
                .map_err(|error| Error::File { path: path.clone(), why: error.to_string() })?;
            request = request.bearer_auth(token.trim());
        }
        let response = request.send().await.map_err(|error| Error::Unreachable(text(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let message = match response.json::<Problem>().await {
            Ok(problem) => format!("{}: {}", problem.reason, problem.message),
            Err(_) => status.canonical_reason().unwrap_or("no reason given").into(),
        };
        Err(Error::Refused { code: status.as_u16(), message })
    }
}

/// How long after a call the next one of its kind waits: a lead that does not hold the poll, or that asks again and
/// again for a registration, must not be asked in a loop. The first poll after a registration does not wait, for a
/// release that is published meanwhile could not be heard of.
fn pause(interval: Duration, passed: Duration) -> Duration {
    interval.saturating_sub(passed).min(interval / 2)
}

/// The innermost reason is the one that helps.
pub(crate) fn text(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let url = error.url().map(|url| format!("{}: ", url.origin().ascii_serialization())).unwrap_or_default();
    format!("{url}{innermost}")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no thread panics while it holds this lock")
}
