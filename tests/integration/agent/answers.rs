//! An API server that is busy, broken or forgetful: what it answers is met by patience, and nothing is lost or deleted.

use kube::api::DeleteParams;
use qonnect_schema::api::Report;
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::front::Front;
use serde_json::json;

use super::world::{CONFIG_MAP, World, config_map};
use super::{merge, wanted, world_maps};

const MAPS: &str = "/namespaces/shop/configmaps/";

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_none_are_waited_out() {
    let mut world = World::start(ControlPlane::start_api("agent-answers").await).await;
    let front = world.through_front().await;
    world.start_agent();
    let generation = world.publish(&wanted(&[("web", vec![config_map("web", "1"), config_map("db", "1")])]));
    world.applied(generation).await;
    applies_are_refused_for_a_while(&mut world, &front).await;
    deletions_are_refused_for_a_while(&mut world, &front).await;
    the_inventory_cannot_be_written_for_a_while(&mut world, &front).await;
    lists_are_refused_while_an_agent_starts(&mut world, &front).await;
    a_watch_expires(&mut world, &front).await;
}

fn told_unavailable(report: &Report) -> bool {
    report.components.iter().any(|component| component.reason == "Unavailable")
}

async fn applies_are_refused_for_a_while(world: &mut World, front: &Front) {
    for (status, value) in [(429, "2"), (500, "3"), (503, "4")] {
        let before = world.lead.reports();
        front.refuse("PATCH", MAPS, status, 3);
        let generation =
            world.publish(&wanted(&[("web", vec![config_map("web", value), config_map("db", "1")])]));
        world.applied(generation).await;
        assert_eq!(front.refusals_left(), 0, "{status}");
        assert_eq!(world.get(CONFIG_MAP, "web").await.unwrap()["data"]["key"], value);
        // The others say when to come again, and the client of the agent does by itself.
        if status == 500 {
            let told = world.lead.all(told_unavailable);
            assert!(told[before..].contains(&true), "it was told, and as something that passes");
        }
    }
}

async fn deletions_are_refused_for_a_while(world: &mut World, front: &Front) {
    for (status, name) in [(429, "first"), (500, "second")] {
        let generation = world.publish(&wanted(&[
            ("web", vec![config_map("web", "4"), config_map("db", "1")]),
            ("gone", vec![config_map(name, "1")]),
        ]));
        world.applied(generation).await;
        front.refuse("DELETE", MAPS, status, 2);
        let mut release = wanted(&[("web", vec![config_map("web", "4"), config_map("db", "1")])]);
        release.removals.push(("shop", "gone"));
        world.publish(&release);
        world.without("gone").await;
        assert_eq!(front.refusals_left(), 0, "{status}");
        assert!(world.get(CONFIG_MAP, name).await.is_none());
    }
}

/// What cannot be remembered is not begun.
async fn the_inventory_cannot_be_written_for_a_while(world: &mut World, front: &Front) {
    front.refuse("PATCH", "/configmaps/inventory-", 500, 2);
    let new = ("new", vec![config_map("new", "1")]);
    let web = ("web", vec![config_map("web", "4"), config_map("db", "1")]);
    let generation = world.publish(&wanted(&[web, new]));
    world.stalled("the inventory cannot be written").await;
    world.applied(generation).await;
    assert_eq!(front.refusals_left(), 0);
    assert!(world.get(CONFIG_MAP, "new").await.is_some());
}

async fn lists_are_refused_while_an_agent_starts(world: &mut World, front: &Front) {
    let before = world_maps(world).await;
    world.stop_agent();
    merge(world, CONFIG_MAP, "web", json!({"data": {"key": "meddled"}})).await;
    front.refuse("GET", "/configmaps?", 429, 2);
    front.refuse("GET", "/configmaps?", 500, 2);
    world.start_agent();
    world
        .until("the drift is repaired", async || {
            world.get(CONFIG_MAP, "web").await.unwrap()["data"]["key"] == "4"
        })
        .await;
    assert_eq!(front.refusals_left(), 0);
    let names = |maps: Vec<(String, String)>| maps.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(world_maps(world).await), names(before));
}

/// What happened since is found by listing again.
async fn a_watch_expires(world: &mut World, front: &Front) {
    world
        .reported("at rest", |report| report.stalled.is_empty().then_some(()).ok_or(report.stalled.clone()))
        .await;
    for round in ["once", "twice"] {
        front.hold_lists("/configmaps?");
        front.expire_watches();
        world.until("nothing is watched, and a list is asked for", async || front.lists_held() > 0).await;
        merge(world, CONFIG_MAP, "web", json!({"data": {"key": round}})).await;
        world.api(CONFIG_MAP).delete("db", &DeleteParams::default()).await.unwrap();
        front.let_lists_go();
        world
            .until("both are repaired", async || {
                let value =
                    async |name| world.get(CONFIG_MAP, name).await.map(|map| map["data"]["key"].clone());
                value("web").await == Some("4".into()) && value("db").await == Some("1".into())
            })
            .await;
    }
}
