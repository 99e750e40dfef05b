//! How long nobody can write after the leader was killed: three leads, and three etcd with their default timers.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use qonnect_schema::api::Registration;
use qonnect_tests::folder;
use qonnect_tests::leads::{Leads, PATIENCE};
use qonnect_tests::ports::free_ports;
use qonnect_tests::process::Process;
use qonnect_tests::wait::wait_for;
use reqwest::{Client, Response};
use serde_json::{Value, json};

use crate::figures::{Figures, ms};

const KILLS: usize = 30;
/// A write that hangs is tried at the next survivor, here and there alike.
const WRITE_TIMEOUT: Duration = Duration::from_millis(200);
/// Between two writes: fine enough for a pause of a second.
const WRITE_PAUSE: Duration = Duration::from_millis(5);
const ETCD: &str = "/usr/bin/etcd";

pub(crate) fn measure(figures: &mut Figures) {
    if !figures.wants(&["reelection_pause_p50_ms", "reelection_pause_max_ms"]) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
    let mut ours = runtime.block_on(leads());
    let mut theirs = runtime.block_on(etcd());
    ours.sort();
    theirs.sort();
    let middle = |times: &[Duration]| ms(times[times.len() / 2]);
    let longest = |times: &[Duration]| ms(*times.last().expect("there was a kill"));
    figures.add_compared("reelection_pause_p50_ms", middle(&ours), "ms", middle(&theirs));
    figures.add_compared("reelection_pause_max_ms", longest(&ours), "ms", longest(&theirs));
}

async fn leads() -> Vec<Duration> {
    let mut leads = Leads::new("bench-elections", 3);
    leads.start_all().await;
    let client = Client::new();
    let mut incarnation = 0;
    let mut pauses = Vec::new();
    for _ in 0..KILLS {
        let killed = leads.leader().await;
        let survivors: Vec<_> =
            leads.names().into_iter().filter(|name| *name != killed).map(|name| leads.url(&name)).collect();
        let mut write = async |survivor: &str| {
            incarnation += 1;
            let body =
                Registration { incarnation, agent_version: "1".into(), kubernetes_version: "1".into() };
            let url = format!("{survivor}/v1alpha1/clusters/fog-cost/registration");
            accepted(client.put(url).json(&body).timeout(WRITE_TIMEOUT).send().await)
        };
        pauses.push(pause_after(&survivors, &mut write, || leads.kill(&killed)).await);
        leads.start(&killed);
        leads.ready(&killed).await;
    }
    pauses
}

async fn etcd() -> Vec<Duration> {
    let mut members = Members::start();
    let client = Client::new();
    let mut pauses = Vec::new();
    for _ in 0..KILLS {
        let killed = members.leader(&client).await;
        let survivors: Vec<_> =
            members.urls.iter().filter(|(name, _)| **name != killed).map(|(_, url)| url.clone()).collect();
        let mut write = async |survivor: &str| {
            let body = json!({"key": "a2V5", "value": "dmFsdWU="});
            let url = format!("{survivor}/v3/kv/put");
            accepted(client.post(url).json(&body).timeout(WRITE_TIMEOUT).send().await)
        };
        pauses.push(pause_after(&survivors, &mut write, || drop(members.running.remove(&killed))).await);
        members.launch(&killed);
    }
    pauses
}

fn accepted(answer: reqwest::Result<Response>) -> bool {
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// From the kill to the first write that a survivor accepts. Each survivor accepts writes before it.
async fn pause_after(
    survivors: &[String],
    write: &mut impl AsyncFnMut(&str) -> bool,
    kill: impl FnOnce(),
) -> Duration {
    for survivor in survivors {
        let start = Instant::now();
        while !write(survivor).await {
            assert!(start.elapsed() < PATIENCE, "{survivor} accepts nothing before the kill");
        }
    }
    let killed = Instant::now();
    kill();
    for survivor in survivors.iter().cycle() {
        if write(survivor).await {
            break;
        }
        assert!(killed.elapsed() < PATIENCE, "nobody leads after the kill");
        tokio::time::sleep(WRITE_PAUSE).await;
    }
    killed.elapsed()
}

/// Three etcd, with fsync and the timers that they come with.
struct Members {
    folder: std::path::PathBuf,
    urls: BTreeMap<String, String>,
    peers: BTreeMap<String, String>,
    running: BTreeMap<String, Process>,
}

impl Members {
    fn start() -> Self {
        let ports = free_ports(6);
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let names = || (1..=3).map(|number| format!("etcd-{number}"));
        let urls = names().zip(&ports).map(|(name, port)| (name, url(*port))).collect();
        let peers = names().zip(&ports[3..]).map(|(name, port)| (name, url(*port))).collect();
        let folder = folder::fresh("bench-etcd");
        let mut members = Self { folder, urls, peers, running: BTreeMap::new() };
        names().for_each(|name| members.launch(&name));
        members
    }

    fn launch(&mut self, name: &str) {
        let all: Vec<_> = self.peers.iter().map(|(name, url)| format!("{name}={url}")).collect();
        let (client, peer) = (&self.urls[name], &self.peers[name]);
        let mut command = Command::new(Path::new(ETCD));
        command
            .args(["--name", name, "--data-dir"])
            .arg(self.folder.join(name))
            .args(["--listen-client-urls", client, "--advertise-client-urls", client])
            .args(["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer])
            .args(["--initial-cluster", &all.join(","), "--log-level=warn"]);
        let log = self.folder.join(format!("{name}.log"));
        let process = Process::start(name, command, &log).expect("etcd is installed: `make setup`");
        self.running.insert(name.into(), process);
    }

    /// The leader, once all three agree on it.
    async fn leader(&self, client: &Client) -> String {
        wait_for("etcd to agree on a leader", PATIENCE, async || {
            let mut ids = BTreeMap::new();
            let mut leaders = Vec::new();
            for (name, url) in &self.urls {
                let asked = client.post(format!("{url}/v3/maintenance/status")).json(&json!({})).send().await;
                let status: Value = asked
                    .map_err(|error| error.to_string())?
                    .json()
                    .await
                    .map_err(|error| error.to_string())?;
                ids.insert(status["header"]["member_id"].to_string(), name.clone());
                leaders.push(status["leader"].to_string());
            }
            leaders.dedup();
            match &leaders[..] {
                [one] => ids.get(one).cloned().ok_or_else(|| format!("{one} is none of {ids:?}")),
                several => Err(format!("{several:?}")),
            }
        })
        .await
    }
}
