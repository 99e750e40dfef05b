//! Creation.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Write, accept, defaults, services, validate};
use crate::sim::fields;
use crate::sim::state::State;
use crate::sim::status::{Cause, Status};
use crate::sim::store::{Key, Object};

pub(in crate::sim) fn create(
    state: &mut State,
    write: &Write,
    mut body: Value,
) -> Result<Arc<Object>, Status> {
    accept(write, &mut body)?;
    if body["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
        return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
    }
    check_namespace(state, write, &body)?;
    prepare(state, write, &mut body);
    let mut empty = empty(write);
    defaults::fill(&write.kind, &mut body);
    let (api_version, shape) = (write.api_version(), write.shape()?);
    if let Some(metadata) = body["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    // What the server set before anybody could own it.
    empty["metadata"]["namespace"] = body["metadata"]["namespace"].clone();
    validate::check(&write.kind, None, &body)?;
    let mut owned = body;
    fields::update(&empty, &mut owned, shape, &write.manager(&api_version));
    store(state, write, owned)
}

/// Stores an object that an apply made.
pub(super) fn create_applied(
    state: &mut State,
    write: &Write,
    mut object: Value,
) -> Result<Arc<Object>, Status> {
    check_namespace(state, write, &object)?;
    prepare(state, write, &mut object);
    defaults::fill(&write.kind, &mut object);
    validate::check(&write.kind, None, &object)?;
    store(state, write, object)
}

/// Refuses what would land in a namespace that is not there, or that is going.
fn check_namespace(state: &State, write: &Write, body: &Value) -> Result<(), Status> {
    if !write.kind.namespaced {
        return Ok(());
    }
    let namespace = &write.namespace;
    let Some(found) = state.get("namespaces", "", namespace) else {
        let namespaces = state.kinds.get("namespaces").expect("namespaces are built in");
        return Err(Status::not_found(namespaces, namespace));
    };
    if found.value["metadata"].get("deletionTimestamp").is_none() {
        return Ok(());
    }
    let name = body["metadata"]["name"].as_str().unwrap_or_default();
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    let cause = Cause {
        reason: "NamespaceTerminating",
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".into(),
    };
    Err(Status::forbidden(&write.kind, name, &why, vec![cause]))
}

/// Gives a new object its identity, and takes away what only the server may write.
fn prepare(state: &mut State, write: &Write, body: &mut Value) {
    let uid = state.uid();
    let suffix = state.suffix();
    let kind = &write.kind;
    let object = body.as_object_mut().expect("an accepted body is an object");
    if kind.storage().status && !matches!(kind.kind.as_str(), "Node" | "Pod" | "PersistentVolume") {
        object.remove("status");
    }
    let metadata = object["metadata"].as_object_mut().expect("an accepted body has metadata");
    for field in
        ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"]
    {
        metadata.remove(field);
    }
    if !metadata.contains_key("name")
        && let Some(base) =
            metadata.get("generateName").and_then(Value::as_str).filter(|base| !base.is_empty())
    {
        let base: String = base.chars().take(58).collect();
        metadata.insert("name".into(), format!("{base}{suffix}").into());
    }
    metadata.insert("uid".into(), uid.into());
    metadata.insert("creationTimestamp".into(), write.time.clone().into());
    if kind.generation {
        metadata.insert("generation".into(), 1.into());
    }
    match kind.kind.as_str() {
        "Namespace" => body["spec"]["finalizers"] = json!(["kubernetes"]),
        "Secret" => encode_secret(body),
        _ => {}
    }
}

/// `stringData` goes into `data`.
pub(super) fn encode_secret(secret: &mut Value) {
    let plain = secret.as_object_mut().and_then(|secret| secret.remove("stringData"));
    for (name, text) in plain.as_ref().and_then(Value::as_object).into_iter().flatten() {
        secret["data"][name] = base64(text.as_str().unwrap_or_default().as_bytes()).into();
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |chunk: &[u8]| {
        let bits =
            chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digit = move |at: usize| match at <= chunk.len() {
            true => char::from(ALPHABET[(bits >> (18 - 6 * at)) as usize & 63]),
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(encode).collect()
}

/// What an object is compared with when it is new: typed kinds have some fields before anyone sets them.
fn empty(write: &Write) -> Value {
    let mut empty = json!({"apiVersion": write.api_version(), "kind": write.kind.kind, "metadata": {}});
    if write.kind.custom {
        return empty;
    }
    let template = || json!({"metadata": {}, "spec": {"containers": []}});
    empty["spec"] = match write.kind.kind.as_str() {
        "Deployment" => json!({"strategy": {}, "template": template()}),
        "StatefulSet" | "DaemonSet" => json!({"updateStrategy": {}, "template": template()}),
        "ReplicaSet" => json!({}),
        "Job" => json!({"template": template()}),
        "CronJob" => json!({"jobTemplate": {"metadata": {}, "spec": {"template": template()}}}),
        "Pod" => json!({"containers": []}),
        "Namespace" => json!({"finalizers": ["kubernetes"]}),
        _ => json!({}),
    };
    empty["status"] = match write.kind.kind.as_str() {
        "Service" => json!({"loadBalancer": {}}),
        _ => json!({}),
    };
    empty
}

fn store(state: &mut State, write: &Write, mut object: Value) -> Result<Arc<Object>, Status> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let key = Key { name, ..write.key(state) };
    if state.store.get(&key).is_some() {
        return Err(Status::already_exists(&write.kind, &key.name));
    }
    let ports = write.dry_run.then(|| state.ports.clone());
    services::allocate(&mut state.ports, write, None, &mut object)?;
    if let Some(ports) = ports {
        state.ports = ports;
        return Ok(Arc::new(Object::new(object)));
    }
    state.commit(&key, object)
}
