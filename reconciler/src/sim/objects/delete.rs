//! Deletion: at once, or when the last finalizer is gone.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Write;
use crate::sim::state::State;
use crate::sim::status::{self, Status};
use crate::sim::store::{Key, Object};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

#[derive(Debug, Clone, Default)]
pub(in crate::sim) struct DeleteOptions {
    pub(in crate::sim) propagation: Option<String>,
    pub(in crate::sim) grace_seconds: Option<i64>,
    pub(in crate::sim) uid: Option<String>,
    pub(in crate::sim) resource_version: Option<String>,
    pub(in crate::sim) dry_run: bool,
}

/// The answer to a deletion.
#[derive(Debug)]
pub(in crate::sim) enum Deleted {
    /// The object that still waits, or kinds that answer with what went.
    Object(Arc<Object>),
    Done(Value),
}

impl DeleteOptions {
    /// Reads the body of a deletion; the query wins where it speaks.
    pub(in crate::sim) fn read(body: &Value) -> Result<Self, Status> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let propagation = match (&body["propagationPolicy"], &body["orphanDependents"]) {
            (Value::String(policy), _) => Some(policy.clone()),
            (_, Value::Bool(orphan)) => Some(if *orphan { "Orphan" } else { "Background" }.into()),
            _ => None,
        };
        if let Some(policy) =
            propagation.as_deref().filter(|p| !["Orphan", "Background", "Foreground"].contains(p))
        {
            return Err(Status::bad_request(format!("invalid propagationPolicy {policy:?}")));
        }
        Ok(Self {
            propagation,
            grace_seconds: body["gracePeriodSeconds"].as_i64(),
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            dry_run: body["dryRun"].as_array().is_some_and(|list| !list.is_empty()),
        })
    }
}

pub(in crate::sim) fn delete(
    state: &mut State,
    write: &Write,
    options: &DeleteOptions,
) -> Result<Deleted, Status> {
    let live = write.live(state)?;
    check_preconditions(write, &live, options)?;
    if write.kind.is("", "Namespace")
        && ["default", "kube-system", "kube-public"].contains(&write.name.as_str())
    {
        return Err(Status::forbidden(&write.kind, &write.name, "this namespace may not be deleted", vec![]));
    }
    let key = write.key(state);
    let returns_object = ["Pod", "Namespace", "ServiceAccount", "PersistentVolumeClaim", "PersistentVolume"]
        .contains(&write.kind.kind.as_str());
    if write.dry_run || options.dry_run {
        return Ok(answer(write, live, returns_object));
    }
    let Some(waiting) = waiting(write, &live, options) else {
        let last = state.remove(&key).unwrap_or(live);
        return Ok(answer(write, last, returns_object));
    };
    let stored = match waiting == live.value {
        true => live,
        false => state.commit(&key, waiting)?,
    };
    Ok(Deleted::Object(stored))
}

fn answer(write: &Write, last: Arc<Object>, returns_object: bool) -> Deleted {
    match returns_object {
        true => Deleted::Object(last),
        false => Deleted::Done(status::deleted(&write.kind, &write.name, &last.value["metadata"]["uid"])),
    }
}

fn check_preconditions(write: &Write, live: &Object, options: &DeleteOptions) -> Result<(), Status> {
    let version = live.value["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let failed = |what: &str, asked: &str, found: &str, then: &str| {
        let why = format!(
            "the {what} in the precondition ({asked}) does not match the {what} in record ({found}). The object might have been {then}"
        );
        Err(Status::precondition(&write.kind, &write.name, &why))
    };
    match (&options.uid, &options.resource_version) {
        (Some(uid), _) if uid != live.uid() => failed("UID", uid, live.uid(), "deleted and then recreated"),
        (_, Some(asked)) if asked != version => failed("ResourceVersion", asked, version, "modified"),
        _ => Ok(()),
    }
}

/// The state in which an object waits for its end, or `None` if nothing holds it.
fn waiting(write: &Write, live: &Object, options: &DeleteOptions) -> Option<Value> {
    let mut object = live.value.clone();
    let metadata = &mut object["metadata"];
    let mut finalizers: Vec<Value> = metadata["finalizers"].as_array().cloned().unwrap_or_default();
    if let Some(policy) = options.propagation.as_deref() {
        finalizers.retain(|finalizer| finalizer != FOREGROUND && finalizer != ORPHAN);
        match policy {
            "Foreground" => finalizers.push(FOREGROUND.into()),
            "Orphan" => finalizers.push(ORPHAN.into()),
            _ => {}
        }
    }
    let grace = match write.kind.is("", "Pod") && live.value["spec"].get("nodeName").is_some() {
        true => options
            .grace_seconds
            .or(live.value["spec"]["terminationGracePeriodSeconds"].as_i64())
            .unwrap_or(30),
        false => 0,
    };
    let held = write.kind.is("", "Namespace")
        && !live.value["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty);
    if finalizers.is_empty() && grace == 0 && !held {
        return None;
    }
    let metadata = metadata.as_object_mut().expect("stored objects have metadata");
    match finalizers.is_empty() {
        true => metadata.remove("finalizers"),
        false => metadata.insert("finalizers".into(), finalizers.into()),
    };
    if !metadata.contains_key("deletionTimestamp") {
        metadata.insert("deletionTimestamp".into(), write.time.clone().into());
        if !held {
            metadata.insert("deletionGracePeriodSeconds".into(), grace.into());
        }
        if let Some(generation) = metadata.get("generation").and_then(Value::as_u64) {
            metadata.insert("generation".into(), (generation + 1).into());
        }
    }
    if held {
        object["status"]["phase"] = json!("Terminating");
    }
    Some(object)
}

/// Removes an object that waits for its end and that nothing holds any more.
pub(in crate::sim) fn finish_deletion(state: &mut State, key: &Key) -> Option<Arc<Object>> {
    let live = state.store.get(key)?;
    let metadata = &live.value["metadata"];
    let empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let free = metadata.get("deletionTimestamp").is_some()
        && empty(&metadata["finalizers"])
        && (&*key.kind != "namespaces" || empty(&live.value["spec"]["finalizers"]))
        && (&*key.kind != "pods" || metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0);
    if free { state.remove(key) } else { None }
}
