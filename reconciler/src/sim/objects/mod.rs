//! What happens to an object between a request and the store.

mod create;
mod defaults;
mod delete;
mod patch;
mod services;
mod strategic;
mod update;
mod validate;

use std::sync::Arc;

use serde_json::Value;

use super::fields::{Manager, Shape};
use super::kinds::{Kind, Version};
use super::state::State;
use super::status::Status;
use super::store::{Key, Object};

pub(super) use create::create;
pub(super) use delete::{DeleteOptions, Deleted, delete, finish_deletion};
pub(super) use patch::{Patch, patch};
pub(super) use update::{scale_of, update};

/// Which part of an object a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Status,
    Scale,
    /// The finalizers in a Namespace's spec.
    Finalize,
}

/// A request that writes.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub(super) kind: Arc<Kind>,
    /// The version that the client speaks.
    pub(super) version: String,
    pub(super) namespace: String,
    /// Empty for a creation.
    pub(super) name: String,
    pub(super) part: Part,
    pub(super) manager: String,
    pub(super) dry_run: bool,
    /// The time of the request, as objects carry it.
    pub(super) time: String,
}

impl Part {
    fn subresource(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Finalize => "finalize",
        }
    }
}

impl Write {
    fn key(&self, state: &State) -> Key {
        state.key(&self.kind.qualified(), &self.namespace, &self.name)
    }

    fn version(&self) -> Result<&Version, Status> {
        self.kind.version(&self.version).ok_or_else(Status::no_such_resource)
    }

    fn shape(&self) -> Result<&Shape, Status> {
        Ok(&self.version()?.shape)
    }

    fn live(&self, state: &State) -> Result<Arc<Object>, Status> {
        state.store.get(&self.key(state)).cloned().ok_or_else(|| Status::not_found(&self.kind, &self.name))
    }

    fn manager<'a>(&'a self, api_version: &'a str) -> Manager<'a> {
        Manager { name: &self.manager, api_version, subresource: self.part.subresource(), time: &self.time }
    }

    fn api_version(&self) -> String {
        self.kind.api_version(&self.version)
    }
}

/// Brings a body into the form that is stored, and refuses one that is for another place.
fn accept(write: &Write, body: &mut Value) -> Result<(), Status> {
    if !body.is_object() {
        return Err(Status::bad_request("the body of the request must be an object"));
    }
    for (field, wanted) in [("apiVersion", write.api_version()), ("kind", write.kind.kind.clone())] {
        match body[field].as_str() {
            None | Some("") => {}
            Some(given) if given == wanted => {}
            Some(given) => {
                return Err(Status::bad_request(format!(
                    "the {} in the data ({given}) does not match the expected {} ({wanted})",
                    if field == "kind" { "kind" } else { "API version" },
                    if field == "kind" { "kind" } else { "API version" },
                )));
            }
        }
    }
    body["apiVersion"] = write.kind.api_version(&write.kind.storage().name).into();
    body["kind"] = write.kind.kind.clone().into();
    drop_nulls(body);
    if !body["metadata"].is_object() {
        body["metadata"] = Value::Object(Default::default());
    }
    let given = |field: &str| body["metadata"][field].as_str().unwrap_or_default().to_owned();
    let (name, namespace) = (given("name"), given("namespace"));
    if !write.name.is_empty() && !name.is_empty() && name != write.name {
        let message =
            format!("the name of the object ({name}) does not match the name on the URL ({})", write.name);
        return Err(Status::bad_request(message));
    }
    if !namespace.is_empty() && namespace != write.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if write.kind.namespaced {
        body["metadata"]["namespace"] = write.namespace.clone().into();
    }
    if !write.name.is_empty() {
        body["metadata"]["name"] = write.name.clone().into();
    }
    Ok(())
}

/// A field that is null counts as absent.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
