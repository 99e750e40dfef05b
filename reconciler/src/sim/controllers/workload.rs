//! What the controllers of workloads share.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::work::{count, text};
use crate::sim::objects::{self, DeleteOptions, Part, Write};
use crate::sim::state::{State, now, safe_text};
use crate::sim::store::{Key, Object};

/// The field manager of all controllers.
pub(super) const MANAGER: &str = "kube-controller-manager";

/// The objects of a kind that this one owns.
pub(super) fn owned(state: &State, owner: &Object, kind: &str) -> Vec<(Key, Arc<Object>)> {
    let keys = state.store.children(owner.uid()).into_iter().filter(|key| &*key.kind == kind);
    keys.filter_map(|key| state.store.get(&key).cloned().map(|object| (key, object))).collect()
}

/// Its pods that are not on their way out.
pub(super) fn pods_of(state: &State, owner: &Object) -> Vec<(Key, Arc<Object>)> {
    let mut pods = owned(state, owner, "pods");
    pods.retain(|(_, pod)| !is_leaving(&pod.value) && !is_finished(&pod.value));
    pods
}

pub(super) fn is_leaving(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

pub(super) fn is_finished(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

pub(super) fn replicas(object: &Value) -> u64 {
    object["spec"]["replicas"].as_u64().unwrap_or(1)
}

fn write(state: &State, key: &Key) -> Option<Write> {
    let kind = state.kind_of(key)?;
    Some(Write {
        version: kind.storage().name.clone(),
        kind,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        part: Part::Whole,
        manager: MANAGER.into(),
        dry_run: false,
        time: now(),
    })
}

/// Creates an object; what cannot be created now is tried again when its owner changes.
pub(super) fn create(state: &mut State, kind: &str, namespace: &str, object: Value) -> Option<Arc<Object>> {
    let key = state.key(kind, namespace, "");
    let write = write(state, &key)?;
    let created = objects::create(state, &write, object);
    created
        .inspect_err(|error| tracing::debug!(kind, namespace, ?error, "a controller could not create"))
        .ok()
}

pub(super) fn delete(state: &mut State, key: &Key, options: &DeleteOptions) {
    if let Some(write) = write(state, key) {
        let deleted = objects::delete(state, &write, options);
        deleted.inspect_err(|error| tracing::debug!(?key, ?error, "a controller could not delete")).ok();
    }
}

/// A pod of a workload's template.
pub(super) fn pod_of(owner: &Object, name: &str, labels: &[(&str, &str)]) -> Value {
    let template = &owner.value["spec"]["template"];
    let mut metadata = json!({"ownerReferences": [owner_reference(owner)]});
    for field in ["labels", "annotations"] {
        if let Some(value) = template["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    for (label, value) in labels {
        metadata["labels"][*label] = (*value).into();
    }
    match name.ends_with('-') {
        true => metadata["generateName"] = name.into(),
        false => metadata["name"] = name.into(),
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

pub(super) fn owner_reference(owner: &Object) -> Value {
    json!({
        "apiVersion": owner.value["apiVersion"],
        "kind": owner.value["kind"],
        "name": owner.value["metadata"]["name"],
        "uid": owner.value["metadata"]["uid"],
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The name of a template's contents.
pub(super) fn template_hash(template: &Value) -> String {
    safe_text(&Sha256::digest(template.to_string().as_bytes())[..10])
}

/// Counts of a status; zeros are left out, as Kubernetes does.
pub(super) fn counts<const N: usize>(counts: [(&str, u64); N]) -> Map<String, Value> {
    let shown = counts.into_iter().filter(|(_, count)| *count != 0);
    shown.map(|(name, count)| (name.to_owned(), count.into())).collect()
}

/// Writes the status of a workload; what it says nothing about stays, if it is a list, and goes otherwise.
pub(super) fn report(state: &mut State, key: &Key, status: Map<String, Value>) {
    state.edit(key, MANAGER, "status", |object| {
        let mut status = status;
        status.insert("observedGeneration".into(), object["metadata"]["generation"].clone());
        if let Some(conditions) =
            object["status"].get("conditions").filter(|_| !status.contains_key("conditions"))
        {
            status.insert("conditions".into(), conditions.clone());
        }
        object["status"] = Value::Object(status);
    });
}

/// How many of the pods are ready.
pub(super) fn ready(pods: &[(Key, Arc<Object>)]) -> u64 {
    pods.iter().filter(|(_, pod)| is_ready(&pod.value)).count() as u64
}

/// `25%` of a number, or a plain count.
pub(super) fn share(value: &Value, of: u64, round_up: bool) -> u64 {
    if let Some(count) = value.as_u64() {
        return count;
    }
    let percent =
        value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse::<u64>().ok());
    let hundredths = percent.unwrap_or(25) * of;
    if round_up { hundredths.div_ceil(100) } else { hundredths / 100 }
}

/// Sets a condition; its times move only when it changes. True if it did.
pub(super) fn set_condition(
    conditions: &mut Vec<Value>,
    kind: &str,
    holds: bool,
    reason: &str,
    message: &str,
) -> bool {
    let status = if holds { "True" } else { "False" };
    let at = conditions.iter().position(|condition| condition["type"] == kind);
    let old = at.map(|at| conditions[at].clone()).unwrap_or_default();
    if old["status"] == status && old["reason"] == reason && old["message"] == message {
        return false;
    }
    let now = now();
    let since = if old["status"] == status { old["lastTransitionTime"].clone() } else { now.clone().into() };
    let condition = json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": now, "lastTransitionTime": since,
    });
    match at {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
    true
}

/// Deletes surplus pods: those that do less first, then the younger ones.
pub(super) fn delete_surplus(state: &mut State, mut pods: Vec<(Key, Arc<Object>)>, surplus: usize) {
    pods.sort_by_key(|(_, pod)| {
        let revision = count_text(&pod.value, "/metadata/resourceVersion");
        (is_ready(&pod.value), std::cmp::Reverse(revision))
    });
    for (key, _) in pods.into_iter().take(surplus) {
        delete(state, &key, &DeleteOptions::default());
    }
}

fn count_text(value: &Value, pointer: &str) -> u64 {
    text(value, pointer).parse().unwrap_or_else(|_| count(value, pointer))
}
