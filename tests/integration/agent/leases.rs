//! What must not run twice, while a lead vouches for it and when none does.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use qonnect_schema::documents::snapshot::Health;
use serde_json::{Value, json};

use super::wanted;
use super::world::{DEPLOYMENT, World, deployment};

/// Shorter than any that a lead grants, so that a test can wait for its end.
const LEASE: Duration = Duration::from_secs(3);

pub(super) async fn what_runs_by_a_lease_runs_while_a_lead_vouches_for_it(world: &mut World) {
    let mut store = deployment("store", "10m");
    store["metadata"]["annotations"]["qonnect.io/on-lost"] = "afterLease".into();
    store["spec"]["replicas"] = 2.into();
    world.lead.vouch(None);
    world.publish(&wanted(&[("web", vec![deployment("web", "10m")]), ("store", vec![store])]));
    runs(world, 0).await;
    let status = world.component("store", Health::Reconciling, "NoLease").await;
    assert!(status.message.contains("no lead vouches"), "{}", status.message);

    world.lead.vouch(Some(LEASE));
    runs(world, 2).await;
    world.lead.vouch(None);
    runs(world, 0).await;
    world.event("LeaseEnded", "scaled to zero").await;
    // Whoever wants it to run after all is overruled.
    let scale = json!({"spec": {"replicas": 3}});
    let params = PatchParams::apply("somebody");
    world.api(DEPLOYMENT).patch_scale("store", &params, &Patch::Merge(&scale)).await.unwrap();
    runs(world, 0).await;

    // An agent that starts waits for a word, and ends it when none comes.
    world.lead.vouch(Some(LEASE));
    runs(world, 2).await;
    world.stop_agent();
    world.cut_off();
    world.start_agent();
    runs(world, 0).await;
    assert_eq!(replicas(&world.get(DEPLOYMENT, "web").await.unwrap()), 1, "nobody has to vouch for the rest");
    world.reconnect().await;
    world.lead.beat_every(Duration::from_secs(60));
    world.lead.vouch(Some(LEASE));
    runs(world, 2).await;
}

fn replicas(object: &Value) -> u64 {
    object["spec"]["replicas"].as_u64().unwrap()
}

async fn runs(world: &World, count: u64) {
    world
        .until(&format!("{count} replicas"), async || {
            world.get(DEPLOYMENT, "store").await.is_some_and(|object| replicas(&object) == count)
        })
        .await;
}
