//! Replacement, of a whole object or of one part.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Part, Write, accept, create, defaults, delete, services, validate};
use crate::sim::fields;
use crate::sim::state::State;
use crate::sim::status::Status;
use crate::sim::store::Object;

pub(in crate::sim) fn update(
    state: &mut State,
    write: &Write,
    mut body: Value,
) -> Result<Arc<Object>, Status> {
    let live = write.live(state)?;
    if write.part == Part::Scale {
        let scaled = scale(&live.value, &body);
        return replace(state, write, &live, scaled);
    }
    accept(write, &mut body)?;
    let version = body["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if write.kind.custom && version.is_empty() {
        return Err(Status::unversioned(&write.kind, &write.name));
    }
    replace(state, write, &live, body)
}

/// Puts `new` in the place of `live`; changed fields become the writer's.
pub(super) fn replace(
    state: &mut State,
    write: &Write,
    live: &Arc<Object>,
    new: Value,
) -> Result<Arc<Object>, Status> {
    let mut new = combine(write, live, new)?;
    let api_version = write.api_version();
    defaults::fill(&write.kind, &mut new);
    fields::update(&live.value, &mut new, write.shape()?, &write.manager(&api_version));
    settle(state, write, live, new)
}

/// Stores a new state whose owners are settled, unless it is the old one.
pub(super) fn settle(
    state: &mut State,
    write: &Write,
    live: &Arc<Object>,
    mut new: Value,
) -> Result<Arc<Object>, Status> {
    validate::check(&write.kind, Some(&live.value), &new)?;
    if write.kind.generation && desires_differ(write, &live.value, &new) {
        let generation = live.value["metadata"]["generation"].as_u64().unwrap_or(0);
        new["metadata"]["generation"] = (generation + 1).into();
    }
    if fields::same_but_for_times(&live.value, &new) {
        return Ok(live.clone());
    }
    let ports = write.dry_run.then(|| state.ports.clone());
    services::allocate(&mut state.ports, write, Some(&live.value), &mut new)?;
    if let Some(ports) = ports {
        state.ports = ports;
        return Ok(Arc::new(Object::new(new)));
    }
    let key = write.key(state);
    let stored = state.commit(&key, new)?;
    Ok(delete::finish_deletion(state, &key).unwrap_or(stored))
}

fn desires_differ(write: &Write, live: &Value, new: &Value) -> bool {
    if !write.kind.custom {
        // A Deployment also counts its annotations.
        let noted = write.kind.is("apps", "Deployment") && write.part == Part::Whole;
        return live["spec"] != new["spec"]
            || live.get("webhooks") != new.get("webhooks")
            || (noted && live["metadata"].get("annotations") != new["metadata"].get("annotations"));
    }
    let status = write.kind.storage().status;
    let desired = |object: &Value| {
        let mut object = object.clone();
        let fields = object.as_object_mut().expect("objects are maps");
        fields.remove("metadata");
        if status {
            fields.remove("status");
        }
        object
    };
    desired(live) != desired(new)
}

/// What the store would hold after this write: the server's own fields and the other parts stay.
pub(super) fn combine(write: &Write, live: &Object, mut new: Value) -> Result<Value, Status> {
    const SERVERS: [&str; 8] = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ];
    let old = &live.value;
    let given = |field: &str| new["metadata"][field].as_str().unwrap_or_default().to_owned();
    let (uid, version) = (given("uid"), given("resourceVersion"));
    if !uid.is_empty() && uid != live.uid() {
        let why =
            format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", live.uid());
        return Err(Status::conflict(&write.kind, &write.name, &why));
    }
    if !version.is_empty() && old["metadata"]["resourceVersion"] != version.as_str() {
        return Err(Status::modified(&write.kind, &write.name));
    }
    match write.part {
        Part::Whole | Part::Scale => {
            if write.kind.version(&write.version).is_some_and(|version| version.status) {
                take(&mut new, old, "status");
            }
        }
        Part::Status => {
            let mut whole = old.clone();
            take(&mut whole, &new, "status");
            new = whole;
        }
        Part::Finalize => {
            let mut whole = old.clone();
            whole["spec"]["finalizers"] = new["spec"]["finalizers"].clone();
            new = whole;
        }
    }
    for field in SERVERS {
        take(&mut new["metadata"], &old["metadata"], field);
    }
    take(&mut new["metadata"], &old["metadata"], "resourceVersion");
    if write.part == Part::Whole {
        keep_allocated(write, old, &mut new);
    }
    Ok(new)
}

/// What the server gave an object stays with it when a client leaves it out.
fn keep_allocated(write: &Write, old: &Value, new: &mut Value) {
    match write.kind.kind.as_str() {
        "Namespace" => new["spec"] = old["spec"].clone(),
        "Secret" => create::encode_secret(new),
        "Service" if write.kind.group.is_empty() && new["spec"]["type"] != "ExternalName" => {
            for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
                if new["spec"].get(field).is_none() {
                    take(&mut new["spec"], &old["spec"], field);
                }
            }
        }
        "ServiceAccount" if new.get("secrets").is_none() => take(new, old, "secrets"),
        _ => {}
    }
}

/// Makes a field what it is in another object, absence included.
fn take(into: &mut Value, from: &Value, field: &str) {
    let Some(map) = into.as_object_mut() else { return };
    match from.get(field) {
        Some(value) => map.insert(field.into(), value.clone()),
        None => map.remove(field),
    };
}

/// The `Scale` of an object.
pub(in crate::sim) fn scale_of(object: &Value) -> Value {
    let text = |pointer| object.pointer(pointer).cloned().unwrap_or_default();
    let labels = object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let labels: Vec<_> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    let replicas = object["spec"]["replicas"].as_i64().filter(|replicas| *replicas != 0);
    json!({
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {
            "name": text("/metadata/name"),
            "namespace": text("/metadata/namespace"),
            "uid": text("/metadata/uid"),
            "resourceVersion": text("/metadata/resourceVersion"),
            "creationTimestamp": text("/metadata/creationTimestamp"),
        },
        "spec": replicas.map_or(json!({}), |replicas| json!({"replicas": replicas})),
        "status": {"replicas": object["status"]["replicas"].as_i64().unwrap_or(0), "selector": labels.join(",")},
    })
}

/// An object with the replicas of a `Scale`.
pub(super) fn scale(live: &Value, scale: &Value) -> Value {
    let mut scaled = live.clone();
    scaled["spec"]["replicas"] = scale["spec"]["replicas"].as_i64().unwrap_or(0).into();
    scaled["metadata"]["resourceVersion"] = scale["metadata"]["resourceVersion"].clone();
    scaled
}
