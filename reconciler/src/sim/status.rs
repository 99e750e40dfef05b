//! Refusals, as the Kubernetes API words them.

use serde_json::{Value, json};

use super::kinds::Kind;

/// A failure with the code, the reason and the details that clients decide by.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Status {
    pub(super) code: u16,
    reason: &'static str,
    message: String,
    details: Value,
}

/// One fault of an object, at one field.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cause {
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) field: String,
}

impl Cause {
    pub(super) fn required(field: impl Into<String>, why: &str) -> Self {
        let dot = if why.is_empty() { "" } else { ": " };
        let message = format!("Required value{dot}{why}");
        Self { reason: "FieldValueRequired", message, field: field.into() }
    }

    pub(super) fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        let message = format!("Invalid value: {value}: {why}");
        Self { reason: "FieldValueInvalid", message, field: field.into() }
    }

    pub(super) fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self { reason: "FieldValueForbidden", message: format!("Forbidden: {why}"), field: field.into() }
    }
}

fn named(kind: &Kind, name: &str) -> Value {
    let mut details = json!({"kind": kind.plural});
    for (field, text) in [("name", name), ("group", &kind.group)] {
        if !text.is_empty() {
            details[field] = text.into();
        }
    }
    details
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>, details: Value) -> Self {
        Self { code, reason, message: message.into(), details }
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.qualified());
        Self::new(404, "NotFound", message, named(kind, name))
    }

    /// A path that no resource answers at.
    pub(super) fn no_such_resource() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource", json!({}))
    }

    pub(super) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::new(409, "AlreadyExists", message, named(kind, name))
    }

    pub(super) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        Self::new(409, "Conflict", message, named(kind, name))
    }

    pub(super) fn modified(kind: &Kind, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    /// A deletion that is for another object of that name, or for another state of it.
    pub(super) fn precondition(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.kind);
        let mut details = named(kind, name);
        details["kind"] = kind.kind.clone().into();
        Self::new(409, "Conflict", message, details)
    }

    /// A server-side apply that would take fields from other managers.
    pub(super) fn apply_conflict(message: String, causes: Vec<Cause>) -> Self {
        Self::new(409, "Conflict", message, json!({"causes": shown(&causes)}))
    }

    pub(super) fn invalid(kind: &Kind, name: &str, causes: Vec<Cause>) -> Self {
        let dot = if kind.group.is_empty() { "" } else { "." };
        let faults: Vec<_> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let faults = if faults.len() == 1 { faults.join("") } else { format!("[{}]", faults.join(", ")) };
        let message = format!("{}{dot}{} \"{name}\" is invalid: {faults}", kind.kind, kind.group);
        let mut details = named(kind, name);
        details["kind"] = kind.kind.clone().into();
        details["causes"] = shown(&causes);
        Self::new(422, "Invalid", message, details)
    }

    /// An update of a custom object without a version; told of the resource where other faults are told of the kind.
    pub(super) fn unversioned(kind: &Kind, name: &str) -> Self {
        let message = "Invalid value: 0x0: must be specified for an update".into();
        let cause = Cause { reason: "FieldValueInvalid", message, field: "metadata.resourceVersion".into() };
        let message =
            format!("{} \"{name}\" is invalid: {}: {}", kind.qualified(), cause.field, cause.message);
        let mut details = named(kind, name);
        details["causes"] = shown(&[cause]);
        Self::new(422, "Invalid", message, details)
    }

    pub(super) fn forbidden(kind: &Kind, name: &str, why: &str, causes: Vec<Cause>) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", kind.qualified());
        let mut details = named(kind, name);
        if !causes.is_empty() {
            details["causes"] = shown(&causes);
        }
        Self::new(403, "Forbidden", message, details)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message, Value::Null)
    }

    /// A fault in the query of a patch.
    pub(super) fn invalid_options(field: &str, fault: &str) -> Self {
        let message = format!("PatchOptions.meta.k8s.io \"\" is invalid: {field}: {fault}");
        let (word, _) = fault.split_once(' ').unwrap_or((fault, ""));
        let reason = if word == "Required" { "FieldValueRequired" } else { "FieldValueForbidden" };
        let cause = Cause { reason, message: fault.into(), field: field.into() };
        let details = json!({"group": "meta.k8s.io", "kind": "PatchOptions", "causes": shown(&[cause])});
        Self::new(422, "Invalid", message, details)
    }

    /// A patch that does not fit the object.
    pub(super) fn unprocessable() -> Self {
        Self::new(422, "Invalid", "the server rejected our request due to an error in our request", json!({}))
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message, json!({}))
    }

    pub(super) fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", message, Value::Null)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message, Value::Null)
    }

    pub(super) fn too_many(message: &str) -> Self {
        Self::new(429, "TooManyRequests", message, json!({"retryAfterSeconds": 1}))
    }

    /// The history that was asked for is no longer kept.
    pub(super) fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"), Value::Null)
    }

    pub(super) fn version_in_the_future(asked: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {asked}, current: {current}");
        let causes = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
        Self::new(504, "Timeout", message, json!({"causes": causes, "retryAfterSeconds": 1}))
    }

    /// What a full etcd answers.
    pub(super) fn full() -> Self {
        Self::new(500, "InternalError", "etcdserver: mvcc: database space exceeded", Value::Null)
    }

    pub(super) fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

/// The answer to a deletion that is done.
pub(super) fn deleted(kind: &Kind, name: &str, uid: &Value) -> Value {
    let mut details = named(kind, name);
    details["uid"] = uid.clone();
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

fn shown(causes: &[Cause]) -> Value {
    let show =
        |cause: &Cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field});
    causes.iter().map(show).collect()
}
