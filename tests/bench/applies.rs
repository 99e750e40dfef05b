//! What an agent takes on a real API server, next to `kubectl apply --server-side` of the same files; and what it
//! fetches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams};
use qonnect::git_server::{self, GitServer};
use qonnect_git::{Credentials, Depth, Mirror, Remote};
use qonnect_schema::documents::release::{ReleaseSpec, ReleasedApplication};
use qonnect_schema::{Epoch, Release, layout, yaml};
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::process::{Process, run_command};
use qonnect_tests::proxy::Proxy;
use qonnect_tests::{folder, programs};
use serde_json::json;

use crate::agents::{at_rest, cpu};
use crate::figures::{Figures, ms};

const COUNTS: [usize; 3] = [100, 1_000, 4_000];
/// Beyond it something is broken, not slow.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(5);
/// Long enough for several rounds of whatever an idle agent does.
const IDLE: Duration = Duration::from_secs(30);
const CLUSTER: &str = "fog";
const BRANCH: &str = "qonnect/deploy";
const CLUSTERS: usize = 500;
const FETCH_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn measure(figures: &mut Figures) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
    for count in COUNTS {
        let name = format!("apply_{count}_ms");
        let at_a_thousand = ["agent_idle_mcpu_1000", "agent_rss_1000_objects_mib"];
        let wanted = figures.wants(&[&name]) || (count == 1_000 && figures.wants(&at_a_thousand));
        if !wanted {
            continue;
        }
        let applied = runtime.block_on(apply(count));
        match applied.kubectl {
            Some(kubectl) => figures.add_compared(&name, ms(applied.time), "ms", ms(kubectl)),
            None => figures.add(&name, ms(applied.time), "ms"),
        }
        if count == 1_000 {
            figures.add("agent_idle_mcpu_1000", applied.idle_mcpu, "mCPU");
            figures.add("agent_rss_1000_objects_mib", applied.resident_mib, "MiB");
        }
    }
    if figures.wants(&["fetch_bytes_one_line", "fetch_bytes_first_500_clusters"]) {
        let (first, line) = runtime.block_on(fetches());
        figures.add("fetch_bytes_first_500_clusters", first as f64, "B");
        figures.add("fetch_bytes_one_line", line as f64, "B");
    }
    let shipped = folder::repository().join("target/dist/qonnect-agent");
    if let Ok(metadata) = shipped.metadata() {
        figures.add("agent_binary_mib", metadata.len() as f64 / f64::from(1 << 20), "MiB");
    }
}

struct Applied {
    /// From the start of the process, as that of `kubectl` counts too.
    time: Duration,
    kubectl: Option<Duration>,
    idle_mcpu: f64,
    resident_mib: f64,
}

async fn apply(count: usize) -> Applied {
    let name = format!("bench-apply-{count}");
    let (plane, place) = (ControlPlane::start_api(&name).await, folder::fresh(&name));
    let repository = place.join("fleet.git");
    git(&place, &["init", "--quiet", "--bare", "fleet.git"]);
    git(&place, &["clone", "--quiet", "fleet.git", "work"]);
    publish(&place.join("work"), &[(CLUSTER.to_string(), objects("many", count))]);

    let config = json!({
        "cluster": CLUSTER, "data": place.join("data"), "kubeconfig": plane.kubeconfig_path(),
        "repository": {"url": repository, "branch": BRANCH},
    });
    std::fs::write(place.join("agent.yaml"), config.to_string()).expect("the folder can be written");
    let mut command = Command::new(programs::agent());
    command.arg("--config").arg(place.join("agent.yaml"));
    let client = plane.client().await;
    let start = Instant::now();
    let agent = Process::start("agent", command, &place.join("agent.log")).expect("the agent starts");
    until(&client, "many", count, start, &agent).await;
    let time = start.elapsed();

    let resident_mib = at_rest(agent.id()).await;
    let before = cpu(agent.id());
    tokio::time::sleep(IDLE).await;
    let idle_mcpu = (cpu(agent.id()) - before).as_secs_f64() * 1000.0 / IDLE.as_secs_f64();
    drop(agent);
    let kubectl = kubectl(&plane.kubeconfig_path(), &place, count);
    Applied { time, kubectl, idle_mcpu, resident_mib }
}

/// The same objects in another namespace; absent where there is no kubectl.
fn kubectl(kubeconfig: &Path, place: &Path, count: usize) -> Option<Duration> {
    let files = place.join("kubectl");
    std::fs::create_dir_all(&files).expect("the folder can be written");
    for (path, text) in objects("others", count) {
        std::fs::write(files.join(path.replace('/', "-")), text).expect("the folder can be written");
    }
    let run = |arguments: &[&str]| {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(kubeconfig).args(arguments);
        command.output()
    };
    run(&["create", "namespace", "others"]).ok()?;
    let start = Instant::now();
    let output = run(&["apply", "--server-side", "--force-conflicts", "-f", files.to_str()?]).ok()?;
    let time = start.elapsed();
    assert!(output.status.success(), "kubectl: {}", String::from_utf8_lossy(&output.stderr));
    Some(time)
}

async fn until(client: &kube::Client, namespace: &str, count: usize, start: Instant, agent: &Process) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    // One object and the number of the others, which older servers leave out of a list of metadata.
    let one = ListParams::default().limit(1);
    loop {
        let found = maps
            .list(&one)
            .await
            .map(|list| list.items.len() + list.metadata.remaining_item_count.unwrap_or_default() as usize);
        if found.as_ref().is_ok_and(|found| *found >= count) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{found:?} of {count} objects\n{}", agent.tail());
        tokio::time::sleep(LOOK).await;
    }
}

/// A namespace and its ConfigMaps, as a lead renders them, by path within the cluster's folder.
fn objects(namespace: &str, count: usize) -> BTreeMap<String, String> {
    let labels = "{app.kubernetes.io/managed-by: qonnect, app.kubernetes.io/part-of: many, \
                  qonnect.io/application: many, qonnect.io/component: main}";
    let mut files = BTreeMap::new();
    let text =
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {labels}}}\n");
    files.insert(format!("many/{}", layout::NAMESPACE), text);
    for at in 0..count {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: object-{at}, namespace: {namespace}, labels: {labels}}}\n\
             data: {{key: value, number: \"{at}\"}}\n"
        );
        files.insert(format!("many/main/{at:05}-configmap.yaml"), text);
    }
    files
}

/// Commits a release for each of the clusters and pushes it; returns the commit.
fn publish(work: &Path, clusters: &[(String, BTreeMap<String, String>)]) -> String {
    for (cluster, files) in clusters {
        let order = ReleasedApplication {
            application: "many".into(),
            namespace: "many".into(),
            components: vec!["main".into()],
            depends_on: BTreeMap::new(),
        };
        let spec = ReleaseSpec {
            generation: 1,
            epoch: Epoch { era: 1, term: 1, node: 1 },
            revision: "0123abc".into(),
            order: vec![order],
            removals: vec![],
            digest: layout::digest(files.iter().map(|(path, text)| (path.as_str(), text.as_bytes()))),
            decommissioned: false,
        };
        let release = yaml::to_string(&Release::new(cluster, spec)).expect("a release is YAML");
        let home = work.join(layout::cluster_folder(cluster));
        for (path, text) in files.iter().chain([(&layout::RELEASE.to_string(), &release)]) {
            let path = home.join(path);
            std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("it can be made");
            std::fs::write(path, text).expect("the folder can be written");
        }
    }
    git(work, &["add", "--all"]);
    git(work, &["commit", "--quiet", "--message", "release"]);
    git(work, &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{BRANCH}")]);
    git(work, &["rev-parse", "HEAD"]).trim().into()
}

/// Bytes that reach an agent: for its first fetch from a fleet of 500 clusters, and for a line that changed.
async fn fetches() -> (u64, u64) {
    let place = folder::fresh("bench-fetch");
    let repositories = place.join("repositories");
    std::fs::create_dir_all(&repositories).expect("the folder can be written");
    git_server::create(&repositories, "fleet.git").await.expect("a repository can be made");
    let server =
        GitServer::start(&repositories, ([127, 0, 0, 1], 0).into(), |_| {}).await.expect("git is served");
    git(&place, &["clone", "--quiet", &server.url("fleet.git"), "work"]);
    let mut clusters: Vec<_> =
        (0..CLUSTERS).map(|at| (format!("cluster-{at}"), objects(&format!("many-{at}"), 10))).collect();
    let first = publish(&place.join("work"), &clusters);
    let proxy = Proxy::start(server.addr).await;
    let remote = Remote::new(format!("http://{}/fleet.git", proxy.address), Credentials::None);
    let received = || proxy.received();
    let fetch = |mirror: Option<Mirror>, commit: String| {
        let (path, remote): (PathBuf, Remote) = (place.join("clone"), remote.clone());
        tokio::task::spawn_blocking(move || {
            let mut mirror =
                mirror.unwrap_or_else(|| Mirror::open(&path, remote).expect("a clone can be made"));
            mirror.fetch_commit(BRANCH, &commit, Depth::Shallow, FETCH_TIMEOUT).expect("git answers");
            mirror
        })
    };
    let mirror = fetch(None, first).await.expect("it does not panic");
    let first_bytes = received();
    let text = clusters[7].1.get_mut("many/main/00003-configmap.yaml").expect("it was rendered");
    *text = text.replace("key: value", "key: another");
    let second = publish(&place.join("work"), &clusters[7..8]);
    let mirror = fetch(Some(mirror), second).await.expect("it does not panic");
    let line_bytes = received() - first_bytes;
    // It blocks, and so does its end.
    tokio::task::spawn_blocking(move || drop(mirror)).await.expect("it does not panic");
    (first_bytes, line_bytes)
}

fn git(place: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(place).args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "bench").env(format!("GIT_{role}_EMAIL"), "bench@localhost");
    }
    run_command(command)
}
