//! Plays the kubelets of a cluster, as KWOK does: nodes are Ready, bound pods run, deleted pods go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::control_plane::client;

const MANAGER: &str = "kubelet";

/// As often as real kubelets renew their leases.
const RENEWAL: Duration = Duration::from_secs(10);

/// A container whose image holds this word never starts.
pub const MISSING_IMAGE: &str = "does-not-exist";

/// A node to play.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    pub name: String,
    /// Kubernetes quantities, such as `6` and `6828Mi`.
    pub cpu: String,
    pub memory: String,
    pub storage: String,
    pub labels: BTreeMap<String, String>,
}

impl NodeSpec {
    pub fn new(name: &str, cpu: &str, memory: &str) -> Self {
        let [name, cpu, memory] = [name, cpu, memory].map(String::from);
        Self { name, cpu, memory, storage: "100Gi".into(), labels: BTreeMap::new() }
    }

    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }
}

/// The kubelets of one cluster, on a thread of their own. They fall silent when this is dropped.
#[derive(Debug)]
pub struct Kubelets {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Kubelets {
    /// Registers the nodes, then keeps them and their pods alive.
    pub async fn start(kubeconfig: &Path, nodes: Vec<NodeSpec>) -> Self {
        let client = client(kubeconfig).await.expect("the kubeconfig of a test is sound");
        for node in &nodes {
            register(&client, node).await.unwrap_or_else(|error| panic!("node {}: {error}", node.name));
        }
        let (stop, stopped) = oneshot::channel();
        let kubeconfig = PathBuf::from(kubeconfig);
        let thread = std::thread::spawn(move || play(&kubeconfig, &nodes, stopped));
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Kubelets {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn play(kubeconfig: &Path, nodes: &[NodeSpec], stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be had").block_on(async {
        let client = client(kubeconfig).await.expect("it was sound a moment ago");
        tokio::select! {
            _ = stopped => {}
            () = renew(&client, nodes) => {}
            () = run_pods(&client) => {}
        }
    });
}

async fn register(client: &Client, spec: &NodeSpec) -> Result<(), kube::Error> {
    let nodes: Api<Node> = Api::all(client.clone());
    let mut labels = spec.labels.clone();
    labels.insert("kubernetes.io/hostname".into(), spec.name.clone());
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": spec.name, "labels": labels},
    });
    let parameters = PatchParams::apply(MANAGER).force();
    nodes.patch(&spec.name, &parameters, &Patch::Apply(&node)).await?;
    nodes.patch_status(&spec.name, &PatchParams::default(), &Patch::Merge(status_of_node(spec))).await?;
    renew_lease(client, &spec.name).await
}

fn status_of_node(spec: &NodeSpec) -> Value {
    let now = Timestamp::now().to_string();
    let capacity =
        json!({"cpu": spec.cpu, "memory": spec.memory, "ephemeral-storage": spec.storage, "pods": "110"});
    let condition = |kind: &str, status: &str| {
        json!({"type": kind, "status": status, "reason": "Played", "message": "",
               "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    json!({"status": {
        "capacity": capacity, "allocatable": capacity,
        "conditions": [
            condition("Ready", "True"), condition("MemoryPressure", "False"),
            condition("DiskPressure", "False"), condition("PIDPressure", "False"),
        ],
        "nodeInfo": {
            "architecture": "arm64", "bootID": "", "containerRuntimeVersion": "played://1",
            "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "v1.20.2", "machineID": "",
            "operatingSystem": "linux", "osImage": "", "systemUUID": "",
        },
    }})
}

async fn renew(client: &Client, nodes: &[NodeSpec]) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        for node in nodes {
            // A control plane that a test has stopped answers again later.
            renew_lease(client, &node.name).await.ok();
        }
    }
}

async fn renew_lease(client: &Client, node: &str) -> Result<(), kube::Error> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-node-lease");
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": node},
        "spec": {"holderIdentity": node, "leaseDurationSeconds": 40,
                 "renewTime": format!("{:.6}", Timestamp::now())},
    });
    leases.patch(node, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&lease)).await.map(drop)
}

async fn run_pods(client: &Client) {
    let pods: Api<Pod> = Api::all(client.clone());
    let bound = watcher::Config::default().fields("spec.nodeName!=");
    let events = watcher(pods, bound).filter_map(async |event| event.ok());
    events
        .for_each_concurrent(8, |event| async {
            if let Event::Apply(pod) | Event::InitApply(pod) = event
                && let Err(error) = care_for(client, &pod).await
            {
                eprintln!("pod {}: {error}", pod.name_any());
            }
        })
        .await;
}

/// One step of a pod's life. What it changes comes back as an event.
async fn care_for(client: &Client, pod: &Pod) -> Result<(), kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let name = pod.name_any();
    let done = if pod.metadata.deletion_timestamp.is_some() {
        pods.delete(&name, &DeleteParams::default().grace_period(0)).await.map(drop)
    } else if pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending") == "Pending"
    {
        let status = status_of_pod(pod);
        match reached(pod, &status) {
            true => Ok(()),
            false => pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await.map(drop),
        }
    } else {
        Ok(())
    };
    match done {
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        other => other,
    }
}

/// A pod that cannot start stays Pending: without this look it would be told so for ever.
fn reached(pod: &Pod, status: &Value) -> bool {
    let waits = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref()).is_some();
    waits && status["status"]["phase"] == "Pending"
}

fn status_of_pod(pod: &Pod) -> Value {
    let now = Timestamp::now().to_string();
    let spec = pod.spec.as_ref().expect("a bound pod has a spec");
    let missing =
        spec.containers.iter().any(|one| one.image.iter().any(|image| image.contains(MISSING_IMAGE)));
    let is_job = pod.owner_references().iter().any(|owner| owner.kind == "Job");
    let (phase, ready) = match (missing, is_job) {
        (true, _) => ("Pending", false),
        (false, true) => ("Succeeded", false),
        (false, false) => ("Running", true),
    };
    let state = match phase {
        "Running" => json!({"running": {"startedAt": now}}),
        "Succeeded" => json!({"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": now}}),
        _ => json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}),
    };
    let containers: Vec<_> = spec
        .containers
        .iter()
        .map(|one| {
            json!({"name": one.name, "image": one.image, "imageID": "", "ready": ready, "started": ready,
                   "restartCount": 0, "state": state})
        })
        .collect();
    let condition = |kind: &str, holds: bool| json!({"type": kind, "status": if holds { "True" } else { "False" }, "lastTransitionTime": now});
    json!({"status": {
        "phase": phase, "startTime": now, "hostIP": "127.0.0.1", "podIP": "10.244.0.1",
        "podIPs": [{"ip": "10.244.0.1"}],
        "containerStatuses": containers,
        "conditions": [
            condition("PodScheduled", true), condition("Initialized", true),
            condition("ContainersReady", ready), condition("Ready", ready),
        ],
    }})
}

/// All pods of a namespace that run and are ready, by name.
pub async fn ready_pods(client: &Client, namespace: &str) -> Result<Vec<String>, kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let all = pods.list(&Default::default()).await?;
    let ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
    };
    Ok(all.iter().filter(|pod| ready(pod)).map(ResourceExt::name_any).collect())
}
