//! Deployments: a ReplicaSet for each template, and the way from one to the next.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::work::{Task, count, text};
use super::workload::{
    MANAGER, counts, create, delete, is_leaving, owned, owner_reference, replicas, report, set_condition,
    share, template_hash,
};
use crate::sim::objects::DeleteOptions;
use crate::sim::state::State;
use crate::sim::store::{Key, Object};

const REVISION: &str = "deployment.kubernetes.io/revision";

pub(super) fn act(state: &mut State, key: &Key) {
    let Some(deployment) = state.store.get(key).cloned() else { return };
    if is_leaving(&deployment.value) {
        return;
    }
    let hash = template_hash(&deployment.value["spec"]["template"]);
    let current = format!("{}-{hash}", key.name);
    if deployment.value["spec"]["paused"] != true {
        let sets = owned(state, &deployment, "replicasets.apps");
        let revision = revision(&sets, &current);
        if !sets.iter().any(|(set, _)| set.name == current) {
            create(
                state,
                "replicasets.apps",
                &key.namespace,
                replica_set(&deployment, &current, &hash, revision),
            );
        }
        state.edit(key, MANAGER, "", |object| {
            object["metadata"]["annotations"][REVISION] = revision.to_string().into()
        });
        roll(state, &deployment, &current);
        forget_old(state, &deployment, &current);
    }
    status(state, key, &current);
}

/// The revision of the current template: that of its set if there is one, else one more than any.
fn revision(sets: &[(Key, Arc<Object>)], current: &str) -> u64 {
    let of =
        |set: &Object| text(&set.value["metadata"]["annotations"][REVISION], "").parse::<u64>().unwrap_or(0);
    let latest = sets.iter().map(|(_, set)| of(set)).max().unwrap_or(0);
    match sets.iter().find(|(key, _)| key.name == current) {
        Some((_, set)) if of(set) == latest => latest,
        _ => latest + 1,
    }
}

fn replica_set(deployment: &Object, name: &str, hash: &str, revision: u64) -> Value {
    let spec = &deployment.value["spec"];
    let mut template = spec["template"].clone();
    template["metadata"]["labels"]["pod-template-hash"] = hash.into();
    let mut selector = spec["selector"].clone();
    selector["matchLabels"]["pod-template-hash"] = hash.into();
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "labels": template["metadata"]["labels"],
            "annotations": {REVISION: revision.to_string()},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"replicas": 0, "selector": selector, "template": template},
    })
}

/// Takes one step from the old sets to the current one.
fn roll(state: &mut State, deployment: &Object, current: &str) {
    let desired = replicas(&deployment.value);
    let strategy = &deployment.value["spec"]["strategy"];
    let (new, old): (Vec<_>, Vec<_>) =
        owned(state, deployment, "replicasets.apps").into_iter().partition(|(key, _)| key.name == current);
    let Some((new_key, new)) = new.into_iter().next() else { return };
    let asked = |set: &Object| replicas(&set.value);
    let old_asked: u64 = old.iter().map(|(_, set)| asked(set)).sum();
    if strategy["type"] == "Recreate" {
        let old_pods: u64 = old.iter().map(|(_, set)| count(&set.value, "/status/replicas")).sum();
        old.iter().for_each(|(key, _)| scale(state, key, 0));
        if old_asked + old_pods == 0 {
            scale(state, &new_key, desired);
        }
        return;
    }
    let rolling = &strategy["rollingUpdate"];
    let surge = share(&rolling["maxSurge"], desired, true);
    let mut unavailable = share(&rolling["maxUnavailable"], desired, false).min(desired);
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    // Up to the surge, or down to what is desired.
    let room = (desired + surge).saturating_sub(old_asked + asked(&new));
    let target = if asked(&new) > desired { desired } else { desired.min(asked(&new) + room) };
    scale(state, &new_key, target);

    // Old pods that are not available may go at once; available ones only above the minimum.
    let available = |set: &Object| count(&set.value, "/status/availableReplicas").min(asked(set));
    let minimum = desired.saturating_sub(unavailable);
    let all: u64 = available(&new) + old.iter().map(|(_, set)| available(set)).sum::<u64>();
    let mut spare = all.saturating_sub(minimum);
    for (key, set) in &old {
        let idle = asked(set) - available(set);
        let taken = spare.min(available(set));
        spare -= taken;
        scale(state, key, asked(set) - idle - taken);
    }
}

fn scale(state: &mut State, key: &Key, replicas: u64) {
    state.edit(key, MANAGER, "", |set| set["spec"]["replicas"] = replicas.into());
}

/// Deletes the oldest empty sets beyond the limit on history.
fn forget_old(state: &mut State, deployment: &Object, current: &str) {
    let limit = deployment.value["spec"]["revisionHistoryLimit"].as_u64().unwrap_or(10) as usize;
    let mut old = owned(state, deployment, "replicasets.apps");
    old.retain(|(key, set)| {
        key.name != current && replicas(&set.value) == 0 && count(&set.value, "/status/replicas") == 0
    });
    let surplus = old.len().saturating_sub(limit);
    old.sort_by_key(|(_, set)| {
        text(&set.value["metadata"]["annotations"][REVISION], "").parse::<u64>().unwrap_or(0)
    });
    for (key, _) in old.into_iter().take(surplus) {
        delete(state, &key, &DeleteOptions::default());
    }
}

fn status(state: &mut State, key: &Key, current: &str) {
    let Some(deployment) = state.store.get(key).cloned() else { return };
    let sets = owned(state, &deployment, "replicasets.apps");
    let sum = |pointer: &str| sets.iter().map(|(_, set)| count(&set.value, pointer)).sum::<u64>();
    let (all, ready) = (sum("/status/replicas"), sum("/status/readyReplicas"));
    let new = sets.iter().find(|(set, _)| set.name == current);
    let updated = new.map_or(0, |(_, set)| count(&set.value, "/status/replicas"));
    let desired = replicas(&deployment.value);
    let mut status = counts([
        ("replicas", all),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", ready),
        ("unavailableReplicas", all.max(desired).saturating_sub(ready)),
    ]);
    let mut conditions = deployment.value["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let unavailable =
        share(&deployment.value["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], desired, false);
    match ready >= desired.saturating_sub(unavailable) {
        true => set_condition(
            &mut conditions,
            "Available",
            true,
            "MinimumReplicasAvailable",
            "Deployment has minimum availability.",
        ),
        false => set_condition(
            &mut conditions,
            "Available",
            false,
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        ),
    };
    let complete = updated == desired && all == desired && ready == desired;
    progress(state, key, &deployment.value, &status, current, complete, &mut conditions);
    status.insert("conditions".into(), conditions.into());
    report(state, key, status);
}

/// Says whether the Deployment gets anywhere, and looks again when its deadline has passed.
fn progress(
    state: &mut State,
    key: &Key,
    deployment: &Value,
    status: &Map<String, Value>,
    current: &str,
    complete: bool,
    conditions: &mut Vec<Value>,
) {
    if complete {
        let message = format!("ReplicaSet \"{current}\" has successfully progressed.");
        set_condition(conditions, "Progressing", true, "NewReplicaSetAvailable", &message);
        return;
    }
    let deadline = deployment["spec"]["progressDeadlineSeconds"].as_u64().unwrap_or(600);
    let moved = ["replicas", "updatedReplicas", "readyReplicas"]
        .iter()
        .any(|field| deployment["status"].get(field) != status.get(*field))
        || deployment["status"]["observedGeneration"] != deployment["metadata"]["generation"];
    let progressing = conditions.iter().position(|condition| condition["type"] == "Progressing");
    if moved && let Some(at) = progressing {
        conditions[at]["lastUpdateTime"] = crate::sim::state::now().into();
    }
    let since =
        progressing.and_then(|at| text(&conditions[at], "/lastUpdateTime").parse::<jiff::Timestamp>().ok());
    let waited =
        since.map_or(0, |since| jiff::Timestamp::now().duration_since(since).as_secs().max(0) as u64);
    if !moved && waited >= deadline {
        let message = format!("ReplicaSet \"{current}\" has timed out progressing.");
        set_condition(conditions, "Progressing", false, "ProgressDeadlineExceeded", &message);
        return;
    }
    let message = format!("ReplicaSet \"{current}\" is progressing.");
    set_condition(conditions, "Progressing", true, "ReplicaSetUpdated", &message);
    if moved || progressing.is_none() {
        state.work.push_after(Duration::from_secs(deadline + 1), Task::Object(key.clone()));
    }
}
