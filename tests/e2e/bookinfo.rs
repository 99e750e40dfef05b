//! The main job: what is pushed runs where it was placed, moves when weights change, is put back, and goes.

use std::collections::BTreeSet;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::watcher::{self, Event, watcher};
use qonnect_schema::api::Verdict;
use qonnect_tests::wait::wait_for;
use serde_json::json;

use crate::fleet::{PATIENCE, fleet, on_cost, on_energy, reviews_port};

#[tokio::test]
async fn callers_find_a_component_in_their_own_cluster_and_in_another() {
    let fleet = fleet().await;
    let world = fleet.world_with_bookinfo("addresses").await;

    let near = environment(&fleet.client("fog-energy").await, "reviews-v2").await;
    let far = environment(&fleet.client("cloud-energy").await, "productpage-v1").await;

    assert_eq!(near["RATINGS_HOSTNAME"], "ratings");
    assert_eq!(near["RATINGS_SERVICE_PORT"], "9080");
    assert_eq!(far["REVIEWS_HOSTNAME"], "fog-energy-worker");
    let port = reviews_port(&world.checkout);
    assert_eq!(far["REVIEWS_SERVICE_PORT"], port);
    let services: Api<Service> = Api::namespaced(fleet.client("fog-energy").await, "bookinfo");
    let exposed = services.get("reviews-qonnect").await.unwrap().spec.unwrap();
    assert_eq!(exposed.ports.unwrap()[0].node_port.map(|port| port.to_string()), Some(port));
}

#[tokio::test]
async fn components_move_with_the_weights_and_the_new_copy_is_ready_before_the_old_one_goes() {
    let fleet = fleet().await;
    let world = fleet.world_with_bookinfo("weights").await;
    let gone = ready_elsewhere_when_deleted(&fleet).await;

    world.checkout.edit("apps/bookinfo/application.yaml", "energy: 1.0, cost: 0.0", "energy: 0.0, cost: 1.0");
    world.push("cost counts").await;

    fleet.runs(&world, &on_cost()).await;
    let deleted = gone.await.unwrap();
    assert_eq!(deleted, BTreeSet::from([("reviews-v1".into(), true)]), "(deleted, the new copy was ready)");
    world.checkout.edit("apps/bookinfo/application.yaml", "energy: 0.0, cost: 1.0", "energy: 1.0, cost: 0.0");
    world.push("energy counts again").await;
    // Back goes only what gains more than a move costs: details and ratings are too small.
    let small_ones_stay = on_cost().map(|(component, cluster)| match component {
        "reviews" => (component, "fog-energy"),
        _ => (component, cluster),
    });
    fleet.runs(&world, &small_ones_stay).await;
}

/// Watches the old copy: when it is deleted, is the new one ready?
pub(crate) async fn ready_elsewhere_when_deleted(
    fleet: &crate::fleet::Fleet,
) -> tokio::task::JoinHandle<BTreeSet<(String, bool)>> {
    let old: Api<Deployment> = Api::namespaced(fleet.client("fog-energy").await, "bookinfo");
    let new: Api<Deployment> = Api::namespaced(fleet.client("fog-cost").await, "bookinfo");
    let config = watcher::Config::default().fields("metadata.name=reviews-v1");
    tokio::spawn(async move {
        let mut events = Box::pin(watcher(old, config));
        while let Some(event) = events.next().await {
            if let Ok(Event::Delete(deployment)) = event {
                let copy = new.get("reviews-v1").await.ok().and_then(|copy| copy.status);
                let ready = copy.and_then(|status| status.ready_replicas) == Some(1);
                return BTreeSet::from([(deployment.name_any(), ready)]);
            }
        }
        BTreeSet::new()
    })
}

#[tokio::test]
async fn what_is_changed_or_deleted_by_hand_is_put_back() {
    let fleet = fleet().await;
    let world = fleet.world_with_bookinfo("drift").await;
    let deployments: Api<Deployment> = Api::namespaced(fleet.client("fog-energy").await, "bookinfo");

    deployments.delete("ratings-v1", &DeleteParams::background()).await.unwrap();
    let by_hand =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "details", "image": "other:1"}]}}}});
    deployments.patch("details-v1", &PatchParams::default(), &Patch::Strategic(by_hand)).await.unwrap();

    fleet.runs(&world, &on_energy()).await;
    wait_for("the image that was pushed", PATIENCE, async || {
        let details = deployments.get("details-v1").await.map_err(|error| error.to_string())?;
        let image = details.spec.unwrap().template.spec.unwrap().containers[0].image.clone().unwrap();
        if image.contains("bookinfo-details") { Ok(()) } else { Err(image) }
    })
    .await;
}

#[tokio::test]
async fn a_deleted_application_leaves_nothing_behind_and_what_is_not_ours_stays() {
    let fleet = fleet().await;
    let world = fleet.world_with_bookinfo("deletion").await;
    let client = fleet.client("fog-energy").await;
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    let foreign = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "foreign"},
                         "spec": {"ports": [{"port": 80, "protocol": "TCP"}]}});
    services.patch("foreign", &PatchParams::apply("person"), &Patch::Apply(&foreign)).await.unwrap();

    world.checkout.remove("apps/bookinfo");
    let record = world.push("no more bookinfo\n\nQonnect-Allow-Removals: 4").await;

    assert_eq!(record.verdict, Verdict::Accepted, "{record:?}");
    fleet.runs(&world, &[]).await;
    let namespaces: Api<Namespace> = Api::all(client);
    wait_for("the namespace to go", PATIENCE, async || match namespaces.get_opt("bookinfo").await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}\n{}", world.tails())),
    })
    .await;
    services.get("foreign").await.unwrap();
    services.delete("foreign", &DeleteParams::default()).await.unwrap();
}

/// The environment of a Deployment's first container.
pub(crate) async fn environment(
    client: &kube::Client,
    name: &str,
) -> std::collections::BTreeMap<String, String> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "bookinfo");
    let deployment = deployments.get(name).await.unwrap();
    let container = deployment.spec.unwrap().template.spec.unwrap().containers.remove(0);
    let variables = container.env.unwrap_or_default().into_iter();
    variables.map(|variable| (variable.name, variable.value.unwrap_or_default())).collect()
}
