//! From a push of the ordinary git to what it changes in the clusters.

use std::fmt::Write;
use std::time::{Duration, Instant};

use qonnect::sim::Fleet;
use qonnect_schema::manifest::ObjectId;

use crate::figures::{Figures, ms};
use crate::fleet::{self, Files};
use crate::loops::Loop;

const PUSHES: u32 = 50;
const APPLICATIONS: usize = 500;
const CLUSTERS: usize = 9;

pub(crate) fn measure(figures: &mut Figures) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
    let percentiles =
        ["push_committed_p50_ms", "push_committed_p99_ms", "push_applied_p50_ms", "push_applied_p99_ms"];
    if figures.wants(&percentiles) {
        let (mut committed, mut applied) = runtime.block_on(many_small_pushes());
        figures.add_percentiles("push_committed", &mut committed);
        figures.add_percentiles("push_applied", &mut applied);
    }
    if figures.wants(&["push_500_apps_applied_ms"]) {
        let time = runtime.block_on(one_large_push());
        figures.add("push_500_apps_applied_ms", ms(time), "ms");
    }
}

/// Each push changes one Deployment on every cluster; the clock starts before `git push` does.
async fn many_small_pushes() -> (Vec<Duration>, Vec<Duration>) {
    let mut files = fleet::grown(CLUSTERS, 0);
    let clusters = names(&files);
    files.extend(everywhere(&clusters, 0));
    let running = Loop::start("bench-pushes", &files).await;
    let start = Instant::now();
    running.until("first release everywhere", start, |fleet| stands_at(fleet, &clusters, 0)).await;
    let (mut committed, mut applied) = (Vec::new(), Vec::new());
    for version in 1..=PUSHES {
        for (path, text) in everywhere(&clusters, version) {
            running.world.checkout.write(&path, text);
        }
        let before = running.world.tip(qonnect_tests::world::DEPLOY);
        let push = running.push();
        let at = push.start;
        let moved =
            running.until("commit", at, |_| running.world.tip(qonnect_tests::world::DEPLOY) != before).await;
        committed.push(moved);
        applied.push(running.until("release", at, |fleet| stands_at(fleet, &clusters, version)).await);
        push.ended().await;
    }
    (committed, applied)
}

/// Five hundred applications of one Deployment each, in one push to a fleet that is up and empty.
async fn one_large_push() -> Duration {
    let running = Loop::start("bench-500", &fleet::grown(CLUSTERS, 0)).await;
    for number in 0..APPLICATIONS {
        let folder = format!("apps/app-{number}");
        let components = "    - {name: main, manifests: [main.yaml]}\n";
        running
            .world
            .checkout
            .write(&format!("{folder}/application.yaml"), application(&format!("app-{number}"), components));
        running.world.checkout.write(&format!("{folder}/main.yaml"), deployment("main", 0));
    }
    let push = running.push();
    let all = |fleet: &Fleet| {
        let placed = |number: usize| {
            let id = deployment_id(&format!("app-{number}"), "main");
            fleet.members().iter().any(|member| member.object(&id).is_some())
        };
        (0..APPLICATIONS).all(placed)
    };
    let time = running.until("all applications", push.start, all).await;
    push.ended().await;
    time
}

fn names(files: &Files) -> Vec<String> {
    let names = files.keys().filter_map(|path| path.strip_prefix("clusters/")?.strip_suffix(".yaml"));
    names.map(String::from).collect()
}

/// One application with a component on each of the clusters.
fn everywhere(clusters: &[String], version: u32) -> Files {
    let mut components = String::new();
    let mut files = Files::new();
    for cluster in clusters {
        writeln!(
            components,
            "    - {{name: {cluster}, manifests: [{cluster}.yaml], \
             clusterSelector: {{matchLabels: {{qonnect.io/cluster: {cluster}}}}}}}"
        )
        .expect("a string takes all that is written");
        files.insert(format!("apps/everywhere/{cluster}.yaml"), deployment(cluster, version));
    }
    files.insert("apps/everywhere/application.yaml".into(), application("everywhere", &components));
    files
}

pub(crate) fn application(name: &str, components: &str) -> String {
    format!(
        "apiVersion: qonnect.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  \
         objectives: {{energy: 1}}\n  components:\n{components}"
    )
}

pub(crate) fn deployment(name: &str, version: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, annotations: {{version: \"{version}\"}}}}\n\
         spec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec:\n      containers:\n        - name: main\n          image: example.org/main:{version}\n          \
         resources: {{requests: {{cpu: 10m, memory: 8Mi}}}}\n"
    )
}

fn deployment_id(namespace: &str, name: &str) -> ObjectId {
    ObjectId {
        group: "apps".into(),
        kind: "Deployment".into(),
        namespace: namespace.into(),
        name: name.into(),
    }
}

fn stands_at(fleet: &Fleet, clusters: &[String], version: u32) -> bool {
    clusters.iter().all(|cluster| {
        let object =
            fleet.member(cluster).and_then(|member| member.object(&deployment_id("everywhere", cluster)));
        let found =
            object.as_ref().and_then(|object| object.pointer("/metadata/annotations/version")?.as_str());
        found == Some(&version.to_string())
    })
}
