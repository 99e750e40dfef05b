//! Agents in miniature: they register and report through the real API, and remember what was acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use qonnect::api::client::{Client, Error};
use qonnect_schema::Snapshot;
use qonnect_schema::api::{Grant, Registration, Report};
use qonnect_schema::documents::snapshot::{ComponentStatus, Health};
use reqwest::Method;
use tokio::task::JoinSet;

use crate::wait::wait_for;

/// A lead that hangs is left for the next one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// After an error: an election takes about a second.
const RETRY: Duration = Duration::from_millis(50);

/// By cluster: the incarnation and the number of the newest acknowledged report.
pub type Acknowledged = BTreeMap<String, (u64, u64)>;

/// One task for each cluster. They fall silent when this is dropped.
#[derive(Debug)]
pub struct Speakers {
    told: Arc<Told>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Told {
    acknowledged: Mutex<Acknowledged>,
    count: AtomicU64,
    /// When the last acknowledgement came, and the longest time without one.
    last: Mutex<(Instant, Duration)>,
}

impl Speakers {
    /// Each cluster with the leads that it knows, one client for each; a report follows the one before after `pause`.
    pub fn start(clusters: Vec<(String, Vec<Client>)>, pause: Duration) -> Self {
        let told = Arc::new(Told {
            acknowledged: Mutex::default(),
            count: AtomicU64::new(0),
            last: Mutex::new((Instant::now(), Duration::ZERO)),
        });
        let mut tasks = JoinSet::new();
        for (number, (cluster, leads)) in clusters.into_iter().enumerate() {
            tasks.spawn(speak(cluster, leads, number, pause, told.clone()));
        }
        Self { told, _tasks: tasks }
    }

    pub fn acknowledged(&self) -> Acknowledged {
        self.told.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The longest time in which nobody was acknowledged anything.
    pub fn longest_pause(&self) -> Duration {
        let (last, longest) = *self.told.last.lock().unwrap_or_else(PoisonError::into_inner);
        longest.max(last.elapsed())
    }

    /// Waits for so many more acknowledgements.
    pub async fn go_on(&self, more: u64, patience: Duration) {
        let before = self.told.count.load(Ordering::Relaxed);
        wait_for(&format!("{more} more acknowledgements"), patience, async || {
            let now = self.told.count.load(Ordering::Relaxed);
            if now >= before + more { Ok(()) } else { Err(format!("{before}, then {now}")) }
        })
        .await;
    }
}

async fn speak(cluster: String, leads: Vec<Client>, first: usize, pause: Duration, told: Arc<Told>) {
    // A later start outranks an earlier one, also that of another run.
    let incarnation = jiff::Timestamp::now().as_millisecond().unsigned_abs();
    let (mut lead, mut seq, mut registered) = (first % leads.len(), 1, false);
    loop {
        let said = async {
            match registered {
                false => register(&leads[lead], &cluster, incarnation).await,
                true => report(&leads[lead], &cluster, incarnation, seq).await,
            }
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, said).await {
            Ok(Ok(grant)) if registered && grant.register => registered = false,
            Ok(Ok(_)) if !registered => registered = true,
            Ok(Ok(_)) => {
                told.acknowledge(&cluster, incarnation, seq);
                seq += 1;
                tokio::time::sleep(pause).await;
            }
            // The same report again, at another lead: its number keeps it from counting twice.
            _ => {
                lead = (lead + 1) % leads.len();
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

pub async fn register(lead: &Client, cluster: &str, incarnation: u64) -> Result<Grant, Error> {
    let registration =
        Registration { incarnation, agent_version: "0.1.0".into(), kubernetes_version: "1.33".into() };
    lead.call(Method::PUT, &format!("/v1alpha1/clusters/{cluster}/registration"), &registration).await
}

/// Says something new each time, which makes nobody plan again.
pub async fn report(lead: &Client, cluster: &str, incarnation: u64, seq: u64) -> Result<Grant, Error> {
    let component = ComponentStatus {
        application: "spoken".into(),
        component: "word".into(),
        generation: seq,
        health: Health::Ready,
        reason: String::new(),
        message: String::new(),
        objects: 1,
    };
    let report = Report { incarnation, seq, components: vec![component], ..Report::default() };
    lead.call(Method::PUT, &format!("/v1alpha1/clusters/{cluster}/report"), &report).await
}

impl Told {
    fn acknowledge(&self, cluster: &str, incarnation: u64, seq: u64) {
        let mut acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.insert(cluster.into(), (incarnation, seq));
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (Instant::now(), last.1.max(last.0.elapsed()));
    }
}

/// Panics unless a lead, asked for everything that was acknowledged, knows all of it.
pub async fn known(name: &str, lead: &Client, acknowledged: &Acknowledged, patience: Duration) {
    let snapshot: Snapshot = wait_for(&format!("a linearizable read at {name}"), patience, async || {
        let path = "/v1alpha1/snapshot?consistency=linearizable";
        lead.call(Method::GET, path, &()).await.map_err(|error| error.to_string())
    })
    .await;
    for (cluster, acknowledged) in acknowledged {
        let known = snapshot.spec.clusters.get(cluster).map(|state| (state.incarnation, state.seq));
        assert!(
            known.is_some_and(|known| known >= *acknowledged),
            "{name} lost {acknowledged:?} of {cluster}: it knows {known:?}"
        );
    }
}
