//! Patches: JSON, merge, strategic merge, and server-side apply.

use std::sync::Arc;

use serde_json::Value;

use super::create::create_applied;
use super::update::{combine, replace, scale, scale_of, settle};
use super::{Part, Write, accept, defaults, drop_nulls, strategic};
use crate::sim::fields;
use crate::sim::state::State;
use crate::sim::status::{Cause, Status};
use crate::sim::store::Object;

#[derive(Debug)]
pub(in crate::sim) enum Patch {
    Json(Value),
    Merge(Value),
    Strategic(Value),
    Apply { config: Value, force: bool },
}

pub(in crate::sim) fn patch(state: &mut State, write: &Write, patch: Patch) -> Result<Arc<Object>, Status> {
    if let Patch::Apply { config, force } = patch {
        return apply(state, write, config, force);
    }
    let live = write.live(state)?;
    let before = match write.part {
        Part::Scale => scale_of(&live.value),
        _ => live.value.clone(),
    };
    let mut after = before;
    match patch {
        Patch::Json(operations) => apply_json_patch(&mut after, operations)?,
        Patch::Merge(body) => json_patch::merge(&mut after, &body),
        Patch::Strategic(_) if write.kind.custom => {
            let accepted =
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
            return Err(Status::unsupported_media_type(accepted));
        }
        Patch::Strategic(body) => strategic::merge(&mut after, body, write.shape()?),
        Patch::Apply { .. } => unreachable!("handled above"),
    }
    if write.part == Part::Scale {
        after = scale(&live.value, &after);
    } else {
        check_identity(&live, &after, write)?;
        drop_nulls(&mut after);
    }
    replace(state, write, &live, after)
}

/// A patch may not rename what it changes.
fn check_identity(live: &Object, after: &Value, write: &Write) -> Result<(), Status> {
    for (field, label) in [("name", "name"), ("namespace", "namespace")] {
        let (before, after) = (&live.value["metadata"][field], &after["metadata"][field]);
        if before != after {
            let message = format!(
                "the {label} of the object ({after}) does not match the {label} on the URL ({before})"
            );
            return Err(Status::bad_request(message));
        }
    }
    if live.value["kind"] != after["kind"] || live.value["apiVersion"] != after["apiVersion"] {
        let cause = Cause::invalid("kind", &after["kind"], "field is immutable");
        return Err(Status::invalid(&write.kind, &write.name, vec![cause]));
    }
    Ok(())
}

fn apply_json_patch(object: &mut Value, operations: Value) -> Result<(), Status> {
    let operations: json_patch::Patch =
        serde_json::from_value(operations).map_err(|error| Status::bad_request(error.to_string()))?;
    json_patch::patch(object, &operations).map_err(|_| Status::unprocessable())
}

fn apply(state: &mut State, write: &Write, mut config: Value, force: bool) -> Result<Arc<Object>, Status> {
    if config.get("apiVersion").is_none() || config.get("kind").is_none() {
        return Err(Status::bad_request("invalid object type: /, Kind="));
    }
    if config
        .pointer("/metadata/managedFields")
        .is_some_and(|list| list.as_array().is_none_or(|l| !l.is_empty()))
    {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    accept(write, &mut config)?;
    leave_out_other_parts(write, &mut config);
    let api_version = write.api_version();
    let manager = write.manager(&api_version);
    let key = write.key(state);
    let Some(live) = state.store.get(&key).cloned() else {
        if write.part != Part::Whole {
            return Err(Status::not_found(&write.kind, &write.name));
        }
        if config["metadata"].get("uid").is_some() {
            let why = "Precondition failed: UID in precondition, but the object does not exist";
            return Err(Status::conflict(&write.kind, &write.name, why));
        }
        let applied = fields::apply(None, &config, write.shape()?, &manager, force)?;
        return create_applied(state, write, applied);
    };
    let expected = config["metadata"].as_object_mut().and_then(|metadata| metadata.remove("resourceVersion"));
    let mut applied = fields::apply(Some(&live.value), &config, write.shape()?, &manager, force)?;
    if let Some(expected) = expected {
        applied["metadata"]["resourceVersion"] = expected;
    }
    let mut applied = combine(write, &live, applied)?;
    defaults::fill(&write.kind, &mut applied);
    settle(state, write, &live, applied)
}

/// An apply owns nothing of the parts that it cannot write.
fn leave_out_other_parts(write: &Write, config: &mut Value) {
    let has_status = write.kind.version(&write.version).is_some_and(|version| version.status);
    let fields = config.as_object_mut().expect("an accepted body is an object");
    match write.part {
        Part::Whole if has_status => {
            fields.remove("status");
        }
        Part::Status => {
            fields.retain(|name, _| ["apiVersion", "kind", "metadata", "status"].contains(&name.as_str()))
        }
        _ => {}
    }
}
