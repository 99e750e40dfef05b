//! The agent as a process, against a real API server and a deploy branch over HTTP.

mod accounts;
mod answers;
mod facts;
mod faults;
mod measuring;
mod questions;
mod relay;
mod sequences;
mod signatures;
mod table;
mod waiting;

mod lead;
mod leases;
mod world;

use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use qonnect_schema::documents::snapshot::Health;
use qonnect_schema::units::{Bytes, Cpu};
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::kubelet::{Kubelets, NodeSpec};
use serde_json::{Value, json};

use world::{CONFIG_MAP, DEFINITION, DEPLOYMENT, NAMESPACE, Wanted, World, config_map, deployment};

fn wanted(components: &[(&'static str, Vec<Value>)]) -> Wanted {
    let components = components.iter().map(|(component, objects)| ("shop", *component, objects.clone()));
    Wanted { components: components.collect(), removals: vec![] }
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

async fn merge(world: &World, kind: &str, name: &str, patch: Value) {
    let params = PatchParams { field_manager: Some("somebody".into()), ..PatchParams::default() };
    world.api(kind).patch(name, &params, &Patch::Merge(&patch)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_applied_kept_in_place_and_removed() {
    let plane = ControlPlane::start("agent-life").await;
    let node = NodeSpec::new("worker", "6", "6Gi").label("qonnect.io/price", "16.4");
    let _kubelets = Kubelets::start(&plane.kubeconfig_path(), vec![node]).await;
    let mut world = World::start(plane).await;
    let mut release = wanted(&[
        ("db", vec![config_map("db", "1"), deployment("db", "1")]),
        ("web", vec![deployment("web", "500m"), config_map("web", "1")]),
    ]);
    let generation = world.publish(&release);
    world.start_agent();

    // Applied, in order, and healthy.
    world.applied(generation).await;
    for component in ["db", "web"] {
        let status = world.component(component, Health::Ready, "").await;
        assert_eq!((status.generation, status.objects), (generation, 2));
    }
    let made = async |kind: &str| version(&world.get(kind, "web").await.unwrap()).parse::<u64>().unwrap();
    assert!(world.get(NAMESPACE, "shop").await.is_some());
    assert!(made(CONFIG_MAP).await < made(DEPLOYMENT).await, "configuration goes before workloads");
    assert!(world.lead.registration().unwrap().kubernetes_version.starts_with('v'));

    // What the node offers, without what is ours.
    let facts = world
        .reported("the node", |report| {
            report.nodes.iter().flatten().next().cloned().filter(|node| node.ready).ok_or("not ready".into())
        })
        .await;
    assert_eq!(
        (facts.name.as_str(), facts.allocatable.cpu, facts.foreign.cpu),
        ("worker", Cpu(6000), Cpu(0))
    );
    assert_eq!(facts.price.map(|price| price.0), Some(16.4));
    let stranger = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "stranger", "namespace": "default"},
        "spec": deployment("stranger", "250m")["spec"]});
    let params = PostParams::default();
    let strangers: kube::Api<k8s_openapi::api::apps::v1::Deployment> =
        kube::Api::namespaced(world.client.clone(), "default");
    strangers.create(&params, &serde_json::from_value(stranger).unwrap()).await.unwrap();
    world
        .reported("foreign requests", |report| {
            let foreign = &report.nodes.as_ref().ok_or("no nodes")?[0].foreign;
            let fits = (foreign.cpu, foreign.memory, foreign.pods) == (Cpu(250), Bytes(64 << 20), 1);
            fits.then_some(()).ok_or(format!("{foreign:?}"))
        })
        .await;

    // A change touches only what changed.
    let untouched = world.get(CONFIG_MAP, "db").await.unwrap();
    release.components[1].2[1] = config_map("web", "2");
    let generation = world.publish(&release);
    world.applied(generation).await;
    assert_eq!(world.get(CONFIG_MAP, "web").await.unwrap()["data"]["key"], "2");
    assert_eq!(version(&world.get(CONFIG_MAP, "db").await.unwrap()), version(&untouched));

    // Drift is put right: an edit and a deletion.
    merge(&world, CONFIG_MAP, "web", json!({"data": {"key": "meddled"}})).await;
    world.event("DriftCorrected", "ConfigMap shop/web: /data/key was changed, last by somebody").await;
    assert_eq!(world.get(CONFIG_MAP, "web").await.unwrap()["data"]["key"], "2");
    world.api(DEPLOYMENT).delete("db", &DeleteParams::background()).await.unwrap();
    world.event("DriftCorrected", "Deployment.apps shop/db: it was deleted").await;
    world.component("db", Health::Ready, "").await;

    // What removals list goes, and with the last component its namespace.
    let web = release.components.remove(1);
    release.removals = vec![("shop", "web")];
    world.publish(&release);
    world
        .reported("one component", |report| (report.components.len() == 1).then_some(()).ok_or("two".into()))
        .await;
    assert!(world.get(DEPLOYMENT, "web").await.is_none() && world.get(CONFIG_MAP, "web").await.is_none());
    assert!(world.get(DEPLOYMENT, "db").await.is_some(), "{:?} alone was removed", web.1);
    world.publish(&Wanted { components: vec![], removals: vec![("shop", "db")] });
    world
        .reported("no component", |report| report.components.is_empty().then_some(()).ok_or("some".into()))
        .await;
    world.until("the namespace is gone", async || world.get(NAMESPACE, "shop").await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_release_is_said_and_deletes_nothing() {
    let mut world = World::start(ControlPlane::start_api("agent-refusal").await).await;
    let many: Vec<Value> = (0..12).map(|at| config_map(&format!("map-{at}"), "1")).collect();
    let release = wanted(&[("db", vec![config_map("db", "1")]), ("web", many.clone())]);
    for _ in 0..3 {
        world.publish(&release);
    }
    world.start_agent();
    world.applied(3).await;
    let all = async || world_maps(&world).await;
    let before = all().await;
    assert_eq!(before.len(), 13);

    let nothing = Wanted::default();
    world.publish_changed(&release, |spec, _| spec.digest = "sha256:00".into());
    world.stalled("files are missing or were changed").await;
    world.publish_changed(&nothing, |spec, _| spec.generation = 2);
    world.stalled("generation 2 is older than 3").await;
    world.publish_changed(&nothing, |spec, _| spec.generation = 3);
    world.stalled("generation 3 was accepted before with another digest").await;
    world.publish_changed(&nothing, |spec, _| spec.epoch.term = 0);
    world.stalled("epoch 1.0.1 is older than 1.1.1").await;
    world.publish_emptiness();
    world.stalled("holds no release.yaml").await;
    world.publish_changed(&release, |_, files| drop(files.remove("shop/db/00.yaml")));
    world.stalled("files are missing or were changed").await;
    assert_eq!(world_maps(&world).await, before);

    // Valid, but it forgets to list what it removes; and it empties a component that stays.
    let generation = world.publish(&nothing);
    world.applied(generation).await;
    world.stalled("13 objects stay although the release no longer has them").await;
    assert_eq!(world_maps(&world).await, before);
    world.publish(&wanted(&[("db", vec![config_map("db", "1")]), ("web", vec![many[0].clone()])]));
    world.stalled("prune guard: 11 of 14 objects would vanish").await;
    assert_eq!(world_maps(&world).await, before);

    // A good one ends it.
    let generation = world.publish(&release);
    world.applied(generation).await;
    world
        .reported("no complaint", |report| report.stalled.is_empty().then_some(()).ok_or("stalled".into()))
        .await;
    assert_eq!(world_maps(&world).await, before);
}

/// Name and version of every ConfigMap in the namespace.
async fn world_maps(world: &World) -> Vec<(String, String)> {
    let list = world.api(CONFIG_MAP).list(&Default::default()).await.unwrap();
    let maps = list
        .items
        .into_iter()
        .map(|map| (map.metadata.name.unwrap(), map.metadata.resource_version.unwrap()));
    maps.filter(|(name, _)| name != "kube-root-ca.crt").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_is_respected() {
    let mut world = World::start(ControlPlane::start_api("agent-others").await).await;
    world.start_agent();
    let mut kept = config_map("kept", "1");
    kept["metadata"]["annotations"]["qonnect.io/prune"] = "disabled".into();
    let generation = world.publish(&wanted(&[("web", vec![config_map("web", "1")]), ("db", vec![kept])]));
    world.applied(generation).await;

    // Somebody else's field is not taken, and the owner is named; the rest goes on.
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"key": "theirs"}});
    let params = PatchParams::apply("their-tool");
    world.api(CONFIG_MAP).patch("theirs", &params, &Patch::Apply(&theirs)).await.unwrap();
    let mut release = wanted(&[
        ("web", vec![config_map("web", "2"), config_map("theirs", "ours")]),
        ("db", vec![config_map("kept", "1")]),
    ]);
    world.publish(&release);
    let status = world.component("web", Health::Stalled, "Conflict").await;
    assert!(status.message.contains(".data.key belongs to their-tool"), "{}", status.message);
    world
        .until("the rest is applied", async || {
            world.get(CONFIG_MAP, "web").await.unwrap()["data"]["key"] == "2"
        })
        .await;
    assert_eq!(world.get(CONFIG_MAP, "theirs").await.unwrap()["data"]["key"], "theirs");
    release.components[0].2[1]["metadata"]["annotations"]["qonnect.io/force"] = "enabled".into();
    let generation = world.publish(&release);
    world.applied(generation).await;
    assert_eq!(world.get(CONFIG_MAP, "theirs").await.unwrap()["data"]["key"], "ours");

    // An annotation keeps an object, and a stranger's object keeps the namespace.
    merge(&world, CONFIG_MAP, "kept", json!({"metadata": {"annotations": {"qonnect.io/prune": "disabled"}}}))
        .await;
    let stranger = serde_json::from_value(config_map("stranger", "1")).unwrap();
    world.api(CONFIG_MAP).create(&PostParams::default(), &stranger).await.unwrap();
    world.publish(&Wanted { components: vec![], removals: vec![("shop", "web"), ("shop", "db")] });
    world.event("ObjectKept", "ConfigMap shop/kept stays: an annotation disables pruning").await;
    world.event("NamespaceKept", "Namespace shop stays while it holds ConfigMap shop/").await;
    world
        .reported("no component", |report| report.components.is_empty().then_some(()).ok_or("some".into()))
        .await;
    let names: Vec<String> = world_maps(&world).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["kept", "stranger"]);
    assert!(world.get(NAMESPACE, "shop").await.unwrap()["metadata"]["deletionTimestamp"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_served_before_the_pass_goes_on_and_an_unknown_kind_holds_nobody_else() {
    let mut world = World::start(ControlPlane::start_api("agent-definition").await).await;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "lamps.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Lamp", "plural": "lamps"}, "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ]},
    });
    let robot = json!({"apiVersion": "example.org/v1", "kind": "Robot", "metadata": {"name": "r2"}});
    world.publish(&wanted(&[("light", vec![config_map("light", "1"), definition]), ("robot", vec![robot])]));
    world.start_agent();
    let status = world.component("robot", Health::Stalled, "NotServed").await;
    assert!(status.message.contains("serves no Robot of example.org/v1"), "{}", status.message);
    world.component("light", Health::Ready, "").await;
    let lamps = world.get(DEFINITION, "lamps.example.com").await.unwrap();
    let map = world.get(CONFIG_MAP, "light").await.unwrap();
    assert!(version(&lamps).parse::<u64>().unwrap() < version(&map).parse::<u64>().unwrap());

    // The watches outlive a restart of the API server.
    world.plane.stop();
    world.plane.resume().await;
    merge(&world, CONFIG_MAP, "light", json!({"data": {"key": "meddled"}})).await;
    world.event("DriftCorrected", "ConfigMap shop/light: /data/key was changed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_restarts_without_git_and_leads_from_its_own_copy() {
    let mut world = World::start(ControlPlane::start_api("agent-offline").await).await;
    let mut release =
        wanted(&[("web", vec![config_map("a", "1"), config_map("b", "1"), config_map("c", "1")])]);
    let generation = world.publish(&release);
    world.start_agent();
    world.applied(generation).await;
    world.stop_agent();
    let before = world_maps(&world).await;

    world.cut_off();
    merge(&world, CONFIG_MAP, "a", json!({"data": {"key": "meddled"}})).await;
    world.api(CONFIG_MAP).delete("b", &DeleteParams::default()).await.unwrap();
    world.start_agent();
    world
        .until("the drift is repaired", async || {
            let value = async |name| world.get(CONFIG_MAP, name).await.map(|map| map["data"]["key"].clone());
            value("a").await == Some("1".into()) && value("b").await == Some("1".into())
        })
        .await;
    assert_eq!(world_maps(&world).await[2], before[2], "what was in place is not applied again");

    world.reconnect().await;
    release.components[0].2[2] = config_map("c", "2");
    let generation = world.publish(&release);
    world.applied(generation).await;
    assert_eq!(world.get(CONFIG_MAP, "c").await.unwrap()["data"]["key"], "2");

    // A machine that died before the newest release was on its disk has it there again once git has brought it.
    world.stop_agent();
    world.back_to_the_copy_before();
    world.start_agent();
    world.until("the newest release is on the disk", async || world.copy().contains(&world.tip())).await;
    world.stop_agent();
    world.cut_off();
    merge(&world, CONFIG_MAP, "c", json!({"data": {"key": "meddled"}})).await;
    world.start_agent();
    let value = async || world.get(CONFIG_MAP, "c").await.map(|map| map["data"]["key"].clone());
    world.until("the drift is repaired", async || value().await == Some("2".into())).await;
}
