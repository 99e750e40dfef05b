//! What an agent tells of its cluster: everything once, then what changes, and everything again where a lead asks.

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams};
use qonnect_schema::documents::snapshot::Health;
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::kubelet::{Kubelets, NodeSpec};
use serde_json::json;

use super::wanted;
use super::world::{DEPLOYMENT, World, config_map, deployment};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_components_are_told_as_changes_and_all_of_them_to_a_lead_that_knows_others() {
    let plane = ControlPlane::start_api("agent-facts").await;
    let nodes = ["a", "b", "c"].map(|name| NodeSpec::new(name, "4", "4Gi"));
    let _kubelets = Kubelets::start(&plane.kubeconfig_path(), nodes.into()).await;
    let mut world = World::start(plane).await;
    world.start_agent();
    priced(&world, "a", None).await;
    // An agent registers again when it knows its cluster, and tells everything for that.
    price(&world, "a", "0.5").await;
    priced(&world, "a", Some(0.5)).await;

    let in_full = world.lead.in_full();
    price(&world, "a", "1.5").await;
    priced(&world, "a", Some(1.5)).await;
    price(&world, "b", "2.5").await;
    priced(&world, "b", Some(2.5)).await;
    assert_eq!(world.lead.in_full(), in_full, "only changes were told");

    // Of two components one comes on.
    world.publish(&wanted(&[("db", vec![config_map("db", "1")]), ("web", vec![deployment("web", "1")])]));
    world.component("db", Health::Ready, "").await;
    world.component("web", Health::Reconciling, "NotObserved").await;
    ready(&world, "web").await;
    world.component("web", Health::Ready, "").await;
    assert_eq!(world.lead.changed(), ["web"], "the other one was told before");

    world.lead.forget();
    price(&world, "c", "3.5").await;
    priced(&world, "c", Some(3.5)).await;
    priced(&world, "b", Some(2.5)).await;
    world.component("db", Health::Ready, "").await;
    assert_eq!(world.lead.in_full(), in_full + 1, "everything once, for changes did not fit");
}

/// Says of a Deployment what its controller would.
pub(super) async fn ready(world: &World, name: &str) {
    let status = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
    let patch = Patch::Merge(json!({"status": status}));
    world.api(DEPLOYMENT).patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

async fn price(world: &World, node: &str, price: &str) {
    let nodes: Api<Node> = Api::all(world.client.clone());
    let patch = json!({"metadata": {"annotations": {"qonnect.io/price": price}}});
    nodes.patch(node, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

/// Waits until all three nodes are told, one of them with a price.
async fn priced(world: &World, node: &str, price: Option<f64>) {
    world
        .reported(&format!("{node} at {price:?}"), |report| {
            let nodes = report.nodes.as_deref().unwrap_or_default();
            let found = nodes.iter().find(|found| found.name == node).ok_or("not told")?;
            let fits = nodes.len() == 3
                && nodes.iter().all(|node| node.ready)
                && found.price.map(|price| price.0) == price;
            fits.then_some(()).ok_or(format!("{nodes:?}"))
        })
        .await;
}
