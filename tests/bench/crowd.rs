//! What one lead takes for fleets of a thousand and of five thousand agents, should all of them turn to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use qonnect_schema::api::{Grant, Heartbeat};
use qonnect_tests::leads::Leads;
use qonnect_tests::speakers::{register, report};
use reqwest::Client;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::agents::{at_rest, cpu};
use crate::figures::Figures;

const SIZES: [usize; 2] = [1_000, 5_000];

/// Agents that register at the same time: what a lead is asked at once after its start.
const AT_ONCE: usize = 64;

/// Some heartbeats of each agent.
const TIME: Duration = Duration::from_secs(30);

/// A poll that is not answered within this time has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn measure(figures: &mut Figures) {
    for agents in SIZES {
        let (memory, processor) =
            (format!("lead_rss_{agents}_agents_mib"), format!("lead_cpu_{agents}_agents_cores"));
        if !figures.wants(&[&memory, &processor]) {
            continue;
        }
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
        let (mib, cores) = runtime.block_on(crowd(agents));
        figures.add(&memory, mib, "MiB");
        figures.add(&processor, cores, "cores");
    }
}

/// Resident memory, and processor time by time, while agents give signs of life.
async fn crowd(agents: usize) -> (f64, f64) {
    let mut leads = Leads::new("bench-crowd", 1);
    let clusters = leads.add_clusters(agents);
    leads.start_all().await;
    let client = leads.client(&["lead-1"]);
    let (slots, mut tasks) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for cluster in clusters.clone() {
        let (slots, client) = (slots.clone(), client.clone());
        tasks.spawn(async move {
            let _slot = slots.acquire().await.expect("nobody closes it");
            register(&client, &cluster, 1).await.expect("the lead takes it in");
            report(&client, &cluster, 1, 1).await.expect("the lead takes it in");
        });
    }
    tasks.join_all().await;

    let (beats, mut tasks) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
    let http = Client::builder().no_proxy().tcp_nodelay(true).build().expect("a client can be had");
    for cluster in clusters {
        let url = format!("{}/v1alpha1/clusters/{cluster}/heartbeat", leads.url("lead-1"));
        tasks.spawn(live(http.clone(), url, beats.clone()));
    }
    // Everybody has a connection of its own, and waits.
    let start = Instant::now();
    while beats.load(Ordering::Relaxed) < agents as u64 {
        assert!(start.elapsed() < PATIENCE, "{} of {agents} were heard", beats.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let lead = leads.process("lead-1").id();
    let (before, start) = (cpu(lead), Instant::now());
    tokio::time::sleep(TIME).await;
    let cores = (cpu(lead) - before).as_secs_f64() / start.elapsed().as_secs_f64();
    (at_rest(lead).await, cores)
}

/// As an agent does: it waits at the lead for news, as long as it was told to, and asks again.
async fn live(http: Client, url: String, beats: Arc<AtomicU64>) {
    let (mut wait, mut heartbeat) =
        (1, Heartbeat { incarnation: 1, digest: None, generation: 0, leased: false });
    loop {
        let asked = http.post(format!("{url}?wait={wait}ms")).json(&heartbeat).timeout(PATIENCE);
        let answer = asked.send().await.expect("the lead answers");
        let grant: Grant = answer.json().await.expect("it grants a lease");
        wait = grant.heartbeat_ms;
        // Who does not say what it has seen is told of it at once, again and again.
        if let Some(release) = grant.release {
            (heartbeat.digest, heartbeat.generation) = (Some(release.digest), release.generation);
        }
        beats.fetch_add(1, Ordering::Relaxed);
    }
}
