//! What every object gets: its namespace, and the labels by which it is known as ours.

use qonnect_schema::layout::label;
use qonnect_schema::manifest::{ObjectId, is_cluster_scoped};
use serde_json::{Map, Value};

use super::Context;

/// Puts an object into the namespace of its application, unless it lives outside namespaces.
pub(super) fn place(object: &mut Value, context: &Context<'_>) {
    let Some(id) = ObjectId::of(object) else { return };
    let metadata = fields(&mut object["metadata"]);
    if is_cluster_scoped(&id.group, &id.kind, context.cluster_scoped) {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".into(), context.source.namespace().into());
    }
}

/// Labels an object, and the pods that come of it: agents tell our pods from others by these labels.
///
/// Its author's `app.kubernetes.io/name` and `part-of` stay, since selectors may ask for them; what says that
/// an object is ours is always ours.
pub(super) fn label(object: &mut Value, application: &str, component: &str) {
    let labels = labels(&mut object["metadata"]);
    for (key, value) in [(label::NAME, component), (label::PART_OF, application)] {
        labels.entry(key).or_insert_with(|| value.into());
    }
    labels.insert(label::MANAGED_BY.into(), label::QONNECT.into());
    ours(labels, application, component);
    if let Some(template) = pod_template(object) {
        ours(self::labels(&mut template["metadata"]), application, component);
    }
}

fn ours(labels: &mut Map<String, Value>, application: &str, component: &str) {
    labels.insert(label::APPLICATION.into(), application.into());
    labels.insert(label::COMPONENT.into(), component.into());
}

pub(super) fn annotate(object: &mut Value, (key, value): (&str, &str)) {
    let metadata = fields(&mut object["metadata"]);
    fields(metadata.entry("annotations").or_insert(Value::Null)).insert(key.into(), value.into());
}

/// The labels of a `metadata`, made where there are none.
fn labels(metadata: &mut Value) -> &mut Map<String, Value> {
    let metadata = fields(metadata);
    fields(metadata.entry("labels").or_insert(Value::Null))
}

fn fields(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was made an object")
}

fn pod_template(object: &mut Value) -> Option<&mut Value> {
    let id = ObjectId::of(object)?;
    let pointer = match (id.group.as_str(), id.kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job")
        | ("", "ReplicationController") => "/spec/template",
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template",
        _ => return None,
    };
    object.pointer_mut(pointer).filter(|template| template.is_object())
}

/// File systems take names of 255 bytes; the number in front keeps what is cut off apart.
const FILE_NAME_CHARS_MAX: usize = 200;

/// `deployment-reviews-v1`; characters that a file should not have become `-`.
pub(super) fn file_name(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let name = format!("{}-{}", text("/kind"), text("/metadata/name")).to_lowercase();
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '-' });
    plain.take(FILE_NAME_CHARS_MAX).collect()
}
