//! What an object waits for: those that its component calls, and a kind that the cluster serves no more.

use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use qonnect_schema::documents::snapshot::Health;
use qonnect_tests::control_plane::ControlPlane;
use serde_json::json;

use super::facts::ready;
use super::sequences::definition;
use super::world::{CONFIG_MAP, DEFINITION, DEPLOYMENT, World, config_map, deployment};
use super::{merge, wanted};

#[tokio::test(flavor = "multi_thread")]
async fn a_component_waits_for_what_it_calls_and_a_kind_that_went_is_named() {
    let mut world = World::start(ControlPlane::start_api("agent-waiting").await).await;
    world.start_agent();
    a_caller_waits_until_its_callee_is_ready(&mut world).await;
    a_definition_that_somebody_deletes_is_missed_by_its_kind(&mut world).await;
}

async fn a_caller_waits_until_its_callee_is_ready(world: &mut World) {
    let mut release = wanted(&[
        ("db", vec![config_map("db", "1"), deployment("db", "1")]),
        ("other", vec![config_map("other", "1")]),
        ("web", vec![config_map("web", "1")]),
    ]);
    let publish = |world: &mut World, release: &_| {
        world.publish_changed(release, |spec, _| {
            spec.order[0].depends_on.insert("web".into(), vec!["db".into()]);
        })
    };
    let generation = publish(world, &release);
    let status = world.component("web", Health::Reconciling, "WaitingForDependency").await;
    assert!(status.message.contains("until shop/db is Ready"), "{}", status.message);
    world.component("other", Health::Ready, "").await;
    world.component("db", Health::Reconciling, "NotObserved").await;
    assert!(world.get(CONFIG_MAP, "web").await.is_none());
    ready(world, "db").await;
    world.applied(generation).await;
    world.component("web", Health::Ready, "").await;

    // While the callee rolls out anew, what the caller had is kept in place, and what is new of it waits.
    release.components[0].2[1] = deployment("db", "2");
    release.components[2].2.push(config_map("web-2", "1"));
    publish(world, &release);
    world.component("web", Health::Reconciling, "WaitingForDependency").await;
    merge(world, CONFIG_MAP, "web", json!({"data": {"key": "meddled"}})).await;
    world.event("DriftCorrected", "ConfigMap shop/web: /data/key was changed").await;
    assert!(world.get(CONFIG_MAP, "web-2").await.is_none());
    let live = world.get(DEPLOYMENT, "db").await.unwrap();
    assert_eq!(live["metadata"]["generation"], 2, "the callee itself is updated");
}

async fn a_definition_that_somebody_deletes_is_missed_by_its_kind(world: &mut World) {
    let definitions: Api<DynamicObject> = world.api(DEFINITION);
    let theirs = serde_json::from_value(definition()).unwrap();
    definitions.create(&PostParams::default(), &theirs).await.unwrap();
    let lamp = json!({"apiVersion": "example.com/v1", "kind": "Lamp", "metadata": {"name": "hall"}});
    let release = wanted(&[("light", vec![lamp])]);
    world.publish(&release);
    world.component("light", Health::Ready, "").await;
    definitions.delete("lamps.example.com", &DeleteParams::default()).await.unwrap();
    let status = world.component("light", Health::Stalled, "NotServed").await;
    assert!(status.message.contains("serves no Lamp of example.com/v1"), "{}", status.message);
    definitions.create(&PostParams::default(), &theirs).await.unwrap();
    world.component("light", Health::Ready, "").await;
}
