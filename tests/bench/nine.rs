//! Five hundred applications in one push, on nine real control planes with an agent each.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::Api;
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::layout::label;
use qonnect_schema::{Cluster, yaml};
use qonnect_tests::member::Member;
use qonnect_tests::world::World;

use crate::figures::{Figures, ms};
use crate::fleet;
use crate::pushes::{application, deployment};

const FIGURE: &str = "nine_real_500_apps_applied_ms";
const APPLICATIONS: usize = 500;
const CLUSTERS: usize = 9;
/// Beyond it something is broken, not slow.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(5);

pub(crate) fn measure(figures: &mut Figures) {
    if figures.wants(&[FIGURE]) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
        figures.add(FIGURE, ms(runtime.block_on(one_large_push())), "ms");
    }
}

/// From before `git push` until each application's Deployment is in the API server of some cluster.
async fn one_large_push() -> Duration {
    let files = fleet::grown(CLUSTERS, 0);
    let mut world = World::new("bench-nine");
    for (path, text) in &files {
        world.checkout.write(path, text);
    }
    let clusters = files.iter().filter(|(path, _)| path.starts_with("clusters/"));
    let clusters: Vec<Cluster> = clusters.map(|(_, text)| yaml::from_str(text).expect("a cluster")).collect();
    world.checkout.push("the fleet");
    world.start_lead().await;
    let members = join_all(clusters.iter().map(Member::start)).await;
    for member in &members {
        world.start_agent(member.plane.name(), &member.plane.kubeconfig_path());
    }
    until("every agent has reported", Instant::now(), &world, async || {
        let reported = world.clusters().await.unwrap_or_default();
        reported.iter().filter(|cluster| cluster.status == ClusterStatus::Ready).count() == CLUSTERS
    })
    .await;
    let applied = Applied::default();
    for member in &members {
        tokio::spawn(collect(member.plane.client().await, applied.clone()));
    }

    for number in 0..APPLICATIONS {
        let folder = format!("apps/app-{number}");
        let components = "    - {name: main, manifests: [main.yaml]}\n";
        let text = application(&format!("app-{number}"), components);
        world.checkout.write(&format!("{folder}/application.yaml"), &text);
        world.checkout.write(&format!("{folder}/main.yaml"), deployment("main", 0));
    }
    world.checkout.git(&["add", "--all"]);
    world.checkout.git(&["commit", "--quiet", "--message", "five hundred"]);
    let (checkout, start) = (world.checkout.clone(), Instant::now());
    let push =
        tokio::task::spawn_blocking(move || drop(checkout.git(&["push", "--quiet", "origin", "main"])));
    let all = async || applied.lock().expect("nobody panics").len() == APPLICATIONS;
    let time = until("all applications are applied", start, &world, all).await;
    push.await.expect("git push does not panic");
    time
}

/// The namespaces of what was applied, on whichever cluster: each application has its own.
type Applied = Arc<Mutex<BTreeSet<String>>>;

/// Collects the Deployments that come, until it is dropped.
async fn collect(client: kube::Client, applied: Applied) {
    let ours = watcher::Config::default().labels(&format!("{}={}", label::MANAGED_BY, label::QONNECT));
    let mut events =
        watcher(Api::<PartialObjectMeta<Deployment>>::all(client), ours).default_backoff().boxed();
    while let Some(event) = events.next().await {
        if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
            applied.lock().expect("nobody panics").extend(object.metadata.namespace);
        }
    }
}

async fn until(what: &str, start: Instant, world: &World, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    while !holds().await {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}\n{}", world.tails());
        tokio::time::sleep(LOOK).await;
    }
    start.elapsed()
}
