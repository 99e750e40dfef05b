//! The objects in manifests: what Kubernetes would refuse, and what we do.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::findings::{Findings, Origin};
use super::fleet::escape;
use super::words::{did_you_mean, list, quoted};
use crate::documents::application::{Application, Component};
use crate::layout::{self, label};
use crate::manifest::{ObjectId, is_cluster_scoped, is_path_segment};
use crate::substitution::{self, Piece, Variable};
use crate::units::Span;

/// Where an object stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) origin: Origin<'a>,
    /// Of the object within its document.
    pub(super) pointer: &'a str,
}

impl Place<'_> {
    fn at(&self, pointer: &str) -> String {
        format!("{}{pointer}", self.pointer)
    }
}

pub(super) enum Flat {
    One(Value),
    Items(Vec<Value>),
}

/// Takes a `kind: List` apart.
pub(super) fn flatten(document: Value, origin: Origin<'_>, findings: &mut Findings) -> Flat {
    let is_list = document.get("kind").and_then(Value::as_str) == Some("List")
        && document.get("apiVersion").and_then(Value::as_str) == Some("v1");
    match document {
        Value::Object(mut list) if is_list => match list.remove("items") {
            Some(Value::Array(items)) => Flat::Items(items),
            _ => {
                findings.error(origin, "not-an-object", "", "a List without `items`");
                Flat::Items(Vec::new())
            }
        },
        other => Flat::One(other),
    }
}

/// Checks an object; its identity if it has one.
pub(super) fn check(
    object: &Value,
    application: &Application,
    cluster_scoped: &[String],
    place: Place<'_>,
    findings: &mut Findings,
) -> Option<ObjectId> {
    let Value::Object(map) = object else {
        findings
            .error(place.origin, "not-an-object", place.at(""), "not a Kubernetes object")
            .help("each document is a map with `apiVersion`, `kind` and `metadata`");
        return None;
    };
    let complete = identity_fields(map, place, findings);
    metadata(object, place, findings);
    if !complete {
        return None;
    }
    let mut id = ObjectId::of(object)?;
    kind(&id, object, place, findings);
    let outside = is_cluster_scoped(&id.group, &id.kind, cluster_scoped);
    if outside {
        scope(&id, cluster_scoped, place, findings);
        id.namespace.clear();
    } else {
        let wanted = application.spec.namespace.as_deref().unwrap_or(application.name());
        namespace(&id, wanted, place, findings);
        id.namespace = wanted.into();
    }
    Some(id)
}

/// `apiVersion`, `kind` and `metadata.name`, all texts without variables.
fn identity_fields(map: &Map<String, Value>, place: Place<'_>, findings: &mut Findings) -> bool {
    let mut complete = true;
    let metadata = map.get("metadata");
    let fields = [
        ("apiVersion", "/apiVersion", map.get("apiVersion")),
        ("kind", "/kind", map.get("kind")),
        ("metadata.name", "/metadata/name", metadata.and_then(|metadata| metadata.get("name"))),
        (
            "metadata.namespace",
            "/metadata/namespace",
            metadata.and_then(|metadata| metadata.get("namespace")),
        ),
    ];
    for (field, pointer, value) in fields {
        let mut say = |code: &str, message: String, help: &str| {
            complete = false;
            findings.error(place.origin, code, place.at(pointer), message).help(help);
        };
        match value {
            None if field == "metadata.namespace" => {}
            None if field == "metadata.name"
                && metadata.is_some_and(|it| it.get("generateName").is_some()) =>
            {
                say(
                    "missing-field",
                    "an object with `generateName` has no identity".into(),
                    "give it a `name`",
                );
            }
            None | Some(Value::Null) => {
                let help = "Kubernetes objects have `apiVersion`, `kind` and `metadata.name`";
                say("missing-field", format!("the object has no `{field}`"), help);
            }
            Some(Value::String(text)) if text.is_empty() => {
                say("empty", format!("`{field}` is empty"), "give it a value");
            }
            Some(Value::String(text)) if text.contains("${") => {
                let message =
                    format!("`{field}` has a variable, but an object is called the same everywhere");
                say("variable-in-identity", message, "write it out");
            }
            Some(Value::String(_)) => {}
            Some(other) => {
                say("wrong-type", format!("`{field}` is {other}, expected a text"), "put it in quotes")
            }
        }
    }
    complete
}

/// What server-side apply would refuse, and labels that are ours.
fn metadata(object: &Value, place: Place<'_>, findings: &mut Findings) {
    for field in ["resourceVersion", "uid", "managedFields", "creationTimestamp", "generation"] {
        let pointer = format!("/metadata/{field}");
        if object.pointer(&pointer).is_some_and(|value| !value.is_null()) {
            findings
                .error(
                    place.origin,
                    "server-field",
                    place.at(&pointer),
                    format!("`{field}` is set by the API server"),
                )
                .at_key()
                .help("remove it: it comes from an export of a running object");
        }
    }
    let is_config = object.get("kind").and_then(Value::as_str) == Some("ConfigMap");
    let texts = ["/metadata/labels", "/metadata/annotations", "/data"];
    for pointer in texts.into_iter().filter(|pointer| *pointer != "/data" || is_config) {
        for (key, value) in object.pointer(pointer).and_then(Value::as_object).into_iter().flatten() {
            if !value.is_string() {
                let at = place.at(&format!("{pointer}/{}", escape(key)));
                let message = format!("`{key}` is {}, expected a text", kind_of(value));
                findings.error(place.origin, "wrong-type", at, message).help("put the value in quotes");
            }
        }
    }
    let limit = format!("/metadata/annotations/{}", escape(layout::READY_WITHIN));
    if let Some(text) = object.pointer(&limit).and_then(Value::as_str)
        && let Err(why) = text.parse::<Span>()
    {
        let message = format!("`{}` is {}: {why}", layout::READY_WITHIN, quoted(text));
        findings
            .error(place.origin, "invalid-value", place.at(&limit), message)
            .help("write a stretch of time, such as `5m`");
    }
    for name in [label::PART_OF, label::MANAGED_BY, label::APPLICATION, label::COMPONENT] {
        let at = format!("/metadata/labels/{}", escape(name));
        if object.pointer(&at).is_some() {
            let message = format!("the label `{name}` is set by QONNECT");
            findings
                .warning(place.origin, "reserved-label", place.at(&at), message)
                .at_key()
                .help("remove it");
        }
    }
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Object(_) => "a map".into(),
        Value::Array(_) => "a list".into(),
        Value::Null => "empty".into(),
        other => other.to_string(),
    }
}

/// Kinds that have no place in a manifest.
fn kind(id: &ObjectId, object: &Value, place: Place<'_>, findings: &mut Findings) {
    let mut refuse = |message: String, help: &str| {
        findings.error(place.origin, "refused-kind", place.at("/kind"), message).help(help);
    };
    match (id.group.as_str(), id.kind.as_str()) {
        ("", "Namespace") => {
            let help = "name it in `spec.namespace` of the application, and remove this object";
            refuse("QONNECT makes the namespace of an application itself".into(), help);
        }
        ("kustomize.config.k8s.io", _) => {
            refuse(
                "kustomize is not run here".into(),
                "name plain manifests, such as the output of `kustomize build`",
            );
        }
        ("qonnect.io", kind) => {
            refuse(format!("`{kind}` is a document of QONNECT, no Kubernetes object"), "remove it");
        }
        (_, kind) if kind.ends_with("List") && object.get("items").is_some_and(Value::is_array) => {
            let help = "write the items as documents of their own, or use `kind: List`";
            refuse(format!("`{kind}` is what the API server answers, not what it takes"), help);
        }
        _ => {}
    }
    let secret = id.group.is_empty() && id.kind == "Secret";
    let filled =
        |field: &str| object.get(field).and_then(Value::as_object).is_some_and(|map| !map.is_empty());
    if secret && (filled("data") || filled("stringData")) {
        let message =
            format!("the Secret `{}` is readable for everybody who can read this repository", id.name);
        findings
            .warning(place.origin, "plain-secret", place.at("/kind"), message)
            .help("use a SealedSecret or an ExternalSecret, or create it in the clusters by other means");
    }
    let strict_name = !id.group.ends_with("rbac.authorization.k8s.io");
    if !is_name(&id.name, strict_name) {
        let message = format!("{} is no name for an object", quoted(&id.name));
        findings
            .error(place.origin, "invalid-value", place.at("/metadata/name"), message)
            .help("use `a` to `z`, digits, `-` and `.`, at most 253, a letter or digit at both ends");
    }
}

/// A DNS subdomain; kinds of RBAC also take `system:reader`.
fn is_name(name: &str, strict: bool) -> bool {
    let bounded = !name.is_empty() && name.len() <= 253;
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    match strict {
        true => {
            bounded && name.chars().all(inner) && edge(name.chars().next()) && edge(name.chars().next_back())
        }
        false => bounded && is_path_segment(name),
    }
}

fn scope(id: &ObjectId, listed: &[String], place: Place<'_>, findings: &mut Findings) {
    let full = if id.group.is_empty() { id.kind.clone() } else { format!("{}.{}", id.kind, id.group) };
    let allowed = listed.iter().any(|name| *name == full || *name == id.kind);
    if !allowed && id.kind != "Namespace" {
        let message = format!("`{}` belongs to the whole cluster, not to a namespace", id.kind);
        findings
            .error(place.origin, "cluster-scoped", place.at("/kind"), message)
            .help(format!("allow it for all applications with `clusterScoped: [{full}]` in `fleet.yaml`"));
    }
    if !id.namespace.is_empty() {
        let message = format!("`{}` has no namespace", id.kind);
        findings
            .error(place.origin, "other-namespace", place.at("/metadata/namespace"), message)
            .help("remove it");
    }
}

fn namespace(id: &ObjectId, wanted: &str, place: Place<'_>, findings: &mut Findings) {
    if !id.namespace.is_empty() && id.namespace != wanted {
        let message =
            format!("the namespace is {}, but this application's is `{wanted}`", quoted(&id.namespace));
        findings
            .error(place.origin, "other-namespace", place.at("/metadata/namespace"), message)
            .help("leave it out: every object gets the application's namespace");
    }
}

const UNKNOWN_VARIABLE: &str = "unknown-variable";

/// Finds `${…}` that nobody can replace.
pub(super) fn check_variables(
    object: &Value,
    component: &Component,
    all: &[Component],
    place: Place<'_>,
    findings: &mut Findings,
) {
    let name = place.origin.application.unwrap_or_default();
    let document = format!("{}/{name}/{}", layout::APPLICATIONS, layout::APPLICATION);
    // Of a component that cannot be read nobody knows what it exposes.
    let certain = !findings.is_repaired(&document, |_| true);
    let mut steps = Vec::new();
    walk(object, &mut steps, &mut |steps, text| {
        for piece in substitution::pieces(text) {
            let Some((code, message, help)) = variable(piece, component, all) else { continue };
            if !certain && code != UNKNOWN_VARIABLE {
                continue;
            }
            let pointer: String = steps.iter().map(|step| format!("/{}", escape(step))).collect();
            let finding = findings.error(place.origin, code, place.at(&pointer), message);
            finding.help(help);
        }
    });
}

/// What is wrong with a piece of a text: code, message and help.
fn variable(
    piece: Piece<'_>,
    component: &Component,
    all: &[Component],
) -> Option<(&'static str, String, String)> {
    let (Variable::ComponentHost(name) | Variable::ComponentPort(name)) = (match piece {
        Piece::Text(_) => return None,
        Piece::Variable(variable) => variable,
        Piece::Unknown(name) => return Some(unknown_variable(name, all)),
    }) else {
        return None;
    };
    let Some(callee) = all.iter().find(|other| other.name == name) else {
        let message = format!("this application has no component {}", quoted(name));
        let names: BTreeSet<&str> = all.iter().map(|other| other.name.as_str()).collect();
        let help = did_you_mean(name, names.iter().copied());
        let known: Vec<&str> = names.into_iter().collect();
        let help = help.unwrap_or_else(|| format!("its components are {}", list(&known)));
        return Some(("unknown-component", message, help));
    };
    if callee.expose.is_none() {
        let message = format!("`{name}` exposes no Service, so that other clusters could not reach it");
        let help = format!("give the component `{name}` an `expose: {{service: …, nodePort: …}}`");
        return Some(("not-exposed", message, help));
    }
    let declared = component.depends_on.iter().any(|dependency| dependency.component == name);
    if !declared && component.name != name {
        let message = format!("`{}` uses `{name}`, but does not depend on it", component.name);
        let help = format!("add `{{component: {name}}}` to its `dependsOn`");
        return Some(("undeclared-dependency", message, help));
    }
    None
}

fn unknown_variable(name: &str, all: &[Component]) -> (&'static str, String, String) {
    let of_components = all
        .iter()
        .flat_map(|component| ["host", "port"].map(|field| format!("component.{}.{field}", component.name)));
    let known: Vec<String> = substitution::NAMES.map(String::from).into_iter().chain(of_components).collect();
    let help = did_you_mean(name, known.iter().map(String::as_str)).unwrap_or_else(|| {
        format!("known are {}; for a literal `${{` write `$${{`", list(&substitution::NAMES))
    });
    (UNKNOWN_VARIABLE, format!("unknown variable {}", quoted(name)), help)
}

fn walk<'v>(value: &'v Value, steps: &mut Vec<String>, visit: &mut impl FnMut(&[String], &'v str)) {
    match value {
        Value::String(text) if text.contains("${") => visit(steps, text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                steps.push(index.to_string());
                walk(item, steps, visit);
                steps.pop();
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                steps.push(key.clone());
                walk(value, steps, visit);
                steps.pop();
            }
        }
        _ => {}
    }
}
