//! What is measured beside what Kubernetes tells: usage by `metrics.k8s.io` behind the real aggregator, power from a
//! real Prometheus, round trips to what the leads name.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::routing::get;
use axum::{Json, Router};
use axum_server::tls_rustls::RustlsConfig;
use k8s_openapi::api::core::v1::Service;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use qonnect_schema::documents::measured::Usage;
use qonnect_schema::units::{Bytes, Cpu};
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::kubelet::{Kubelets, NodeSpec};
use qonnect_tests::process::{Process, run_command};
use qonnect_tests::programs;
use qonnect_tests::proxy::{Fault, Proxy};
use qonnect_tests::wait::wait_for;
use serde_json::{Value, json};

use super::world::{PATIENCE, World};

const GROUP: &str = "/apis/metrics.k8s.io/v1beta1";

#[tokio::test(flavor = "multi_thread")]
async fn usage_power_and_round_trips_are_told_when_they_are_there_and_change() {
    let plane = ControlPlane::start_api("agent-measuring").await;
    let nodes = vec![NodeSpec::new("worker", "4", "4Gi")];
    let _kubelets = Kubelets::start(&plane.kubeconfig_path(), nodes).await;
    let mut world = World::start(plane).await;
    let (mut prometheus, place) = prometheus(&world).await;
    let far = Proxy::start(world.lead.address).await;
    far.set(Fault::Latency(Duration::from_millis(5)));
    world.lead.neighbours(&[("near", far.address.to_string()), ("gone", "no-such-host.invalid:443".into())]);
    std::fs::write(world.path("token"), "let-me-in\n").unwrap();
    world.configure(|config| {
        config["measure"] = json!({"every": "1s", "roundTrips": true, "power": {
            "url": format!("http://{place}"), "query": "sum by (node_name) (kepler_node_cpu_watts)", "tokenFile": "token",
        }});
    });
    world.start_agent();

    // Power and round trips; nobody serves usage yet, which is no fault.
    let usage = told(&world, "power", |usage| usage.watts.is_some()).await;
    assert_eq!(usage, Usage { watts: Some(37.5), ..Usage::default() });
    let trips = world
        .reported("a round trip", |report| {
            let trips = &report.measured.round_trips;
            (!trips.is_empty()).then(|| trips.clone()).ok_or("none".into())
        })
        .await;
    assert_eq!(trips.keys().collect::<Vec<_>>(), ["near"], "one that does not answer is not known");
    assert!(trips["near"].as_ms() < 1_000.0, "{trips:?}");

    assert!(world.ask("check").1.contains("ok       power: 1 nodes are measured"));

    // The metrics API comes and is found; what changes little is not told, what changes much is.
    let metrics = Metrics::start(&world).await;
    let usage = told(&world, "usage", |usage| usage.cpu.is_some()).await;
    assert_eq!((usage.cpu, usage.memory), (Some(Cpu(1_000)), Some(Bytes(512 << 20))));
    metrics.uses(1_040);
    metrics.is_asked_again().await;
    metrics.uses(2_000);
    told(&world, "more usage", |usage| usage.cpu == Some(Cpu(2_000))).await;
    let told_cpu = world.lead.all(|report| report.measured.usage.get("worker").and_then(|usage| usage.cpu));
    assert!(!told_cpu.contains(&Some(Cpu(1_040))), "{told_cpu:?}");

    // What is measured no longer is told no longer.
    prometheus.kill();
    told(&world, "no power", |usage| usage.watts.is_none()).await;
}

/// Waits until what is told of the node's usage fits.
async fn told(world: &World, what: &str, fits: impl Fn(&Usage) -> bool) -> Usage {
    world
        .reported(what, |report| {
            let usage = report.measured.usage.get("worker").copied().unwrap_or_default();
            fits(&usage).then_some(usage).ok_or(format!("{usage:?}"))
        })
        .await
}

/// A Prometheus that collects from an exporter with Kepler's names.
async fn prometheus(world: &World) -> (Process, SocketAddr) {
    let exporter = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let target = exporter.local_addr().unwrap();
    let page = "# TYPE kepler_node_cpu_watts gauge\n\
                kepler_node_cpu_watts{node_name=\"worker\",zone=\"package\"} 30\n\
                kepler_node_cpu_watts{node_name=\"worker\",zone=\"dram\"} 7.5\n";
    let router = Router::new().route("/metrics", get(async move || page));
    tokio::spawn(async move { axum::serve(exporter, router).await.unwrap() });
    let configuration = format!(
        "scrape_configs:\n- job_name: kepler\n  scrape_interval: 1s\n  static_configs: [{{targets: ['{target}']}}]\n"
    );
    let file = world.path("prometheus.yaml");
    std::fs::write(&file, configuration).unwrap();
    let place = free_address();
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", world.path("prometheus").display()));
    command.arg(format!("--web.listen-address={place}"));
    let process = Process::start("prometheus", command, &world.path("prometheus.log"))
        .unwrap_or_else(|error| panic!("{error}; the Debian package prometheus brings it"));
    (process, place)
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// An API behind the aggregator of the API server, as metrics-server is one.
struct Metrics {
    milli: Arc<AtomicU64>,
    asked: Arc<AtomicU64>,
}

impl Metrics {
    async fn start(world: &World) -> Self {
        let (milli, asked) = (Arc::new(AtomicU64::new(1_000)), Arc::new(AtomicU64::new(0)));
        let (now, count) = (milli.clone(), asked.clone());
        let kinds = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1", "resources": [
            {"name": "nodes", "singularName": "", "namespaced": false, "kind": "NodeMetrics", "verbs": ["get", "list"]},
            {"name": "pods", "singularName": "", "namespaced": true, "kind": "PodMetrics", "verbs": ["get", "list"]},
        ]});
        let nodes = move || {
            count.fetch_add(1, Ordering::Relaxed);
            let cpu = format!("{}m", now.load(Ordering::Relaxed));
            async move {
                Json(
                    json!({"kind": "NodeMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": [
                        {"metadata": {"name": "worker"}, "timestamp": "2026-01-01T00:00:00Z", "window": "10s",
                         "usage": {"cpu": cpu, "memory": "512Mi"}},
                    ]}),
                )
            }
        };
        let router = Router::new()
            .route(GROUP, get(async move || Json(kinds)))
            .route(&format!("{GROUP}/nodes"), get(nodes));
        let address = serve(router, &world.path("metrics-certificates")).await;
        behind_the_aggregator(world, address.port()).await;
        Self { milli, asked }
    }

    fn uses(&self, milli: u64) {
        self.milli.store(milli, Ordering::Relaxed);
    }

    /// Waits until an agent has read what is served now.
    async fn is_asked_again(&self) {
        let before = self.asked.load(Ordering::Relaxed);
        wait_for("the next question", PATIENCE, async || {
            let now = self.asked.load(Ordering::Relaxed);
            // The one after the next: the next may be on its way.
            (now > before + 1).then_some(()).ok_or(format!("{now} questions"))
        })
        .await;
    }
}

/// Serves over TLS, as the aggregator wants it.
async fn serve(router: Router, folder: &Path) -> SocketAddr {
    let mut certs = Command::new(programs::qonnect());
    certs.args(["certs", "--lead", "metrics=127.0.0.1", "--out"]).arg(folder);
    run_command(certs);
    let (certificate, key) = (folder.join("metrics.pem"), folder.join("metrics.key"));
    let config = RustlsConfig::from_pem_file(certificate, key).await.unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = axum_server::from_tcp_rustls(listener, config).unwrap();
    tokio::spawn(async move { server.serve(router.into_make_service()).await.unwrap() });
    address
}

/// A service of an external name is the one kind that leads the aggregator out of the cluster.
async fn behind_the_aggregator(world: &World, port: u16) {
    let params = PatchParams::apply("administrator");
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics"},
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port, "protocol": "TCP"}]}});
    let services: Api<Service> = Api::namespaced(world.client.clone(), "kube-system");
    services.patch("metrics", &params, &Patch::Apply(&service)).await.unwrap();
    let api = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true, "service": {"namespace": "kube-system", "name": "metrics", "port": port}}});
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("apiregistration.k8s.io", "v1", "APIService"));
    let apis: Api<DynamicObject> = Api::all_with(world.client.clone(), &resource);
    // API services take no server-side apply before Kubernetes 1.21.
    apis.create(&PostParams::default(), &serde_json::from_value(api).unwrap()).await.unwrap();
    wait_for("the API behind the aggregator", PATIENCE, async || {
        let found = apis.get("v1beta1.metrics.k8s.io").await.unwrap();
        let conditions = found.data["status"]["conditions"].clone();
        let available = conditions.as_array().is_some_and(|all| all.iter().any(is_available));
        available.then_some(()).ok_or(conditions.to_string())
    })
    .await;
}

fn is_available(condition: &Value) -> bool {
    condition["type"] == "Available" && condition["status"] == "True"
}
