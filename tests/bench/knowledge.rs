//! Commands of the Knowledge Base: three leads as processes, each write on the disks of a majority.

use std::time::{Duration, Instant};

use qonnect_tests::leads::Leads;
use qonnect_tests::speakers::{register, report};
use tokio::task::JoinSet;

use crate::figures::{Figures, ms};

/// Agents that report at the same time, as after a new revision.
const AGENTS: usize = 64;

const TIME: Duration = Duration::from_secs(10);

pub(crate) fn measure(figures: &mut Figures) {
    if !figures.wants(&["kb_commands_per_s", "kb_command_p99_ms"]) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
    let (mut times, took) = runtime.block_on(reports());
    times.sort();
    figures.add("kb_commands_per_s", times.len() as f64 / took.as_secs_f64(), "1/s");
    let rank = (times.len() * 99).div_ceil(100).saturating_sub(1);
    figures.add("kb_command_p99_ms", ms(times[rank]), "ms");
}

/// How long each report took to be acknowledged, and all of them together.
async fn reports() -> (Vec<Duration>, Duration) {
    let mut leads = Leads::new("bench-commands", 3);
    let clusters = leads.add_clusters(AGENTS);
    leads.start_all().await;
    let clients: Vec<_> = leads.names().iter().map(|name| leads.client(&[name])).collect();
    for (number, cluster) in clusters.iter().enumerate() {
        register(&clients[number % clients.len()], cluster, 1).await.expect("the leads take it in");
    }
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for (number, cluster) in clusters.into_iter().enumerate() {
        let lead = clients[number % clients.len()].clone();
        tasks.spawn(async move {
            let mut times = Vec::new();
            while start.elapsed() < TIME {
                let asked = Instant::now();
                let seq = times.len() as u64 + 1;
                report(&lead, &cluster, 1, seq).await.expect("the leads take it in");
                times.push(asked.elapsed());
            }
            times
        });
    }
    let times = tasks.join_all().await.concat();
    (times, start.elapsed())
}
