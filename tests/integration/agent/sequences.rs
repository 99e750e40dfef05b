//! Scenarios of several steps, one after the other in one cluster: what cannot change, what may not go, what is to be
//! left alone.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use qonnect_schema::documents::snapshot::Health;
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::wait::wait_for;
use serde_json::{Value, json};

use super::leases::what_runs_by_a_lease_runs_while_a_lead_vouches_for_it;
use super::world::{CONFIG_MAP, DEFINITION, DEPLOYMENT, NAMESPACE, World, config_map, deployment};
use super::{merge, wanted};

const LAMP: &str = "Lamp.v1.example.com";
const WEBHOOK: &str = "ValidatingWebhookConfiguration.v1.admissionregistration.k8s.io";
const MANY: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_trust_it_step_by_step() {
    let mut world = World::start(ControlPlane::start("agent-steps").await).await;
    world.lead.beat_every(Duration::from_secs(60));
    world.start_agent();
    the_first_release_needs_no_heartbeat(&mut world).await;
    a_field_that_cannot_change_is_explained_or_the_object_is_made_anew(&mut world).await;
    what_is_made_anew_waits_for_its_finalizers(&mut world).await;
    a_renamed_object_and_one_that_moves_lose_nothing(&mut world).await;
    a_denied_deletion_is_told_until_it_is_allowed(&mut world).await;
    a_finalizer_is_named_until_it_lets_go(&mut world).await;
    what_is_suspended_is_left_alone_until_it_is_resumed(&mut world).await;
    a_definition_and_its_resource_come_and_go_together(&mut world).await;
    a_thousand_objects_survive_a_restart_of_the_api_server(&mut world).await;
    what_runs_by_a_lease_runs_while_a_lead_vouches_for_it(&mut world).await;
    a_configuration_is_not_widened_by_a_release(&mut world).await;
}

async fn the_first_release_needs_no_heartbeat(world: &mut World) {
    wait_for("the registration", Duration::from_secs(30), async || {
        world.lead.registration().map(drop).ok_or("none yet".into())
    })
    .await;
    let generation = world.publish(&wanted(&[("web", vec![config_map("web", "1")])]));
    // A lead that beats every minute: an agent that waits for its next heartbeat would take half of that.
    wait_for("the first release", Duration::from_secs(20), async || {
        let applied = world.lead.report().and_then(|report| report.release).map(|release| release.generation);
        (applied == Some(generation)).then_some(()).ok_or(format!("{applied:?}\n{}", world.agent_log()))
    })
    .await;
}

fn selecting(label: &str, annotation: Option<(&str, &str)>) -> Value {
    let mut object = deployment("web", "10m");
    object["spec"]["selector"]["matchLabels"]["app"] = label.into();
    object["spec"]["template"]["metadata"]["labels"]["app"] = label.into();
    if let Some((name, value)) = annotation {
        object["metadata"]["annotations"][name] = value.into();
    }
    object
}

async fn uid(world: &World, kind: &str, name: &str) -> String {
    world.get(kind, name).await.unwrap()["metadata"]["uid"].as_str().unwrap().into()
}

async fn a_field_that_cannot_change_is_explained_or_the_object_is_made_anew(world: &mut World) {
    let generation = world.publish(&wanted(&[("web", vec![selecting("one", None)])]));
    world.applied(generation).await;
    let first = uid(world, DEPLOYMENT, "web").await;
    world.publish(&wanted(&[("web", vec![selecting("two", None)])]));
    let status = world.component("web", Health::Stalled, "Immutable").await;
    assert!(status.message.contains("qonnect.io/recreate: enabled"), "{}", status.message);
    assert_eq!(uid(world, DEPLOYMENT, "web").await, first, "nobody agreed to a gap");
    for (label, annotation) in [
        ("two", ("qonnect.io/recreate", "enabled")),
        ("three", ("kustomize.toolkit.fluxcd.io/force", "enabled")),
    ] {
        let before = uid(world, DEPLOYMENT, "web").await;
        let generation = world.publish(&wanted(&[("web", vec![selecting(label, Some(annotation))])]));
        world.applied(generation).await;
        let now = world.get(DEPLOYMENT, "web").await.unwrap();
        assert_eq!(now["spec"]["selector"]["matchLabels"]["app"], label);
        assert_ne!(now["metadata"]["uid"], before);
        world.event("ObjectRecreated", "Deployment.apps shop/web").await;
    }
}

async fn what_is_made_anew_waits_for_its_finalizers(world: &mut World) {
    merge(world, DEPLOYMENT, "web", json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    let agreed = Some(("qonnect.io/recreate", "enabled"));
    let generation = world.publish(&wanted(&[("web", vec![selecting("four", agreed)])]));
    world
        .until("it is being deleted", async || {
            let live = world.get(DEPLOYMENT, "web").await;
            live.is_some_and(|live| !live["metadata"]["deletionTimestamp"].is_null())
        })
        .await;
    merge(world, DEPLOYMENT, "web", json!({"metadata": {"finalizers": null}})).await;
    world.applied(generation).await;
    assert_eq!(world.get(DEPLOYMENT, "web").await.unwrap()["spec"]["selector"]["matchLabels"]["app"], "four");
}

async fn a_renamed_object_and_one_that_moves_lose_nothing(world: &mut World) {
    let generation = world.publish(&wanted(&[
        ("web", vec![config_map("old", "1"), config_map("moves", "1")]),
        ("db", vec![config_map("db", "1")]),
    ]));
    world.applied(generation).await;
    let moves = uid(world, CONFIG_MAP, "moves").await;
    let generation = world.publish(&wanted(&[
        ("web", vec![config_map("new", "1")]),
        ("db", vec![config_map("db", "1"), config_map("moves", "1")]),
    ]));
    world.applied(generation).await;
    world.until("the old name is gone", async || world.get(CONFIG_MAP, "old").await.is_none()).await;
    assert!(world.get(CONFIG_MAP, "new").await.is_some());
    assert_eq!(uid(world, CONFIG_MAP, "moves").await, moves, "it was not deleted in between");
    world.until("the object of before is gone", async || world.get(DEPLOYMENT, "web").await.is_none()).await;
}

async fn a_denied_deletion_is_told_until_it_is_allowed(world: &mut World) {
    // Nobody answers there, and the API server refuses what it cannot ask about.
    let webhook = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "guard"},
        "webhooks": [{
            "name": "guard.example.com", "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://127.0.0.1:1/"}, "timeoutSeconds": 1,
            "namespaceSelector": {"matchLabels": {"qonnect.io/application": "shop"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["DELETE"]}],
        }],
    });
    let params = PatchParams::apply("somebody");
    world.api(WEBHOOK).patch("guard", &params, &Patch::Apply(&webhook)).await.unwrap();
    // It counts once the API server has read it, which a dry run shows.
    world
        .until("the webhook refuses", async || {
            let trial = DeleteParams::default().dry_run();
            world.api(CONFIG_MAP).delete("new", &trial).await.is_err()
        })
        .await;
    let kept = [("db", vec![config_map("db", "1"), config_map("moves", "1")])];
    let mut release = wanted(&kept);
    release.removals.push(("shop", "web"));
    world.publish(&release);
    let status = world.unhealthy("web", Health::Stalled).await;
    assert!(
        status.message.contains("cannot be deleted") && status.message.contains("guard.example.com"),
        "{}",
        status.message
    );
    // The next release says nothing of it, and it is not forgotten.
    let generation = world.publish(&wanted(&kept));
    world
        .reported("still told", |report| {
            let told = report.components.iter().any(|status| status.component == "web");
            let seen = report.release.as_ref().is_some_and(|release| release.generation == generation);
            (told && seen).then_some(()).ok_or("not told".into())
        })
        .await;
    world.api(WEBHOOK).delete("guard", &DeleteParams::default()).await.unwrap();
    world.publish(&release);
    world.until("it is gone", async || world.get(CONFIG_MAP, "new").await.is_none()).await;
    world.without("web").await;
}

async fn a_finalizer_is_named_until_it_lets_go(world: &mut World) {
    merge(world, CONFIG_MAP, "moves", json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    let mut release = wanted(&[("web", vec![config_map("web", "1")])]);
    release.removals.push(("shop", "db"));
    world.publish(&release);
    world
        .reported("the finalizer is named", |report| {
            let found = report.components.iter().find(|status| status.component == "db");
            let named = found.is_some_and(|status| status.message.contains("example.com/hold"));
            named.then_some(()).ok_or(format!("{found:?}"))
        })
        .await;
    assert_eq!(world.component("db", Health::Terminating, "Terminating").await.objects, 1);
    merge(world, CONFIG_MAP, "moves", json!({"metadata": {"finalizers": null}})).await;
    world.without("db").await;
}

async fn what_is_suspended_is_left_alone_until_it_is_resumed(world: &mut World) {
    let suspend = |value: Value| json!({"metadata": {"annotations": {"qonnect.io/suspend": value}}});
    // One object: what somebody does to it stays, what is wanted of others is done.
    merge(world, CONFIG_MAP, "web", suspend("enabled".into())).await;
    merge(world, CONFIG_MAP, "web", json!({"data": {"key": "by hand"}})).await;
    world.publish(&wanted(&[("web", vec![config_map("web", "2"), config_map("other", "2")])]));
    world.component("web", Health::Reconciling, "Suspended").await;
    world.until("the other is there", async || world.get(CONFIG_MAP, "other").await.is_some()).await;
    assert_eq!(world.get(CONFIG_MAP, "web").await.unwrap()["data"]["key"], "by hand");
    merge(world, CONFIG_MAP, "web", suspend(Value::Null)).await;
    world
        .until("it is resumed", async || world.get(CONFIG_MAP, "web").await.unwrap()["data"]["key"] == "2")
        .await;

    // Everything, through the agent's own namespace; removals wait as well.
    let homes: Api<Namespace> = Api::all(world.client.clone());
    let home = async |annotations: Value| {
        let patch = json!({"metadata": {"annotations": annotations}});
        homes.patch("qonnect-system", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    };
    home(json!({"qonnect.io/suspend": "enabled"})).await;
    world.stalled("suspended: nothing is applied or deleted").await;
    let mut release = wanted(&[("db", vec![config_map("db", "3")])]);
    release.removals.push(("shop", "web"));
    world.publish(&release);
    world.component("db", Health::Reconciling, "Suspended").await;
    assert!(world.get(CONFIG_MAP, "other").await.is_some() && world.get(CONFIG_MAP, "db").await.is_none());
    home(json!({"qonnect.io/suspend": null})).await;
    world.without("web").await;
    assert!(world.get(CONFIG_MAP, "db").await.is_some());

    // What waits for its next attempt is tried at once when somebody asks, in the cluster or at a lead.
    what_waits(world).await;
    home(json!({"qonnect.io/reconcile-at": "now"})).await;
    what_waited_is_done(world).await;
    world.lead.beat_every(Duration::from_millis(500));
    what_waits(world).await;
    world.lead.ask_to_reconcile();
    what_waited_is_done(world).await;
    world.lead.beat_every(Duration::from_secs(60));
}

/// A lamp of which nobody knew what it is.
async fn what_waits(world: &mut World) {
    let lamp = json!({"apiVersion": "example.com/v1", "kind": "Lamp", "metadata": {"name": "hall"}, "spec": {"on": true}});
    world.publish(&wanted(&[("db", vec![config_map("db", "3")]), ("light", vec![lamp])]));
    world.unhealthy("light", Health::Stalled).await;
    world
        .api(DEFINITION)
        .patch("lamps.example.com", &PatchParams::apply("somebody"), &Patch::Apply(&definition()))
        .await
        .unwrap();
    world.until("it is served", async || world.api(LAMP).list(&Default::default()).await.is_ok()).await;
}

async fn what_waited_is_done(world: &mut World) {
    world.component("light", Health::Ready, "").await;
    let mut release = wanted(&[("db", vec![config_map("db", "3")])]);
    release.removals.push(("shop", "light"));
    world.publish(&release);
    world.without("light").await;
    world.api(DEFINITION).delete("lamps.example.com", &DeleteParams::default()).await.unwrap();
    world
        .until("the definition is gone", async || world.get(DEFINITION, "lamps.example.com").await.is_none())
        .await;
}

pub(super) fn definition() -> Value {
    let schema = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"on": {"type": "boolean"}}},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "lamps.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Lamp", "plural": "lamps"}, "versions": [
            {"name": "v1", "served": true, "storage": true, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema}}
        ]},
    })
}

async fn a_definition_and_its_resource_come_and_go_together(world: &mut World) {
    let lamp = json!({"apiVersion": "example.com/v1", "kind": "Lamp", "metadata": {"name": "hall"}, "spec": {"on": true}});
    let release = wanted(&[("db", vec![config_map("db", "3")]), ("light", vec![lamp, definition()])]);
    let generation = world.publish(&release);
    world.applied(generation).await;
    world.component("light", Health::Ready, "").await;
    let condition = |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status, "reason": "Bulb", "message": "the bulb is broken"}]}});
    let says = async |world: &World, status: &str| {
        let params = PatchParams::default();
        world.api(LAMP).patch_status("hall", &params, &Patch::Merge(&condition(status))).await.unwrap();
    };
    says(world, "False").await;
    let status = world.component("light", Health::Reconciling, "Bulb").await;
    assert!(status.message.contains("the bulb is broken"), "{}", status.message);
    says(world, "True").await;
    world.component("light", Health::Ready, "").await;
    merge(world, LAMP, "hall", json!({"spec": {"on": false}})).await;
    world
        .until("it is on again", async || world.get(LAMP, "hall").await.unwrap()["spec"]["on"] == true)
        .await;
    let mut release = wanted(&[("db", vec![config_map("db", "3")])]);
    release.removals.push(("shop", "light"));
    world.publish(&release);
    world.without("light").await;
    world
        .until("the definition is gone", async || world.get(DEFINITION, "lamps.example.com").await.is_none())
        .await;
}

async fn a_thousand_objects_survive_a_restart_of_the_api_server(world: &mut World) {
    let many: Vec<Value> = (0..MANY).map(|at| config_map(&format!("many-{at}"), "1")).collect();
    let mut release = wanted(&[("many", many)]);
    release.removals.push(("shop", "db"));
    let generation = world.publish(&release);
    let there = async |world: &World| {
        let params = kube::api::ListParams::default().labels("qonnect.io/component=many");
        world.api(CONFIG_MAP).list_metadata(&params).await.map_or(0, |list| list.items.len())
    };
    world.until("it has begun", async || there(world).await > MANY / 20).await;
    world.plane.stop();
    world.plane.resume().await;
    world.applied(generation).await;
    assert_eq!(there(world).await, MANY);
    assert_eq!(world.component("many", Health::Ready, "").await.objects, MANY as u32);
    // A release that goes back changes nothing, and one that removes them all is obeyed.
    world.publish_changed(&wanted(&[("db", vec![])]), |spec, _| spec.generation = 1);
    world.stalled("generation 1 is older").await;
    assert_eq!(there(world).await, MANY);
    let mut release = wanted(&[("web", vec![config_map("web", "1")])]);
    release.removals.push(("shop", "many"));
    world.publish(&release);
    world.without("many").await;
    assert_eq!(there(world).await, 0);
}

async fn a_configuration_is_not_widened_by_a_release(world: &mut World) {
    let generation =
        world.publish(&wanted(&[("web", vec![deployment("web", "10m"), config_map("web", "1")])]));
    world.applied(generation).await;
    world.stop_agent();
    world.configure(|config| {
        config["allow"] = json!({"kinds": ["Namespace", "ConfigMap"], "namespaces": ["shop"]})
    });
    world.start_agent();
    // What it may not touch stays as it is, neither changed nor deleted.
    let before = world.get(DEPLOYMENT, "web").await.unwrap()["metadata"]["generation"].clone();
    world.publish(&wanted(&[("web", vec![deployment("web", "20m"), config_map("web", "2")])]));
    let status = world.component("web", Health::Stalled, "NotAllowed").await;
    assert!(status.message.contains("Deployment.apps is not among allow.kinds"), "{}", status.message);
    world
        .until("the rest goes on", async || world.get(CONFIG_MAP, "web").await.unwrap()["data"]["key"] == "2")
        .await;
    let mut release = wanted(&[("db", vec![config_map("db", "1")])]);
    release.removals.push(("shop", "web"));
    world.publish(&release);
    world.stalled("Deployment.apps shop/web of shop/web stays although it was removed").await;
    assert_eq!(world.get(DEPLOYMENT, "web").await.unwrap()["metadata"]["generation"], before);
    assert!(world.get(NAMESPACE, "shop").await.is_some());
}
