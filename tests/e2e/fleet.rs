//! Three real control planes with one node each, shared by all cases, one case at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::pinned_kind;
use qonnect_schema::{Cluster, yaml};
use qonnect_tests::folder::repository;
use qonnect_tests::git::Checkout;
use qonnect_tests::member::Member;
use qonnect_tests::wait::wait_for;
use qonnect_tests::world::World;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

pub(crate) const CLUSTERS: [&str; 3] = ["cloud-energy", "fog-energy", "fog-cost"];

/// The identity that `kind-clusters/agent/rbac.yaml` gives its rights to.
const AGENT: &str = "system:serviceaccount:qonnect-system:agent";

/// For whatever a loop of lead and agents does on a busy machine; measured are some seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What Kubernetes makes for itself.
const BUILT_IN: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// An object as `Kind namespace/name`.
pub(crate) type Objects = BTreeSet<String>;

pub(crate) struct Fleet {
    members: BTreeMap<&'static str, Member>,
}

/// The planes, empty, for one case alone: agents of two cases would fight over their objects.
pub(crate) async fn fleet() -> MutexGuard<'static, Fleet> {
    static FLEET: OnceCell<Mutex<Fleet>> = OnceCell::const_new();
    let fleet = FLEET.get_or_init(async || Mutex::new(Fleet::start().await)).await.lock().await;
    fleet.clear().await;
    fleet
}

impl Fleet {
    async fn start() -> Self {
        let members = CLUSTERS.map(async |name| (name, Member::start(&document(name)).await));
        Self { members: futures::future::join_all(members).await.into_iter().collect() }
    }

    /// Takes away what the case before has left behind.
    async fn clear(&self) {
        for name in CLUSTERS {
            let namespaces: Api<Namespace> = Api::all(self.client(name).await);
            wait_for(&format!("an empty {name}"), PATIENCE, async || {
                let all = namespaces.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
                let left: Vec<_> = all.iter().map(ResourceExt::name_any).collect();
                let left: Vec<_> = left.into_iter().filter(|one| !BUILT_IN.contains(&one.as_str())).collect();
                for namespace in &left {
                    // Terminating ones refuse to be deleted again.
                    namespaces.delete(namespace, &DeleteParams::background()).await.ok();
                }
                if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
            })
            .await;
            self.grant_rights(name).await;
        }
    }

    /// Applies the agent's rights as a person would who follows `kind-clusters/`.
    async fn grant_rights(&self, name: &str) {
        let client = self.client(name).await;
        let text = std::fs::read_to_string(repository().join("kind-clusters/agent/rbac.yaml")).unwrap();
        for document in text.split("\n---\n") {
            let object: DynamicObject = yaml::from_str(document).unwrap();
            let gvk = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
            let (resource, _) = pinned_kind(&client, &gvk).await.unwrap();
            let api: Api<DynamicObject> = match &object.metadata.namespace {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
                None => Api::all_with(client.clone(), &resource),
            };
            api.patch(&object.name_any(), &PatchParams::apply("person"), &Patch::Apply(&object))
                .await
                .unwrap();
        }
    }

    pub(crate) async fn client(&self, cluster: &str) -> kube::Client {
        self.members[cluster].plane.client().await
    }

    /// A lead and an agent for each cluster, on a repository with the example's fleet, cut down to these clusters,
    /// and no application yet.
    pub(crate) async fn world(&self, name: &str) -> World {
        self.start_world(World::new(name)).await
    }

    /// As [`Self::world`], with whatever was prepared.
    pub(crate) async fn start_world(&self, mut world: World) -> World {
        world.checkout.copy("example-repo");
        let clusters = std::fs::read_dir(world.checkout.folder().join("clusters")).unwrap();
        for file in clusters.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
            if !CLUSTERS.iter().any(|cluster| file == format!("{cluster}.yaml")) {
                std::fs::remove_file(world.checkout.folder().join("clusters").join(file)).unwrap();
            }
        }
        // An API server may keep the node port of a deleted Service for some rounds of its repair loop.
        static WORLDS: AtomicU16 = AtomicU16::new(300);
        let ports = format!("nodePort: {}", WORLDS.fetch_add(1, Ordering::Relaxed));
        world.checkout.edit("apps/bookinfo/application.yaml", "nodePort: 300", &ports);
        // There is no edge cluster among the three.
        world.checkout.edit("apps/bookinfo/application.yaml", "tiers: [edge]", "tiers: [fog]");
        std::fs::rename(world.checkout.folder().join("apps"), world.checkout.folder().join("later")).unwrap();
        world.checkout.push("the fleet");
        world.start_lead().await;
        for cluster in CLUSTERS {
            self.start_agent(&mut world, cluster);
        }
        world
    }

    /// With the rights of `kind-clusters/`, and no more.
    pub(crate) fn start_agent(&self, world: &mut World, cluster: &str) {
        world.start_agent(cluster, &self.members[cluster].plane.kubeconfig_as(AGENT));
    }

    /// A world in which Bookinfo runs, pushed with ordinary git.
    pub(crate) async fn world_with_bookinfo(&self, name: &str) -> World {
        let world = self.world(name).await;
        add_bookinfo(&world);
        let record = world.push("bookinfo").await;
        assert!(record.findings.is_empty(), "the example is free of faults: {record:?}");
        self.runs(&world, &on_energy()).await;
        world
    }

    /// Waits until these components run where they should, every object of theirs is there, Ready, and no object of
    /// ours is anywhere else.
    pub(crate) async fn runs(&self, world: &World, placement: &[(&str, &str)]) {
        let clients = futures::future::join_all(CLUSTERS.map(|cluster| self.client(cluster))).await;
        wait_for(&format!("{placement:?}"), PATIENCE, async || {
            for (cluster, client) in CLUSTERS.into_iter().zip(&clients) {
                let here = placement.iter().filter(|(_, on)| *on == cluster);
                let wanted: Objects = here.flat_map(|(component, _)| objects_of(component)).collect();
                let found = managed(client).await?;
                if found != wanted {
                    let (more, less): (Vec<_>, Vec<_>) =
                        (found.difference(&wanted).collect(), wanted.difference(&found).collect());
                    let tails = world.tails();
                    return Err(format!("{cluster}: too many {more:?}, missing {less:?}\n{tails}"));
                }
                let unready = unready(client).await?;
                if !unready.is_empty() {
                    return Err(format!("{cluster}: not ready {unready:?}\n{}", world.tails()));
                }
            }
            Ok(())
        })
        .await;
    }

    /// The Deployments and Services that QONNECT manages in a cluster.
    pub(crate) async fn objects(&self, cluster: &str) -> Result<Objects, String> {
        managed(&self.client(cluster).await).await
    }
}

/// The Deployments and Services that QONNECT manages, as a Kubernetes client sees them.
async fn managed(client: &kube::Client) -> Result<Objects, String> {
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=qonnect");
    let deployments: Api<Deployment> = Api::all(client.clone());
    let services: Api<Service> = Api::all(client.clone());
    let deployments = deployments.list(&ours).await.map_err(|error| error.to_string())?;
    let services = services.list(&ours).await.map_err(|error| error.to_string())?;
    let named = |kind: &str, namespace: Option<String>, name: String| {
        format!("{kind} {}/{name}", namespace.unwrap_or_default())
    };
    let deployments = deployments.iter().map(|one| named("Deployment", one.namespace(), one.name_any()));
    let services = services.iter().map(|one| named("Service", one.namespace(), one.name_any()));
    Ok(deployments.chain(services).collect())
}

async fn unready(client: &kube::Client) -> Result<Vec<String>, String> {
    let deployments: Api<Deployment> = Api::all(client.clone());
    let all = deployments.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
    let ready = |one: &Deployment| one.status.as_ref().and_then(|status| status.ready_replicas) == Some(1);
    Ok(all.iter().filter(|one| !ready(one)).map(ResourceExt::name_any).collect())
}

/// As the example has it.
fn document(cluster: &str) -> Cluster {
    let file = repository().join(format!("example-repo/clusters/{cluster}.yaml"));
    yaml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

pub(crate) fn add_bookinfo(world: &World) {
    let folder = world.checkout.folder();
    std::fs::rename(folder.join("later"), folder.join("apps")).unwrap();
}

/// Where Bookinfo runs while energy counts.
pub(crate) fn on_energy() -> [(&'static str, &'static str); 4] {
    [
        ("productpage", "cloud-energy"),
        ("reviews", "fog-energy"),
        ("details", "fog-energy"),
        ("ratings", "fog-energy"),
    ]
}

/// Where Bookinfo runs while cost counts; the cloud has one cluster only.
pub(crate) fn on_cost() -> [(&'static str, &'static str); 4] {
    [
        ("productpage", "cloud-energy"),
        ("reviews", "fog-cost"),
        ("details", "fog-cost"),
        ("ratings", "fog-cost"),
    ]
}

/// What a component of Bookinfo consists of.
fn objects_of(component: &str) -> Vec<String> {
    let versions: &[&str] = if component == "reviews" { &["v1", "v2", "v3"] } else { &["v1"] };
    let mut objects: Vec<_> =
        versions.iter().map(|version| format!("Deployment bookinfo/{component}-{version}")).collect();
    objects.push(format!("Service bookinfo/{component}"));
    if component != "productpage" {
        // For the callers on other clusters.
        objects.push(format!("Service bookinfo/{component}-qonnect"));
    }
    objects
}

/// Each world has node ports of its own: that of `reviews`.
pub(crate) fn reviews_port(checkout: &Checkout) -> String {
    let text = checkout.read("apps/bookinfo/application.yaml");
    let (_, after) = text.split_once("service: reviews, nodePort: ").expect("the example exposes reviews");
    after.chars().take_while(char::is_ascii_digit).collect()
}
