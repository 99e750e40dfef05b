//! POST, PUT, PATCH and DELETE.

use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::route::Target;
use super::{Call, json_response, read};
use crate::sim::objects::{self, DeleteOptions, Deleted, Part, Patch, Write};
use crate::sim::state::now;
use crate::sim::status::Status;

const PATCHES: &str = "application/json-patch+json, application/merge-patch+json, \
    application/strategic-merge-patch+json, application/apply-patch+yaml";

fn body(call: &Call) -> Result<Value, Status> {
    if call.body.is_empty() {
        return Err(Status::bad_request("the body of the request is empty"));
    }
    let kind = call.header(header::CONTENT_TYPE);
    if kind.contains("yaml") && serde_json::from_slice::<Value>(&call.body).is_err() {
        let text =
            std::str::from_utf8(&call.body).map_err(|_| Status::bad_request("the body is not UTF-8"))?;
        return qonnect_schema::yaml::from_str(text)
            .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")));
    }
    if kind.contains("protobuf") {
        return Err(Status::unsupported_media_type("application/json, application/yaml"));
    }
    serde_json::from_slice(&call.body).map_err(|error| {
        Status::bad_request(format!("the object provided is unrecognized (must be of type JSON): {error}"))
    })
}

fn write(call: &Call, target: &Target) -> Result<Write, Status> {
    let agent = call.header(header::USER_AGENT).split('/').next().unwrap_or_default();
    let manager = match (call.options.text("fieldManager"), agent) {
        ("", "") => "unknown",
        ("", agent) => agent,
        (manager, _) => manager,
    };
    Ok(Write {
        kind: target.kind.clone(),
        version: target.version.clone(),
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        part: target.part,
        manager: manager.chars().take(128).collect(),
        dry_run: call.options.dry_run()?,
        time: now(),
    })
}

pub(super) fn create(call: &Call, target: &Target) -> Result<Response, Status> {
    if let Some(command) = &target.command {
        return run(call, target, command);
    }
    if !target.name.is_empty() || (target.kind.namespaced && target.namespace.is_empty()) {
        return Err(Status::method_not_allowed());
    }
    let (write, body) = (write(call, target)?, body(call)?);
    let created = objects::create(&mut call.cluster.state(), &write, body)?;
    Ok(read::show(call, target, StatusCode::CREATED, &created))
}

/// Binds a pod to a node, or evicts it.
fn run(call: &Call, target: &Target, command: &str) -> Result<Response, Status> {
    let (write, body) = (write(call, target)?, body(call)?);
    let mut state = call.cluster.state();
    if command == "eviction" {
        let options = DeleteOptions::read(&body["deleteOptions"])?;
        objects::delete(&mut state, &write, &options)?;
    } else {
        let node = body["target"]["name"].clone();
        objects::patch(&mut state, &write, Patch::Merge(json!({"spec": {"nodeName": node}})))?;
    }
    Ok(json_response(
        StatusCode::CREATED,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}),
    ))
}

pub(super) fn update(call: &Call, target: &Target) -> Result<Response, Status> {
    let (write, body) = (write(call, target)?, body(call)?);
    let updated = objects::update(&mut call.cluster.state(), &write, body)?;
    Ok(read::show(call, target, StatusCode::OK, &updated))
}

pub(super) fn patch(call: &Call, target: &Target) -> Result<Response, Status> {
    let write = write(call, target)?;
    let kind = call.header(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let applies = kind == "application/apply-patch+yaml" || kind == "application/apply-patch+json";
    let patch = match kind {
        "application/json-patch+json" => Patch::Json(body(call)?),
        "application/merge-patch+json" => Patch::Merge(body(call)?),
        "application/strategic-merge-patch+json" => Patch::Strategic(body(call)?),
        _ if applies => Patch::Apply { config: body(call)?, force: call.options.is_set("force") },
        _ => return Err(Status::unsupported_media_type(PATCHES)),
    };
    if applies && call.options.text("fieldManager").is_empty() {
        return Err(Status::invalid_options("fieldManager", "Required value: is required for apply patch"));
    }
    if !applies && call.options.is_set("force") {
        return Err(Status::invalid_options("force", "Forbidden: may not be specified for non-apply patch"));
    }
    let mut state = call.cluster.state();
    let existed = state.get(&target.kind.qualified(), &target.namespace, &target.name).is_some();
    let patched = objects::patch(&mut state, &write, patch)?;
    drop(state);
    Ok(read::show(call, target, if existed { StatusCode::OK } else { StatusCode::CREATED }, &patched))
}

fn delete_options(call: &Call) -> Result<DeleteOptions, Status> {
    let mut asked = if call.body.is_empty() { json!({}) } else { body(call)? };
    if let Some(seconds) = call.options.number("gracePeriodSeconds")? {
        asked["gracePeriodSeconds"] = seconds.into();
    }
    match call.options.text("propagationPolicy") {
        "" => {}
        policy => asked["propagationPolicy"] = policy.into(),
    }
    DeleteOptions::read(&asked)
}

pub(super) fn delete(call: &Call, target: &Target) -> Result<Response, Status> {
    if target.part != Part::Whole {
        return Err(Status::method_not_allowed());
    }
    let (write, options) = (write(call, target)?, delete_options(call)?);
    let deleted = objects::delete(&mut call.cluster.state(), &write, &options)?;
    Ok(match deleted {
        Deleted::Object(object) => read::show(call, target, StatusCode::OK, &object),
        Deleted::Done(status) => json_response(StatusCode::OK, &status),
    })
}

pub(super) fn delete_collection(call: &Call, target: &Target) -> Result<Response, Status> {
    if (target.kind.namespaced && target.namespace.is_empty()) || target.kind.is("", "Namespace") {
        return Err(Status::method_not_allowed());
    }
    let (write, options) = (write(call, target)?, delete_options(call)?);
    let page = read::page(call, target)?;
    let mut state = call.cluster.state();
    for object in &page.objects {
        let name = object.value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        objects::delete(&mut state, &Write { name, ..write.clone() }, &options)?;
    }
    drop(state);
    Ok(read::show_list(call, target, &page))
}
