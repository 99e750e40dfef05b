//! The same calls to the real API server and to a simulated cluster, and the same answers.

use std::path::Path;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Client, Resource};
use qonnect::sim::{Fleet, FleetConfig};
use qonnect_tests::control_plane::ControlPlane;
use serde_json::json;

use super::calls::{Call, Session};
use super::client;

#[tokio::test]
async fn the_real_api_server_and_a_simulated_cluster_give_the_same_answers() {
    let plane = ControlPlane::start_api("sim-contract").await;
    let fleet = Fleet::start(FleetConfig::new(["one".parse().unwrap()])).await.unwrap();
    let simulated = client(&fleet.members()[0]).await;
    let mut differences = Vec::new();
    for scenario in ["apply", "writes", "reads", "custom"] {
        let mut servers = [Session::new(plane.client().await), Session::new(simulated.clone())];
        for call in calls(scenario) {
            let real = servers[0].run(&call).await;
            let played = servers[1].run(&call).await;
            if real != played {
                differences.push(format!("{scenario}: {call}\n  real      {real:?}\n  simulated {played:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));

    let real = watched(plane.client().await).await;
    assert_eq!(watched(simulated).await, real);
    assert_eq!(real.len(), 8, "{real:?}");
}

#[tokio::test]
async fn custom_kinds_are_served_with_the_lists_that_they_declare() {
    let fleet = Fleet::start(FleetConfig::new(["one".parse().unwrap()])).await.unwrap();
    let mut session = Session::new(client(&fleet.members()[0]).await);
    let mut codes = Vec::new();
    for call in calls("custom") {
        codes.push(session.run(&call).await.code);
    }
    assert_eq!(codes, [201, 201, 200, 201, 200, 409, 200, 200, 415, 422, 201, 200]);
}

fn calls(scenario: &str) -> Vec<Call> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("integration/sim/{scenario}.yaml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    qonnect_schema::yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What two watches see of one story: the whole kind in a namespace, and a selection of it.
async fn watched(client: Client) -> Vec<String> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "watched"}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client, "watched");
    let start = maps.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
    let params = PatchParams::apply("t");
    let map = |label: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"app": label}}});
    for label in ["x", "x", "y", "x"] {
        maps.patch("a", &params, &Patch::Apply(&map(label))).await.unwrap();
    }
    maps.delete("a", &DeleteParams::default()).await.unwrap();
    let mut seen = Vec::new();
    for (selector, events) in [("app", 4), ("app=x", 4)] {
        let watch = WatchParams::default().labels(selector).timeout(20);
        let stream = maps.watch(&watch, &start).await.unwrap().take(events);
        let events: Vec<_> = stream.try_collect().await.unwrap();
        seen.extend(events.into_iter().map(|event| format!("{selector}: {}", shown(&event))));
    }
    seen
}

fn shown(event: &WatchEvent<ConfigMap>) -> String {
    let of = |map: &ConfigMap| format!("{:?} {:?}", map.meta().name, map.meta().labels);
    match event {
        WatchEvent::Added(map) => format!("added {}", of(map)),
        WatchEvent::Modified(map) => format!("modified {}", of(map)),
        WatchEvent::Deleted(map) => format!("deleted {}", of(map)),
        WatchEvent::Bookmark(_) => "bookmark".into(),
        WatchEvent::Error(status) => format!("error {}", status.code),
    }
}
