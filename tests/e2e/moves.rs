//! What moves while other things go wrong, by the objects in the clusters.

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams};
use qonnect_tests::wait::wait_for;
use serde_json::json;

use crate::bookinfo::{environment, ready_elsewhere_when_deleted};
use crate::fleet::{Fleet, PATIENCE, fleet, on_cost};

#[tokio::test]
async fn a_leader_that_is_killed_in_each_phase_of_a_move_completes_it() {
    let fleet = fleet().await;
    let mut world = fleet.world_with_bookinfo("killed-in-a-move").await;
    let gone = ready_elsewhere_when_deleted(&fleet).await;
    let before = fleet.objects("fog-energy").await.unwrap();

    world.checkout.edit("apps/bookinfo/application.yaml", "energy: 1.0, cost: 0.0", "energy: 0.0, cost: 1.0");
    world.push("cost counts").await;
    wait_for("a new copy", PATIENCE, async || {
        let there = fleet.objects("fog-cost").await?;
        if there.is_empty() { Err(world.tails()) } else { Ok(()) }
    })
    .await;
    world.kill_lead();
    let both = wait_for("every new copy", PATIENCE, async || {
        let there = fleet.objects("fog-cost").await?;
        if there.len() > 1 { Ok(there) } else { Err(format!("{there:?}\n{}", world.tails())) }
    })
    .await;
    assert!(before.is_superset(&both), "they are the same objects: {both:?}");
    assert_eq!(
        fleet.objects("fog-energy").await.unwrap(),
        before,
        "nobody has said that the old ones may go"
    );

    world.start_lead().await;
    wait_for("callers of the new copy", PATIENCE, async || match calls_reviews_on(&fleet).await.as_str() {
        "fog-cost-worker" => Ok(()),
        elsewhere => Err(format!("{elsewhere}\n{}", world.tails())),
    })
    .await;
    world.kill_lead();
    world.start_lead().await;
    fleet.runs(&world, &on_cost()).await;
    let deleted = gone.await.unwrap();
    assert!(deleted.iter().all(|(_, ready)| *ready), "(deleted, the new copy was ready): {deleted:?}");
}

async fn calls_reviews_on(fleet: &Fleet) -> String {
    let client = fleet.client("cloud-energy").await;
    environment(&client, "productpage-v1").await.remove("REVIEWS_HOSTNAME").unwrap_or_default()
}

#[tokio::test]
async fn what_no_longer_fits_on_a_node_that_others_have_filled_moves() {
    let fleet = fleet().await;
    let world = fleet.world_with_bookinfo("filled").await;
    let client = fleet.client("fog-energy").await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": "others"}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let nodes: Api<Node> = Api::all(client.clone());
    let pods: Api<Pod> = Api::namespaced(client.clone(), "others");
    for node in nodes.list(&ListParams::default()).await.unwrap() {
        let cpu = node.status.as_ref().unwrap().allocatable.as_ref().unwrap()["cpu"].0.clone();
        // As what a node starts by itself: no scheduler looks whether it fits.
        let pod = json!({
            "metadata": {"name": format!("filler-{}", node.name_any())},
            "spec": {"nodeName": node.name_any(), "containers": [
                {"name": "main", "image": "filler:1", "resources": {"requests": {"cpu": cpu}}},
            ]},
        });
        let pod = serde_json::from_value(pod).unwrap();
        // A new namespace has no service account yet.
        wait_for("a full node", PATIENCE, async || {
            pods.create(&PostParams::default(), &pod).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }
    fleet.runs(&world, &on_cost()).await;
}
