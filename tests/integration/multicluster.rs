//! The objects of SIG Multicluster that `qonnect` writes and reads, against a real API server with their schemas.

use std::process::Command;

use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::process::run_command;
use qonnect_tests::wait::wait_for;
use qonnect_tests::world::World;
use qonnect_tests::{folder, programs};
use serde_json::{Value, json};

use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const DEFINITIONS: [&str; 2] =
    [include_str!("multicluster/placementdecisions.yaml"), include_str!("multicluster/clusterprofiles.yaml")];
const GROUP: &str = "multicluster.x-k8s.io";

fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

async fn define(client: &kube::Client) {
    let crd = resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let definitions: Api<DynamicObject> = Api::all_with(client.clone(), &crd);
    for text in DEFINITIONS {
        let definition: DynamicObject = qonnect_schema::yaml::from_str(text).unwrap();
        let name = definition.metadata.name.clone().unwrap();
        definitions.create(&Default::default(), &definition).await.unwrap();
        wait_for(&name, PATIENCE, async || {
            let now = definitions.get(&name).await.map_err(|error| error.to_string())?;
            let conditions = now.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let established =
                conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True");
            if established { Ok(()) } else { Err(format!("{conditions:?}")) }
        })
        .await;
    }
}

/// What `qonnect export` writes.
fn exported(world: &World, what: &str) -> Vec<Value> {
    let mut export = Command::new(programs::qonnect());
    export.args(["export", what, "--output", "json", "--lead", &world.url()]);
    let list: Value = serde_json::from_str(&run_command(export)).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// Applies as `kubectl apply --server-side` does, and returns what the server has kept.
async fn applied(api: &Api<DynamicObject>, object: &Value, status: bool) -> Value {
    let (name, params) = (object["metadata"]["name"].as_str().unwrap(), PatchParams::apply("test").force());
    let kept = match status {
        true => api.patch_status(name, &params, &Patch::Apply(object)).await,
        false => api.patch(name, &params, &Patch::Apply(object)).await,
    };
    serde_json::to_value(kept.unwrap_or_else(|error| panic!("{object}: {error}"))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn placements_and_clusters_fit_the_published_schemas_and_clusters_come_back() {
    let mut world = World::new("multicluster");
    world.checkout.copy("example-repo");
    let commit = world.checkout.push("the fleet");
    world.start_lead().await;
    wait_for("placements", PATIENCE, async || {
        let records = world.revisions().await?;
        let published = records.iter().any(|one| one.commit == commit && one.published.is_some());
        if published { Ok(()) } else { Err(world.tails()) }
    })
    .await;

    let plane = ControlPlane::start_api("multicluster").await;
    let client = plane.client().await;
    define(&client).await;
    let api = |kind: &str| {
        Api::<DynamicObject>::namespaced_with(client.clone(), "default", &resource(GROUP, "v1alpha1", kind))
    };

    let (decisions, profiles) = (api("PlacementDecision"), api("ClusterProfile"));
    let written = exported(&world, "placements");
    assert_eq!(written.len(), 4, "{written:#?}");
    for object in &written {
        let kept = applied(&decisions, object, false).await;
        assert_eq!((&kept["decisions"], &kept["schedulerName"]), (&object["decisions"], &json!("qonnect")));
    }
    let placed = world.placements().await.unwrap();
    let ratings = placed.iter().find(|one| one.component == "ratings").unwrap();
    let labels = ListParams::default().labels("multicluster.x-k8s.io/decision-key=bookinfo.ratings");
    let found = serde_json::to_value(decisions.list(&labels).await.unwrap().items).unwrap();
    assert_eq!(found[0]["decisions"][0]["clusterProfileRef"]["name"], json!(ratings.cluster));

    let written = exported(&world, "clusters");
    assert_eq!(written.len(), 9);
    for object in &written {
        applied(&profiles, object, false).await;
        let kept = applied(&profiles, object, true).await;
        assert_eq!(kept["status"]["properties"], object["status"]["properties"]);
        assert_eq!(kept["status"]["conditions"], object["status"]["conditions"]);
    }

    // Back again, from what the API server gives, with one more of somebody else.
    let foreign = json!({
        "apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfile",
        "metadata": {"name": "prod-eu", "labels": {"team": "shop", "x-k8s.io/cluster-manager": "somebody"}},
        "spec": {"clusterManager": {"name": "somebody"}, "displayName": "Production in Europe"},
        "status": {
            "properties": [{"name": "topology.kubernetes.io/region", "value": "eu"}, {"name": "gpus", "value": "4"}],
            "credentialProviders": [{"name": "secretreader"}],
        },
    });
    applied(&profiles, &foreign, false).await;
    applied(&profiles, &foreign, true).await;
    let fleet = folder::fresh("multicluster-fleet");
    run_command({
        let mut init = Command::new(programs::qonnect());
        init.arg("init").arg(fleet.join("fleet"));
        init
    });
    let list = serde_json::to_string(&profiles.list(&ListParams::default()).await.unwrap()).unwrap();
    std::fs::write(fleet.join("profiles.json"), list).unwrap();
    let mut import = Command::new(programs::qonnect());
    import.args(["import", "clusterprofiles", "profiles.json", "--tier", "cloud", "--out", "fleet"]);
    let output = import.current_dir(&fleet).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for note in ["prod-eu: the property gpus", "credentialProviders", "\"Production in Europe\""] {
        assert!(said.contains(note), "{note}:\n{said}");
    }
    let ours = std::fs::read_to_string(fleet.join("fleet/clusters/prod-eu.yaml")).unwrap();
    assert!(
        ours.contains("region: eu") && ours.contains("tier: cloud") && ours.contains("team: shop"),
        "{ours}"
    );
    assert!(!ours.contains("somebody"), "{ours}");
    let fog = std::fs::read_to_string(fleet.join("fleet/clusters/fog-cost.yaml")).unwrap();
    assert!(fog.contains("tier: fog"), "{fog}");
    let mut validate = Command::new(programs::qonnect());
    validate.arg("validate").arg(fleet.join("fleet"));
    run_command(validate);
}
