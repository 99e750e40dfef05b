//! Nodes: registered with what their cluster declares, and filled on demand.

use qonnect_schema::ClusterSpec;
use qonnect_schema::documents::cluster::DeclaredNode;
use serde_json::{Value, json};

use super::scheduler::Amount;
use super::work::{Task, text};
use super::workload::{create, delete};
use crate::sim::objects::{self, DeleteOptions, Part, Write};
use crate::sim::state::{State, now};

/// Where the pods go that play foreign load.
const FILL: &str = "sim-fill";

/// Registers the nodes that a cluster declares, as their kubelets would.
pub(in crate::sim) fn register(state: &mut State, cluster: &ClusterSpec) {
    for declared in &cluster.nodes {
        for number in 1..=declared.count {
            let name = match declared.count {
                1 => declared.name.clone(),
                _ => format!("{}-{number}", declared.name),
            };
            let kind = state.kinds.get("nodes").expect("nodes are built in").clone();
            let write = Write {
                kind,
                version: "v1".into(),
                namespace: String::new(),
                name: name.clone(),
                part: Part::Whole,
                manager: "kubelet".into(),
                dry_run: false,
                time: now(),
            };
            let created = objects::create(state, &write, node(cluster, declared, &name));
            created.inspect_err(|error| tracing::warn!(name, ?error, "a declared node is not valid")).ok();
        }
    }
}

fn node(cluster: &ClusterSpec, declared: &DeclaredNode, name: &str) -> Value {
    let defaults = &cluster.defaults;
    let mut capacity = json!({
        "cpu": declared.cpu.to_string(),
        "memory": declared.memory.to_string(),
        "ephemeral-storage": declared.storage.to_string(),
        "pods": declared.pods.to_string(),
    });
    for (name, amount) in &declared.extended {
        capacity[name] = amount.to_string().into();
    }
    let mut node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": {}, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/arch": "arm64", "kubernetes.io/os": "linux",
        }},
        "spec": {},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "nodeInfo": {
                "architecture": "arm64", "operatingSystem": "linux", "kubeletVersion": crate::sim::VERSION,
                "kubeProxyVersion": crate::sim::VERSION, "osImage": "simulated", "kernelVersion": "simulated",
                "containerRuntimeVersion": "sim://1", "bootID": "", "machineID": "", "systemUUID": "",
            },
        },
    });
    let facts = [
        ("qonnect.io/energy", declared.energy.or(defaults.energy).map(|rate| rate.to_string())),
        ("qonnect.io/price", declared.price.or(defaults.price).map(|price| price.to_string())),
        (
            "qonnect.io/bandwidth",
            declared.bandwidth.or(defaults.bandwidth).map(|bandwidth| bandwidth.0.to_string()),
        ),
        ("qonnect.io/region", cluster.region.clone()),
        ("topology.kubernetes.io/region", cluster.region.clone()),
    ];
    for (name, fact) in facts {
        let Some(fact) = fact else { continue };
        // A name such as Europe/Berlin is no label.
        let plain = fact.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        node["metadata"][if plain { "labels" } else { "annotations" }][name] = fact.into();
    }
    let time = now();
    let condition = |kind: &str, holds: bool, reason: &str| {
        json!({
            "type": kind, "status": if holds { "True" } else { "False" }, "reason": reason, "message": reason,
            "lastHeartbeatTime": time, "lastTransitionTime": time,
        })
    };
    node["status"]["conditions"] = json!([
        condition("MemoryPressure", false, "KubeletHasSufficientMemory"),
        condition("DiskPressure", false, "KubeletHasNoDiskPressure"),
        condition("PIDPressure", false, "KubeletHasSufficientPID"),
        condition("Ready", true, "KubeletReady"),
    ]);
    node
}

/// A node came, changed or went: what waits for room looks again.
pub(super) fn changed(state: &mut State) {
    state.work.retry_unschedulable();
    let sets: Vec<_> =
        state.store.range("daemonsets.apps", "", ("", "")).map(|(name, _)| name.clone()).collect();
    for (namespace, name) in sets {
        let key = state.key("daemonsets.apps", &namespace, &name);
        state.work.push(Task::Object(key));
    }
}

/// Takes this share of what is free on every node, for pods that are nobody's; replaces an earlier fill.
pub(in crate::sim) fn fill(state: &mut State, share: f64) {
    let old: Vec<_> = state.store.range("pods", FILL, ("", "")).map(|(name, _)| name.clone()).collect();
    for (namespace, name) in old {
        let key = state.key("pods", &namespace, &name);
        delete(state, &key, &DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() });
    }
    if state.get("namespaces", "", FILL).is_none() {
        super::make_namespace(state, FILL);
    }
    let nodes: Vec<_> = state.store.list("nodes", "").cloned().collect();
    for node in nodes.iter().filter(|_| share > 0.0) {
        let name = text(&node.value, "/metadata/name");
        let free = Amount::of(&node.value["status"]["allocatable"]).minus(state.work.occupancy.on(name));
        let part = |amount: u64| (amount as f64 * share.min(1.0)) as u64;
        let requests =
            json!({"cpu": format!("{}m", part(free.cpu)), "memory": part(free.memory).to_string()});
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": format!("fill-{name}")},
            "spec": {"nodeName": name, "containers": [{
                "name": "load", "image": "registry.k8s.io/pause:3.10", "resources": {"requests": requests},
            }]},
        });
        create(state, "pods", FILL, pod);
    }
}
