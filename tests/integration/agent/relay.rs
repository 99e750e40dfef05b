//! Releases that a lead hands on: git is not needed for them, and they are held to the same rules.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::wait::wait_for;
use serde_json::json;

use super::wanted;
use super::world::{CONFIG_MAP, PATIENCE, World, config_map};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lead_hands_on_is_taken_only_as_it_was_published() {
    let mut world = World::start(ControlPlane::start("agent-relay").await).await;
    world.start_agent();
    let web = |value: &str| wanted(&[("web", vec![config_map("web", value)])]);
    let value = async |world: &World| world.get(CONFIG_MAP, "web").await.unwrap()["data"]["key"].clone();

    // Git is away.
    world.stop_git();
    let generation = world.hand_on(&web("relayed"), |_| {});
    world.applied(generation).await;
    assert_eq!(value(&world).await, "relayed");

    // Changed on its way: git has what was published.
    world.restart_git().await;
    let generation = world.hand_on(&web("published"), |folder| {
        for text in folder.files.values_mut() {
            *text = text.replace("published", "tampered");
        }
    });
    world.applied(generation).await;
    assert_eq!(value(&world).await, "published");
    logged(&world, "what the lead hands on is not used").await;

    // The release of before: the lead lags.
    let generation = world.hand_on(&web("newest"), |folder| folder.commit = "0".repeat(40));
    world.applied(generation).await;
    assert_eq!(value(&world).await, "newest");

    // What was accepted by this way is kept like any other.
    world.stop_git();
    let generation = world.hand_on(&web("kept"), |_| {});
    world.applied(generation).await;
    world.cut_off();
    world.stop_agent();
    super::merge(&world, CONFIG_MAP, "web", json!({"data": {"key": "drifted"}})).await;
    world.start_agent();
    world.until("the copy is restored", async || value(&world).await == "kept").await;
    what_was_not_written_down_is_ours_all_the_same(&mut world).await;
}

/// A machine that dies between an apply and the note of it; somebody changes the object before it is back.
async fn what_was_not_written_down_is_ours_all_the_same(world: &mut World) {
    world.stop_agent();
    world.reconnect().await;
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), "qonnect-system");
    let shards = async || maps.list(&ListParams::default()).await.unwrap().items;
    // Nothing can be written into an immutable ConfigMap.
    for shard in shards().await {
        let freeze = Patch::Merge(json!({"immutable": true}));
        maps.patch(&shard.name_any(), &PatchParams::default(), &freeze).await.unwrap();
    }
    world.start_agent();
    let generation = world.publish(&wanted(&[("web", vec![config_map("web", "unwritten")])]));
    world.applied(generation).await;
    logged(world, "the inventory cannot be written").await;
    world.stop_agent();
    for shard in shards().await {
        maps.delete(&shard.name_any(), &DeleteParams::default()).await.unwrap();
        let metadata =
            ObjectMeta { name: shard.metadata.name, labels: shard.metadata.labels, ..ObjectMeta::default() };
        let thawed = ConfigMap { metadata, data: shard.data, ..ConfigMap::default() };
        maps.create(&PostParams::default(), &thawed).await.unwrap();
    }
    super::merge(world, CONFIG_MAP, "web", json!({"data": {"key": "drifted"}})).await;
    world.start_agent();
    let value = async || world.get(CONFIG_MAP, "web").await.unwrap()["data"]["key"].clone();
    world.until("what was applied is restored", async || value().await == "unwritten").await;
}

async fn logged(world: &World, text: &str) {
    wait_for(text, PATIENCE, async || {
        let log = world.agent_log();
        if log.contains(text) { Ok(()) } else { Err(log) }
    })
    .await;
}
