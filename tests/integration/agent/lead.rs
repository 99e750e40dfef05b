//! Stands in for a lead: hands out one hint and one release, keeps what the agent reports.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use jiff::Timestamp;
use qonnect_schema::Epoch;
use qonnect_schema::api::{
    Grant, Heartbeat, Neighbours, Registration, ReleaseFolder, ReleaseHint, Report, ReportedEvent,
};
use qonnect_schema::documents::snapshot::ComponentStatus;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const HEARTBEAT_MS: u64 = 1_000;

pub(super) struct Lead {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    hint: watch::Sender<Option<ReleaseHint>>,
    release: Mutex<Option<ReleaseFolder>>,
    /// As if each had told every node.
    reports: watch::Sender<Vec<Report>>,
    /// How many did.
    in_full: AtomicU64,
    /// The components that the newest report told as changes.
    changed: Mutex<Vec<ComponentStatus>>,
    /// It has lost what it was told.
    forgetful: AtomicBool,
    registration: Mutex<Option<Registration>>,
    neighbours: Mutex<Neighbours>,
    heartbeat_ms: AtomicU64,
    /// When somebody asked for a reconciliation.
    asked: Mutex<Option<Timestamp>>,
    /// For how long it vouches for what runs by a lease.
    lease: Mutex<Option<Duration>>,
}

impl Lead {
    pub(super) async fn start(listen: SocketAddr) -> Self {
        let listener = tokio::net::TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Shared { heartbeat_ms: HEARTBEAT_MS.into(), ..Shared::default() };
        let shared = Arc::new(shared);
        let router = Router::new()
            .route("/v1alpha1/clusters/fog/registration", put(register))
            .route("/v1alpha1/clusters/fog/heartbeat", post(heartbeat))
            .route("/v1alpha1/clusters/fog/report", put(report))
            .route("/v1alpha1/clusters/fog/release", get(release))
            .route("/v1alpha1/clusters/fog/neighbours", get(neighbours))
            .with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, task }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn hint(&self, hint: ReleaseHint) {
        self.shared.hint.send_replace(Some(hint));
    }

    /// What it answers to an agent that asks for its release.
    pub(super) fn hand_on(&self, folder: ReleaseFolder) {
        *self.shared.release.lock().unwrap() = Some(folder);
    }

    /// How often it wants to hear of the agent.
    pub(super) fn beat_every(&self, interval: Duration) {
        self.shared.heartbeat_ms.store(interval.as_millis() as u64, Ordering::Relaxed);
    }

    /// How many reports told every node.
    pub(super) fn in_full(&self) -> u64 {
        self.shared.in_full.load(Ordering::Relaxed)
    }

    /// The components that the newest report told as changes.
    pub(super) fn changed(&self) -> Vec<String> {
        self.shared.changed.lock().unwrap().iter().map(|status| status.component.clone()).collect()
    }

    /// Loses what it was told.
    pub(super) fn forget(&self) {
        self.shared.forgetful.store(true, Ordering::Relaxed);
    }

    pub(super) fn ask_to_reconcile(&self) {
        *self.shared.asked.lock().unwrap() = Some(Timestamp::now());
    }

    /// For so long each time from now on, or not at all.
    pub(super) fn vouch(&self, lease: Option<Duration>) {
        *self.shared.lease.lock().unwrap() = lease;
    }

    pub(super) fn registration(&self) -> Option<Registration> {
        self.shared.registration.lock().unwrap().clone()
    }

    /// To whom the agent is to measure the round trip.
    pub(super) fn neighbours(&self, places: &[(&str, String)]) {
        let clusters = places.iter().map(|(name, place)| (name.to_string(), place.clone())).collect();
        *self.shared.neighbours.lock().unwrap() = Neighbours { clusters };
    }

    /// Something of every report.
    pub(super) fn all<T>(&self, of: impl Fn(&Report) -> T) -> Vec<T> {
        self.shared.reports.borrow().iter().map(of).collect()
    }

    /// The newest report.
    pub(super) fn report(&self) -> Option<Report> {
        self.shared.reports.borrow().last().cloned()
    }

    /// How many have come.
    pub(super) fn reports(&self) -> usize {
        self.shared.reports.borrow().len()
    }

    /// Waits until so many more have come.
    pub(super) async fn more_reports(&self, number: usize) {
        let enough = self.reports() + number;
        let mut reports = self.shared.reports.subscribe();
        reports.wait_for(|reports| reports.len() >= enough).await.expect("the lead keeps its sender");
    }

    pub(super) fn events(&self) -> Vec<ReportedEvent> {
        let reports = self.shared.reports.borrow();
        reports.iter().flat_map(|report| report.events.clone()).collect()
    }

    pub(super) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn grant(&self) -> Json<Grant> {
        Json(Grant {
            epoch: Epoch { era: 1, term: 1, node: 1 },
            heartbeat_ms: self.heartbeat_ms.load(Ordering::Relaxed),
            register: false,
            repeat: false,
            lease_ms: None,
            reconcile: *self.asked.lock().unwrap(),
            release: self.hint.borrow().clone(),
        })
    }
}

async fn register(State(shared): State<Arc<Shared>>, Json(registration): Json<Registration>) -> Json<Grant> {
    *shared.registration.lock().unwrap() = Some(registration);
    shared.grant()
}

async fn heartbeat(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Json(heartbeat): Json<Heartbeat>,
) -> Json<Grant> {
    let longest = shared.heartbeat_ms.load(Ordering::Relaxed);
    let asked = uri.query().and_then(|query| query.strip_prefix("wait=")?.strip_suffix("ms")?.parse().ok());
    let differs = |hint: &Option<ReleaseHint>| {
        hint.as_ref().is_some_and(|hint| {
            hint.generation != heartbeat.generation || Some(&hint.digest) != heartbeat.digest.as_ref()
        })
    };
    let mut hints = shared.hint.subscribe();
    let wait = hints.wait_for(differs);
    drop(tokio::time::timeout(Duration::from_millis(longest.min(asked.unwrap())), wait).await);
    let lease = heartbeat.leased.then(|| *shared.lease.lock().unwrap()).flatten();
    let Json(grant) = shared.grant();
    Json(Grant { lease_ms: lease.map(|lease| lease.as_millis() as u64), ..grant })
}

async fn report(State(shared): State<Arc<Shared>>, Json(mut report): Json<Report>) -> Json<Grant> {
    let last = shared.reports.borrow().last().cloned();
    let known = last.filter(|_| !shared.forgetful.swap(false, Ordering::Relaxed)).unwrap_or_default();
    let repeat = || Json(Grant { repeat: true, ..shared.grant().0 });
    match report.node_changes.take() {
        None => drop(shared.in_full.fetch_add(1, Ordering::Relaxed)),
        Some(changes) => match changes.onto(&known.nodes.unwrap_or_default()) {
            Some(nodes) => report.nodes = Some(nodes),
            None => return repeat(),
        },
    }
    if let Some(changes) = report.component_changes.take() {
        match changes.onto(&known.components) {
            Some(components) => report.components = components,
            None => return repeat(),
        }
        *shared.changed.lock().unwrap() = changes.changed;
    }
    shared.reports.send_modify(|reports| reports.push(report));
    shared.grant()
}

async fn release(State(shared): State<Arc<Shared>>) -> Result<Json<ReleaseFolder>, StatusCode> {
    shared.release.lock().unwrap().clone().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn neighbours(State(shared): State<Arc<Shared>>) -> Json<Neighbours> {
    Json(shared.neighbours.lock().unwrap().clone())
}
