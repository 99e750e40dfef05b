//! DaemonSets: one pod on every node that takes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::scheduler::refuses;
use super::work::text;
use super::workload::{
    counts, create, delete, is_leaving, is_ready, pod_of, pods_of, ready, report, share, template_hash,
};
use crate::sim::objects::DeleteOptions;
use crate::sim::state::State;
use crate::sim::store::{Key, Object};

const REVISION: &str = "controller-revision-hash";
const AFFINITY: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";

pub(super) fn act(state: &mut State, key: &Key) {
    let Some(set) = state.store.get(key).cloned() else { return };
    if is_leaving(&set.value) {
        return;
    }
    let hash = template_hash(&set.value["spec"]["template"]);
    let nodes = eligible(state, &set.value);
    let mut pods: BTreeMap<String, Vec<(Key, Arc<Object>)>> = BTreeMap::new();
    for (pod, object) in pods_of(state, &set) {
        pods.entry(text(&object.value, AFFINITY).into()).or_default().push((pod, object));
    }
    for node in &nodes {
        if !pods.contains_key(node) {
            create(state, "pods", &key.namespace, pod_for(&set, &key.name, node, &hash));
        }
    }
    for (pod, _) in pods.iter().filter(|(node, _)| !nodes.contains(node)).flat_map(|(_, pods)| pods) {
        delete(state, pod, &DeleteOptions::default());
    }
    replace_stale(state, &set, &hash, nodes.len() as u64);
    status(state, key, &set, &hash, nodes.len() as u64);
}

fn eligible(state: &State, set: &Value) -> Vec<String> {
    let pod = with_tolerations(set["spec"]["template"].clone());
    let takes = |node: &&Arc<Object>| refuses(&node.value, &pod).is_none();
    state
        .store
        .list("nodes", "")
        .filter(takes)
        .map(|node| text(&node.value, "/metadata/name").into())
        .collect()
}

/// Daemons stay where ordinary pods would be sent away.
fn with_tolerations(mut pod: Value) -> Value {
    let mut tolerations = pod["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
    for key in
        ["not-ready", "unreachable", "unschedulable", "disk-pressure", "memory-pressure", "pid-pressure"]
    {
        tolerations.push(json!({"key": format!("node.kubernetes.io/{key}"), "operator": "Exists"}));
    }
    pod["spec"]["tolerations"] = tolerations.into();
    pod
}

fn pod_for(set: &Object, name: &str, node: &str, hash: &str) -> Value {
    let mut pod = with_tolerations(pod_of(set, &format!("{name}-"), &[(REVISION, hash)]));
    let field = json!({"key": "metadata.name", "operator": "In", "values": [node]});
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({"nodeSelectorTerms": [{"matchFields": [field]}]});
    pod
}

/// Deletes pods of old templates, as many at a time as the strategy allows.
fn replace_stale(state: &mut State, set: &Object, hash: &str, nodes: u64) {
    let strategy = &set.value["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        return;
    }
    let pods = pods_of(state, set);
    let missing = nodes.saturating_sub(ready(&pods));
    let mut budget =
        share(&strategy["rollingUpdate"]["maxUnavailable"], nodes, true).max(1).saturating_sub(missing);
    for (key, pod) in pods {
        let stale = pod.value["metadata"]["labels"][REVISION] != hash;
        if stale && !is_ready(&pod.value) {
            delete(state, &key, &DeleteOptions::default());
        } else if stale && budget > 0 {
            budget -= 1;
            delete(state, &key, &DeleteOptions::default());
        }
    }
}

fn status(state: &mut State, key: &Key, set: &Object, hash: &str, nodes: u64) {
    let pods = pods_of(state, set);
    let updated =
        pods.iter().filter(|(_, pod)| pod.value["metadata"]["labels"][REVISION] == hash).count() as u64;
    let ready = ready(&pods);
    let mut status = counts([
        ("numberAvailable", ready),
        ("numberUnavailable", nodes.saturating_sub(ready)),
        ("updatedNumberScheduled", updated),
    ]);
    for (field, count) in [
        ("currentNumberScheduled", pods.len() as u64),
        ("desiredNumberScheduled", nodes),
        ("numberMisscheduled", 0),
        ("numberReady", ready),
    ] {
        status.insert(field.into(), count.into());
    }
    report(state, key, status);
}
