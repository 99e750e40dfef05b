//! What an agent keeps in memory.

use std::fmt::Write;
use std::time::{Duration, Instant};

use qonnect_schema::manifest::ObjectId;

use crate::figures::Figures;
use crate::fleet;
use crate::loops::Loop;

const OBJECTS: usize = 100;
/// Between two looks at a process that comes to rest.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) fn measure(figures: &mut Figures) {
    if !figures.wants(&["agent_rss_idle_mib", "agent_rss_100_objects_mib"]) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
    let (idle, full) = runtime.block_on(one_cluster());
    figures.add("agent_rss_idle_mib", idle, "MiB");
    figures.add("agent_rss_100_objects_mib", full, "MiB");
}

async fn one_cluster() -> (f64, f64) {
    let running = Loop::start("bench-agent", &fleet::grown(1, 0)).await;
    let agent = running.world.agent_id(running.fleet.members()[0].name());
    let idle = at_rest(agent).await;
    let mut manifests = String::new();
    for number in 0..OBJECTS {
        write!(
            manifests,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: object-{number}}}\ndata: {{key: value}}\n"
        )
        .expect("a string takes all that is written");
    }
    let application = "apiVersion: qonnect.io/v1alpha1\nkind: Application\nmetadata: {name: many}\nspec:\n  \
        objectives: {energy: 1}\n  components:\n    - {name: main, manifests: [main.yaml]}\n";
    running.world.checkout.write("apps/many/application.yaml", application);
    running.world.checkout.write("apps/many/main.yaml", manifests);
    let push = running.push();
    let there = |number: usize| {
        let name = format!("object-{number}");
        let id = ObjectId { group: String::new(), kind: "ConfigMap".into(), namespace: "many".into(), name };
        running.fleet.members()[0].object(&id).is_some()
    };
    running.until("every object", Instant::now(), |_| (0..OBJECTS).all(there)).await;
    push.ended().await;
    (idle, at_rest(agent).await)
}

/// The resident memory in MiB once it has stopped changing.
pub(crate) async fn at_rest(process: u32) -> f64 {
    let mut last = 0;
    loop {
        let now = resident_kib(process);
        if now.abs_diff(last) < now / 100 {
            return now as f64 / 1024.0;
        }
        last = now;
        tokio::time::sleep(PAUSE).await;
    }
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("the agent runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse().expect("the kernel writes a number")
}

/// The processor time that a process has used so far.
pub(crate) fn cpu(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the agent runs");
    // After the name, which may hold anything, in parentheses: state is field 3, user and system time 14 and 15.
    let (_, rest) = stat.rsplit_once(')').expect("the kernel writes the name so");
    let ticks: u64 =
        rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}
