//! From the death of clusters to what runs elsewhere: nine with their agents, and a hundred of a thousand at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::{Duration, Instant};

use qonnect_core::decision::{self, Deployed, Input, Rendered};
use qonnect_core::placement::{self, ApplicationPlan, Plan, Planner, Touched};
use qonnect_schema::documents::placement::PlacementSpec;
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::{Epoch, Placement, SnapshotSpec};
use qonnect_tests::simulated::Simulated;

use crate::figures::{Figures, ms};
use crate::{pushes, scale};

/// What the fleet waits before a silent cluster counts as lost; the rest is ours. One that dies soon after another
/// does not wait for its batch as well.
const LEASE: &str =
    "lease: {heartbeat: 500ms, suspectAfter: 1500ms, lostAfter: 3s}\n  failover: {batch: {every: 1s}}";
const LOST_AFTER: Duration = Duration::from_secs(3);

const DEATHS: usize = 20;
const MANY: usize = 60;

/// Fine enough for milliseconds, and cheap.
const LOOK: Duration = Duration::from_millis(2);

/// More than any failover takes; beyond it something is broken, not slow.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn measure(figures: &mut Figures) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
    if figures.wants(&["failover_extra_p50_ms", "failover_extra_p99_ms"]) {
        let mut extras = runtime.block_on(deaths());
        figures.add_percentiles("failover_extra", &mut extras);
    }
    if figures.wants(&["failover_60_last_extra_ms"]) {
        figures.add("failover_60_last_extra_ms", ms(runtime.block_on(sixty())), "ms");
    }
    if figures.wants(&["mass_failover_first_batch_ms", "mass_failover_commits"]) {
        let (first, commits) = masses();
        figures.add("mass_failover_first_batch_ms", ms(first), "ms");
        figures.add("mass_failover_commits", commits as f64, "");
    }
}

async fn nine(name: &str, more: impl FnOnce(&qonnect_tests::git::Checkout)) -> Simulated {
    let running = Simulated::start(name, |checkout| {
        checkout.edit("fleet.yaml", qonnect_tests::simulated::SHORT_LEASE, LEASE);
        more(checkout);
    })
    .await;
    running.world.settled(PATIENCE).await;
    running
}

/// The cluster where `reviews` runs dies again and again.
async fn deaths() -> Vec<Duration> {
    let mut running = nine("bench-failover", |_| {}).await;
    let mut extras = Vec::new();
    for _ in 0..DEATHS {
        let dead = running.world.settled(PATIENCE).await["bookinfo/reviews"].clone();
        let start = Instant::now();
        running.kill(&dead);
        let elsewhere = |places: &BTreeMap<String, BTreeSet<String>>| {
            places.get("reviews").is_some_and(|on| on.iter().any(|cluster| *cluster != dead))
        };
        extras.push(until(&running, start, elsewhere).await.saturating_sub(LOST_AFTER));
        running.revive(&dead).await;
        let cleaned = |places: &BTreeMap<String, BTreeSet<String>>| {
            places.values().all(|on| on.len() == 1) && places.values().all(|on| !on.contains(&dead))
        };
        until(&running, Instant::now(), cleaned).await;
        running
            .statuses("all to be Ready", |seen| seen.values().all(|one| *one == ClusterStatus::Ready))
            .await;
    }
    extras
}

/// Sixty components on the one cluster that dies.
async fn sixty() -> Duration {
    let mut running = nine("bench-failover-60", |checkout| {
        let mut components = String::new();
        for number in 0..MANY {
            let name = format!("c{number}");
            writeln!(components, "    - {{name: {name}, manifests: [{name}.yaml], tiers: [edge]}}")
                .expect("a string takes all that is written");
            checkout.write(&format!("apps/many/{name}.yaml"), pushes::deployment(&name, 0));
        }
        checkout.write("apps/many/application.yaml", pushes::application("many", &components));
        // Room for all of them, wherever they go.
        for cluster in ["edge-cost", "edge-energy", "edge-performance"] {
            checkout.edit(&format!("clusters/{cluster}.yaml"), "cpu: ", "pods: 250, cpu: ");
        }
    })
    .await;
    let dead = running.world.settled(PATIENCE).await["many/c0"].clone();
    let start = Instant::now();
    running.kill(&dead);
    let all = |places: &BTreeMap<String, BTreeSet<String>>| {
        (0..MANY).all(|number| {
            places.get(&format!("c{number}")).is_some_and(|on| on.iter().any(|cluster| *cluster != dead))
        })
    };
    until(&running, start, all).await.saturating_sub(LOST_AFTER)
}

async fn until(
    running: &Simulated,
    start: Instant,
    seen: impl Fn(&BTreeMap<String, BTreeSet<String>>) -> bool,
) -> Duration {
    while !seen(&running.deployments()) {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}\n{}", running.world.tails());
        tokio::time::sleep(LOOK).await;
    }
    start.elapsed()
}

/// A tenth of a thousand clusters at once, ten thousand components: the brake is released. Time from the loss to the
/// draft of the first commit, all objects rendered, and how many commits it takes.
fn masses() -> (Duration, usize) {
    let (revision, mut snapshot) = scale::world(10_000, 1_000);
    let mut planner = Planner::new(&revision, &snapshot);
    let mut plan = planner.plan();
    snapshot.placements = placements(&plan);
    let mut deployed = Deployed::default();
    let mut releases = BTreeMap::new();
    let none = BTreeSet::new();
    let mut rendered = Rendered::default();
    let mut publish =
        |plan: &Plan,
         snapshot: &mut SnapshotSpec,
         deployed: &mut Deployed,
         releases: &mut BTreeMap<String, qonnect_schema::api::ReleaseHint>| {
            let (epoch, group) = (Epoch { era: 0, term: 1, node: 1 }, "bench");
            let input = Input {
                revision: &revision,
                frozen: &none,
                plan,
                snapshot,
                releases,
                deployed,
                epoch,
                group,
                withheld: &BTreeSet::new(),
            };
            let draft = decision::decide(&input, &mut rendered)?;
            let at = Instant::now();
            let commit = format!("c{}", snapshot.index);
            deployed.advance(commit.clone(), draft.time, &draft.files);
            for (cluster, release) in &draft.releases {
                let hint = qonnect_schema::api::ReleaseHint {
                    commit: commit.clone(),
                    generation: release.generation,
                    digest: release.digest.clone(),
                };
                releases.insert(cluster.clone(), hint);
            }
            for (name, placement) in draft.placements {
                snapshot.placements.insert(name, placement.expect("nothing is removed here"));
            }
            snapshot.index += 1;
            Some(at)
        };
    publish(&plan, &mut snapshot, &mut deployed, &mut releases);
    let dead: BTreeSet<String> = revision.clusters.keys().step_by(10).cloned().collect();
    for name in &dead {
        snapshot.clusters.get_mut(name).expect("it is known").status = ClusterStatus::Lost;
    }
    let start = Instant::now();
    let touched = Touched { clusters: dead.clone(), ..Touched::default() };
    for (name, changed) in planner.replan(&revision, &snapshot, &touched) {
        plan.applications.insert(name, changed.expect("no application is gone"));
    }
    let first = publish(&plan, &mut snapshot, &mut deployed, &mut releases).expect("something ran there");
    let first = first - start;
    let mut commits = 1;
    loop {
        let plan = placement::plan(&revision, &snapshot);
        if publish(&plan, &mut snapshot, &mut deployed, &mut releases).is_none() {
            break;
        }
        commits += 1;
        assert!(commits < 100, "it does not come to an end");
    }
    (first, commits)
}

fn placements(plan: &Plan) -> BTreeMap<String, Placement> {
    let placement = |(name, plan): (&String, &ApplicationPlan)| {
        let components = plan.components.clone();
        let spec = PlacementSpec { strategy: plan.strategy, components, ..PlacementSpec::default() };
        (name.clone(), Placement::new(name, spec))
    };
    plan.applications.iter().map(placement).collect()
}
