//! The manifests of `kind-clusters/` are ones that a Kubernetes API server takes.

use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use qonnect_schema::yaml::{self, Dialect, Limits, Node};
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::folder::repository;

#[tokio::test]
async fn every_manifest_passes_a_server_side_dry_run() {
    let plane = ControlPlane::start_api("kind-manifests").await;
    let client = plane.client().await;
    // Namespaces come to stay: nothing can be tried in one that is not there.
    let (namespaces, others): (Vec<_>, Vec<_>) =
        manifests().into_iter().partition(|(_, object)| object.types.as_ref().unwrap().kind == "Namespace");
    assert!(others.len() > 8, "lead and agent consist of more");
    let real = PatchParams::apply("kind-clusters");
    let dry = real.clone().dry_run();
    for (file, object) in &namespaces {
        apply(&client, object, &real).await.unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let mut refused = Vec::new();
    for (file, object) in &others {
        if let Err(error) = apply(&client, object, &dry).await {
            refused.push(format!("{file}: {error}"));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

async fn apply(client: &kube::Client, object: &DynamicObject, how: &PatchParams) -> Result<(), kube::Error> {
    let types = object.types.as_ref().expect("a manifest says what it is");
    let gvk = GroupVersionKind::try_from(types).expect("its version can be read");
    let (resource, capabilities) = pinned_kind(client, &gvk).await?;
    let api: Api<DynamicObject> = match (capabilities.scope, &object.metadata.namespace) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource),
        (Scope::Namespaced, None) => panic!("{} says no namespace", types.kind),
    };
    let name = object.metadata.name.as_deref().expect("a manifest has a name");
    api.patch(name, how, &Patch::Apply(object)).await.map(drop)
}

/// Every object of the lead's and the agent's manifests, with its file.
fn manifests() -> Vec<(String, DynamicObject)> {
    let files = ["lead/lead.yaml", "agent/rbac.yaml", "agent/agent.yaml"];
    let read = |file: &str| {
        let text = std::fs::read_to_string(repository().join("kind-clusters").join(file)).unwrap();
        let (documents, faults) = yaml::parse(text.as_bytes(), Dialect::Kubernetes, &Limits::DEFAULT);
        assert!(faults.is_empty(), "{file}: {faults:?}");
        let object = |document: Node| {
            serde_json::from_value(document.into_value()).unwrap_or_else(|error| panic!("{file}: {error}"))
        };
        let documents = documents.into_iter().map(|document| (file.to_owned(), object(document)));
        documents.collect::<Vec<_>>()
    };
    files.into_iter().flat_map(read).collect()
}
