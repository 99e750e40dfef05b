//! The harness itself: a real control plane on which Deployments become pods that run.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use qonnect_tests::control_plane::{ControlPlane, client};
use qonnect_tests::kubelet::{Kubelets, NodeSpec, ready_pods};
use qonnect_tests::wait::wait_for;
use serde_json::json;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_deployment_runs_survives_a_restart_of_the_plane_and_goes() {
    let mut plane = ControlPlane::start("harness").await;
    let _kubelets =
        Kubelets::start(&plane.kubeconfig_path(), vec![NodeSpec::new("worker", "6", "6Gi")]).await;
    let deployments: Api<Deployment> = Api::namespaced(plane.client().await, "default");
    let web = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1", "resources": {"requests": {"cpu": "1"}}}]},
        }},
    });
    deployments.patch("web", &PatchParams::apply("test"), &Patch::Apply(&web)).await.unwrap();
    pods_are(&plane, 2).await;

    plane.stop();
    assert!(deployments.get("web").await.is_err(), "a stopped plane answers nobody");
    plane.resume().await;
    deployments.delete("web", &DeleteParams::background()).await.unwrap();
    pods_are(&plane, 0).await;
}

#[tokio::test]
async fn somebody_without_rights_may_read_nothing() {
    let plane = ControlPlane::start_api("rights").await;
    let nobody = client(&plane.kubeconfig_as("system:serviceaccount:default:nobody")).await.unwrap();
    let refused = Api::<Pod>::default_namespaced(nobody).list(&Default::default()).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.is_forbidden()), "{refused}");
}

async fn pods_are(plane: &ControlPlane, count: usize) {
    let client = plane.client().await;
    wait_for(&format!("{count} pods"), MINUTE, async || {
        let ready = ready_pods(&client, "default").await.map_err(|error| error.to_string())?;
        let all: Api<Pod> = Api::namespaced(client.clone(), "default");
        let all = all.list(&Default::default()).await.map_err(|error| error.to_string())?.items.len();
        match (ready.len(), all) == (count, count) {
            true => Ok(()),
            false => Err(format!("{} ready of {all}\n{}", ready.len(), plane.tails())),
        }
    })
    .await;
}
