//! StatefulSets: numbered pods, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::work::text;
use super::workload::{
    counts, create, delete, is_leaving, is_ready, owned, owner_reference, pod_of, pods_of, ready, replicas,
    report, template_hash,
};
use crate::sim::objects::DeleteOptions;
use crate::sim::state::State;
use crate::sim::store::{Key, Object};

const REVISION: &str = "controller-revision-hash";

pub(super) fn act(state: &mut State, key: &Key) {
    let Some(set) = state.store.get(key).cloned() else { return };
    if is_leaving(&set.value) {
        return;
    }
    let revision = format!("{}-{}", key.name, template_hash(&set.value["spec"]["template"]));
    step(state, key, &set, &revision);
    status(state, key, &set, &revision);
}

/// Creates, deletes or replaces what may change now.
fn step(state: &mut State, key: &Key, set: &Object, revision: &str) {
    let wanted = replicas(&set.value);
    let ordered = set.value["spec"]["podManagementPolicy"] != "Parallel";
    // Pods that are leaving still hold their names.
    let pods: BTreeMap<String, Arc<Object>> =
        owned(state, set, "pods").into_iter().map(|(pod, object)| (pod.name, object)).collect();
    let name = |ordinal: u64| format!("{}-{ordinal}", key.name);
    for ordinal in 0..wanted {
        match pods.get(&name(ordinal)) {
            None => make(state, set, key, &name(ordinal), ordinal, revision),
            Some(pod) if is_ready(&pod.value) && !is_leaving(&pod.value) => continue,
            Some(_) => {}
        }
        if ordered {
            return;
        }
    }
    let ordinal =
        |name: &str| name.rsplit('-').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(u64::MAX);
    if let Some(last) =
        pods.keys().map(|name| (ordinal(name), name)).filter(|(ordinal, _)| *ordinal >= wanted).max()
    {
        let key = state.key("pods", &key.namespace, last.1);
        return delete(state, &key, &DeleteOptions::default());
    }
    let strategy = &set.value["spec"]["updateStrategy"];
    let partition = strategy["rollingUpdate"]["partition"].as_u64().unwrap_or(0);
    if strategy["type"] == "OnDelete" {
        return;
    }
    let stale = |ordinal: &u64| {
        pods.get(&name(*ordinal))
            .is_some_and(|pod| text(&pod.value["metadata"]["labels"][REVISION], "") != revision)
    };
    if let Some(ordinal) = (partition..wanted).rev().find(stale) {
        let key = state.key("pods", &key.namespace, &name(ordinal));
        delete(state, &key, &DeleteOptions::default());
    }
}

fn make(state: &mut State, set: &Object, key: &Key, name: &str, ordinal: u64, revision: &str) {
    let ordinal = ordinal.to_string();
    let labels = [
        (REVISION, revision),
        ("statefulset.kubernetes.io/pod-name", name),
        ("apps.kubernetes.io/pod-index", ordinal.as_str()),
    ];
    let mut pod = pod_of(set, name, &labels);
    pod["spec"]["hostname"] = name.into();
    let mut volumes = pod["spec"]["volumes"].as_array().cloned().unwrap_or_default();
    for template in set.value["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten() {
        let volume = text(template, "/metadata/name");
        let claim = format!("{volume}-{name}");
        volumes.push(json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}));
        if state.get("persistentvolumeclaims", &key.namespace, &claim).is_none() {
            create(state, "persistentvolumeclaims", &key.namespace, claim_of(set, template, &claim));
        }
    }
    if !volumes.is_empty() {
        pod["spec"]["volumes"] = volumes.into();
    }
    create(state, "pods", &key.namespace, pod);
}

fn claim_of(set: &Object, template: &Value, name: &str) -> Value {
    let mut claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": set.value["spec"]["selector"]["matchLabels"]},
        "spec": template["spec"],
    });
    if set.value["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete" {
        claim["metadata"]["ownerReferences"] = json!([owner_reference(set)]);
    }
    claim
}

fn status(state: &mut State, key: &Key, set: &Object, revision: &str) {
    let pods = pods_of(state, set);
    let at = |wanted: &str| {
        let same = |pod: &Object| pod.value["metadata"]["labels"][REVISION] == wanted;
        pods.iter().filter(|(_, pod)| same(pod)).count() as u64
    };
    let (all, ready, updated) = (pods.len() as u64, ready(&pods), at(revision));
    let done = updated == all && all == replicas(&set.value) && ready == all;
    let before = text(&set.value, "/status/currentRevision");
    let current = if done || before.is_empty() { revision } else { before };
    let mut status = counts([
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("updatedReplicas", updated),
        ("currentReplicas", at(current)),
    ]);
    status.insert("replicas".into(), all.into());
    status.insert("collisionCount".into(), 0.into());
    status.insert("currentRevision".into(), current.into());
    status.insert("updateRevision".into(), revision.into());
    report(state, key, status);
}
