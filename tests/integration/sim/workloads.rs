//! What controllers and nodes of a simulated cluster do, and what happens when it is paused, killed or full.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::discovery::Discovery;
use kube::{Client, ResourceExt};
use qonnect::sim::{Fleet, FleetConfig};
use qonnect_tests::wait::wait_for;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client;

const MINUTE: Duration = Duration::from_secs(60);

async fn one(text: &str) -> (Fleet, Client) {
    let config =
        FleetConfig { ready_after: Duration::from_millis(10), ..FleetConfig::new([text.parse().unwrap()]) };
    let fleet = Fleet::start(config).await.unwrap();
    let client = client(&fleet.members()[0]).await;
    (fleet, client)
}

async fn apply<K>(client: &Client, object: Value) -> K
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
    K::DynamicType: Default,
{
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let api: Api<K> = Api::default_namespaced(client.clone());
    api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&object)).await.unwrap()
}

fn workload(kind: &str, name: &str, replicas: u32, image: &str, cpu: &str) -> Value {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "a", "image": image, "resources": {"requests": {"cpu": cpu}}}]},
        }},
    });
    if kind == "DaemonSet" {
        object["spec"].as_object_mut().unwrap().remove("replicas");
    }
    object
}

/// Waits until the pods of an app are these, as `name-prefix phase ready image`.
async fn pods_are(client: &Client, app: &str, expected: &[&str]) {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    wait_for(&format!("the pods of {app}"), MINUTE, async || {
        let list = pods.list(&ListParams::default().labels(&format!("app={app}"))).await;
        let list = list.map_err(|error| error.to_string())?;
        let mut seen: Vec<String> = list.iter().map(shown).collect();
        seen.sort();
        if seen == expected { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
}

fn shown(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let is_ready = status.conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True");
    let image = pod.spec.as_ref().and_then(|spec| spec.containers[0].image.clone()).unwrap_or_default();
    let ready = if is_ready { "ready" } else { "waiting" };
    format!("{} {ready} {image}", status.phase.unwrap_or_default())
}

#[tokio::test]
async fn a_deployment_comes_up_rolls_to_a_new_template_and_leaves_nothing_behind() {
    let (_fleet, client) = one("one:cpu=4").await;
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    apply::<Deployment>(&client, workload("Deployment", "web", 2, "web:1", "1")).await;
    pods_are(&client, "web", &["Running ready web:1"; 2]).await;

    apply::<Deployment>(&client, workload("Deployment", "web", 2, "web:2", "1")).await;
    pods_are(&client, "web", &["Running ready web:2"; 2]).await;
    wait_for("a settled status", MINUTE, async || {
        let status =
            deployments.get("web").await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        let counts =
            (status.observed_generation, status.replicas, status.updated_replicas, status.available_replicas);
        let settled = counts == (Some(2), Some(2), Some(2), Some(2));
        if settled { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;

    for (count, expected) in [(0, &[][..]), (2, &["Running ready web:2"; 2][..])] {
        apply::<Deployment>(&client, workload("Deployment", "web", count, "web:2", "1")).await;
        pods_are(&client, "web", expected).await;
    }

    deployments.delete("web", &DeleteParams::background()).await.unwrap();
    pods_are(&client, "web", &[]).await;
}

#[tokio::test]
async fn pods_wait_until_a_node_has_room_for_them() {
    let (fleet, client) = one("small:cpu=2").await;
    apply::<Deployment>(&client, workload("Deployment", "first", 1, "a:1", "1500m")).await;
    pods_are(&client, "first", &["Running ready a:1"]).await;
    apply::<Deployment>(&client, workload("Deployment", "second", 1, "b:1", "1")).await;
    pods_are(&client, "second", &["Pending waiting b:1"]).await;
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    deployments.delete("first", &DeleteParams::foreground()).await.unwrap();
    pods_are(&client, "second", &["Running ready b:1"]).await;

    fleet.members()[0].fill(1.0);
    apply::<Deployment>(&client, workload("Deployment", "third", 1, "c:1", "100m")).await;
    pods_are(&client, "third", &["Pending waiting c:1"]).await;
    fleet.members()[0].fill(0.0);
    pods_are(&client, "third", &["Running ready c:1"]).await;
}

#[tokio::test]
async fn stateful_sets_daemon_sets_and_jobs_are_played() {
    let (_fleet, client) = one("many:cpu=8,nodes=3").await;
    apply::<StatefulSet>(&client, workload("StatefulSet", "store", 2, "a:1", "1")).await;
    pods_are(&client, "store", &["Running ready a:1"; 2]).await;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    assert_eq!(pods.get("store-1").await.unwrap().name_any(), "store-1");
    apply::<StatefulSet>(&client, workload("StatefulSet", "store", 2, "a:2", "1")).await;
    pods_are(&client, "store", &["Running ready a:2"; 2]).await;

    apply::<DaemonSet>(&client, workload("DaemonSet", "each", 0, "d:1", "1")).await;
    pods_are(&client, "each", &["Running ready d:1"; 3]).await;

    let job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"},
        "spec": {"completions": 2, "template": {"metadata": {"labels": {"app": "once"}}, "spec": {
            "restartPolicy": "Never", "containers": [{"name": "a", "image": "j:1"}],
        }}},
    });
    apply::<Job>(&client, job).await;
    pods_are(&client, "once", &["Succeeded waiting j:1"; 2]).await;
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    wait_for("the job's end", MINUTE, async || {
        let status = jobs.get("once").await.map_err(|error| error.to_string())?.status.unwrap_or_default();
        status.completion_time.map(drop).ok_or(format!("{:?}", status.conditions))
    })
    .await;
}

#[tokio::test]
async fn a_namespace_takes_its_objects_with_it_and_waits_for_finalizers() {
    let (_fleet, client) = one("one").await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "going"}});
    namespaces.patch("going", &PatchParams::apply("test"), &Patch::Apply(&namespace)).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "going");
    let held =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"finalizers": ["example.com/hold"]}});
    maps.patch("held", &PatchParams::apply("test"), &Patch::Apply(&held)).await.unwrap();
    namespaces.delete("going", &DeleteParams::default()).await.unwrap();
    wait_for("everything but what is held", MINUTE, async || {
        let names: Vec<_> = maps.list(&Default::default()).await.map_err(|error| error.to_string())?.items;
        let names: Vec<_> = names.iter().map(ResourceExt::name_any).collect();
        if names == ["held"] { Ok(()) } else { Err(format!("{names:?}")) }
    })
    .await;
    let late = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}});
    let refused = maps.patch("late", &PatchParams::apply("test"), &Patch::Apply(&late)).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.is_forbidden()), "{refused}");

    let released = json!({"metadata": {"finalizers": null}});
    maps.patch("held", &PatchParams::default(), &Patch::Merge(&released)).await.unwrap();
    wait_for("the end of the namespace", MINUTE, async || {
        match namespaces.get_opt("going").await.map_err(|error| error.to_string())? {
            None => Ok(()),
            Some(namespace) => Err(format!("{:?}", namespace.status)),
        }
    })
    .await;
}

#[tokio::test]
async fn a_watch_from_forgotten_history_is_told_to_list_again() {
    let (fleet, client) = one("one").await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let start = maps.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    maps.patch("a", &PatchParams::apply("test"), &Patch::Apply(&map)).await.unwrap();
    fleet.members()[0].compact();
    let mut watch = maps.watch(&WatchParams::default(), &start).await.unwrap().boxed();
    let event = watch.next().await;
    assert!(matches!(&event, Some(Ok(WatchEvent::Error(status))) if status.code == 410), "{event:?}");
}

#[tokio::test]
async fn a_killed_cluster_answers_nobody_and_comes_back_as_it_was() {
    let (fleet, client) = one("one:nodes=2").await;
    let member = &fleet.members()[0];
    let nodes: Api<Node> = Api::all(client.clone());
    let mut watch = nodes.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    assert!(watch.next().await.is_some());
    member.kill();
    let address = member.url().trim_start_matches("http://").to_owned();
    wait_for("a closed port", MINUTE, async || match tokio::net::TcpStream::connect(&address).await {
        Ok(_) => Err("it accepts connections".into()),
        Err(_) => Ok(()),
    })
    .await;
    let rest = tokio::time::timeout(MINUTE, watch.collect::<Vec<_>>()).await;
    assert!(rest.is_ok(), "a watch outlives its server");
    member.resume().await.unwrap();
    let nodes: Api<Node> = Api::all(super::client(member).await);
    assert_eq!(nodes.list(&Default::default()).await.unwrap().items.len(), 2);

    member.pause();
    let paused = tokio::time::timeout(Duration::from_millis(200), nodes.list(&Default::default())).await;
    assert!(paused.is_err(), "a paused cluster answers");
    member.resume().await.unwrap();
    assert_eq!(nodes.list(&Default::default()).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn discovery_finds_the_same_kinds_in_both_forms() {
    let (_fleet, client) = one("one").await;
    let plain = Discovery::new(client.clone()).run().await.unwrap();
    let aggregated = Discovery::new(client).run_aggregated().await.unwrap();
    let kinds = |discovery: &Discovery| {
        let groups = discovery.groups().flat_map(|group| group.recommended_resources());
        let mut kinds: Vec<_> = groups.map(|(kind, about)| format!("{kind:?} {:?}", about.scope)).collect();
        kinds.sort();
        kinds
    };
    assert_eq!(kinds(&plain), kinds(&aggregated));
    assert!(kinds(&plain).len() > 30);
}
