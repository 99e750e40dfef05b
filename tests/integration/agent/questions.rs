//! What an agent says of itself: what it lacks, what it would change, whether it is ready, and what it may not see.

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, PostParams};
use qonnect_schema::documents::snapshot::Health;
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::metrics;
use serde_json::{Value, json};

use super::world::{CONFIG_MAP, World, config_map};
use super::{merge, wanted};

const USER: &str = "system:serviceaccount:qonnect-system:agent";

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_it_lacks_what_it_would_change_and_what_it_may_not_see() {
    let mut world = World::start(ControlPlane::start_api("agent-questions").await).await;
    let probes = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let kubeconfig = world.plane.kubeconfig_as(USER);
    world.configure(|config| {
        config["kubeconfig"] = kubeconfig.to_str().into();
        config["probes"] = probes.to_string().into();
    });

    // Without rights everything that is missing is named, and nothing else fails.
    world.publish(&wanted(&[("web", vec![config_map("a", "1"), config_map("b", "1")])]));
    let (status, said) = world.ask("check");
    assert_eq!(status, Some(1), "{said}");
    for line in [
        "ok       repository: generation 1 with 3 objects is in order",
        "ok       cluster: Kubernetes v",
        "MISSING  right to nodes: may not get, list, watch: no capacity is known",
        "MISSING  right to configmaps in qonnect-system: may not get, list, create, patch",
        "ok       lead http://127.0.0.1:",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }
    world.start_agent();
    world.until("it is alive but not ready", async || ask(probes, "/healthz").await == Some(200)).await;
    assert_eq!(ask(probes, "/readyz").await, Some(503));

    // With the rights to apply, but none to look at nodes and pods, it does what it may.
    allow(
        &world,
        "apply",
        json!([
            {"apiGroups": [""], "resources": ["namespaces", "configmaps"], "verbs": ["*"]},
        ]),
    )
    .await;
    world.until("it is ready", async || ask(probes, "/readyz").await == Some(200)).await;
    let report = world.applied(1).await;
    assert_eq!(report.nodes, None, "no node is known, which is not the same as none");
    world.component("web", Health::Ready, "").await;
    world.event("FactsMissing", "nodes cannot be listed").await;
    world.event("FactsMissing", "grant get, list and watch on pods").await;
    allow(
        &world,
        "look",
        json!([
            {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["list"]},
        ]),
    )
    .await;
    world
        .reported("the nodes, none of which there are", |report| {
            (report.nodes == Some(vec![])).then_some(()).ok_or("not seen yet".into())
        })
        .await;
    let (status, said) = world.ask("check");
    assert_eq!((status, said.contains("MISSING")), (Some(0), false), "{said}");

    let counted = reqwest::get(format!("http://{probes}/metrics")).await.unwrap();
    assert_eq!(
        counted.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    metrics::check(
        &counted.text().await.unwrap(),
        &[
            "qonnect_agent_release_generation 1",
            "qonnect_agent_stalled 0",
            "qonnect_agent_components{health=\"ready\"} 1",
            "qonnect_agent_objects_deleted_total 0",
        ],
    );

    // What would change is shown without changing it, whether or not an agent runs.
    assert_eq!(world.ask("diff"), (Some(0), "generation 1 with 3 objects\n".into()));
    world.stop_agent();
    merge(&world, CONFIG_MAP, "a", json!({"data": {"key": "meddled"}})).await;
    world.publish(&wanted(&[("web", vec![config_map("a", "1"), config_map("c", "1")])]));
    let (status, said) = world.ask("diff");
    assert_eq!(status, Some(1), "{said}");
    for line in [
        "error   ConfigMap shop/a: Conflict: .data.key belongs to somebody",
        "create  ConfigMap shop/c",
        "delete  ConfigMap shop/b of shop/web",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }
    assert!(world.get(CONFIG_MAP, "c").await.is_none() && world.get(CONFIG_MAP, "b").await.is_some());
}

pub(super) async fn allow(world: &World, name: &str, rules: Value) {
    let role = json!({"metadata": {"name": name}, "rules": rules});
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "agent", "namespace": "qonnect-system"}],
    });
    let params = PostParams::default();
    let roles: Api<ClusterRole> = Api::all(world.client.clone());
    roles.create(&params, &serde_json::from_value(role).unwrap()).await.unwrap();
    let bindings: Api<ClusterRoleBinding> = Api::all(world.client.clone());
    bindings.create(&params, &serde_json::from_value(binding).unwrap()).await.unwrap();
}

async fn ask(probes: std::net::SocketAddr, path: &str) -> Option<u16> {
    Some(reqwest::get(format!("http://{probes}{path}")).await.ok()?.status().as_u16())
}
