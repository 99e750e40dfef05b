//! Objects that belong together: a Service and what it selects, a Deployment and what it reads.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// A component in the making.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) tier: String,
    pub(super) objects: Vec<Value>,
    /// The names of other parts.
    pub(super) calls: BTreeSet<String>,
    /// The Service that other clusters reach.
    pub(super) exposed: Option<String>,
}

/// The parts of one tier. What nothing refers to goes with the first.
pub(super) fn parts(tier: &str, stem: &str, mut objects: Vec<Value>) -> Vec<Part> {
    let names: Vec<(String, String)> = objects.iter().map(identity).collect();
    // Each object points to one that it belongs to; those that point to themselves are the heads of groups.
    let mut heads: Vec<usize> = (0..objects.len()).collect();
    for at in 0..objects.len() {
        let selected: Vec<usize> =
            (0..objects.len()).filter(|other| selects(&objects[at], &objects[*other])).collect();
        let mut related = selected;
        references(&mut objects[at], &mut |kind, name| {
            related.extend(names.iter().position(|(k, n)| k == kind && *n == *name));
        });
        related.into_iter().for_each(|other| join(&mut heads, at, other));
    }
    let groups: Vec<usize> = (0..objects.len()).map(|at| head(&heads, at)).collect();
    let works = |group: usize| (0..objects.len()).any(|at| groups[at] == group && is_workload(&objects[at]));
    let first = groups.iter().copied().find(|group| works(*group));
    let group_of = |at: usize| if works(groups[at]) { groups[at] } else { first.unwrap_or(0) };

    let mut found: BTreeMap<usize, Part> = BTreeMap::new();
    let owners: Vec<usize> = (0..objects.len()).map(group_of).collect();
    for (object, owner) in objects.into_iter().zip(owners) {
        let part = found.entry(owner).or_insert_with(|| Part { tier: tier.into(), ..Part::default() });
        part.objects.push(object);
    }
    let mut parts: Vec<Part> = found.into_values().collect();
    for part in &mut parts {
        let called =
            |wanted: fn(&Value) -> bool| part.objects.iter().find(|object| wanted(object)).map(identity);
        let name = called(|object| object["kind"] == "Service").or(called(is_workload));
        part.name = name.map_or_else(|| stem.into(), |(_, name)| name);
    }
    parts
}

impl Part {
    pub(super) fn file(&self) -> String {
        format!("{}.yaml", self.name)
    }

    pub(super) fn identities(&self) -> Vec<(String, String)> {
        self.objects.iter().map(identity).collect()
    }

    pub(super) fn holds_service(&self, service: &str) -> bool {
        self.identities().contains(&("Service".into(), service.into()))
    }

    /// Says whether it could: the name of a Service is an address that others know.
    pub(super) fn rename(&mut self, kind: &str, from: &str, to: &str) -> bool {
        if !["ConfigMap", "ServiceAccount", "Secret"].contains(&kind) {
            return false;
        }
        for object in &mut self.objects {
            if identity(object) == (kind.to_owned(), from.to_owned()) {
                object["metadata"]["name"] = to.into();
            }
            references(object, &mut |referred, name| {
                if referred == kind && name == from {
                    to.clone_into(name);
                }
            });
        }
        true
    }

    /// Those that an object has already stay.
    pub(super) fn label(&mut self, labels: &BTreeMap<String, String>) {
        for object in self.objects.iter_mut().filter(|_| !labels.is_empty()) {
            let metadata = object["metadata"].as_object_mut().expect("an object has a name in its metadata");
            let own = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new()));
            for (key, value) in labels {
                if let Some(own) = own.as_object_mut() {
                    own.entry(key.clone()).or_insert_with(|| value.clone().into());
                }
            }
        }
    }

    pub(super) fn requests_nothing(&self) -> bool {
        let workloads = self.objects.iter().filter(|object| is_workload(object));
        let mut containers = workloads
            .filter_map(|object| object.pointer("/spec/template/spec/containers")?.as_array())
            .flatten();
        containers.any(|container| {
            ["cpu", "memory"].iter().any(|what| container["resources"]["requests"][*what].is_null())
        })
    }
}

fn identity(object: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&object["kind"]), text(&object["metadata"]["name"]))
}

fn is_workload(object: &Value) -> bool {
    object.pointer("/spec/template/spec").is_some()
}

fn selects(service: &Value, object: &Value) -> bool {
    let selector = service.pointer("/spec/selector").and_then(Value::as_object);
    let labels = object.pointer("/spec/template/metadata/labels");
    service["kind"] == "Service"
        && selector.zip(labels).is_some_and(|(selector, labels)| {
            !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        })
}

/// Calls `visit` with the kind and the name of each object that pods read.
fn references(value: &mut Value, visit: &mut dyn FnMut(&str, &mut String)) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let named = match key.as_str() {
                    "serviceAccountName" => Some(("ServiceAccount", Some(value))),
                    "configMapKeyRef" | "configMapRef" | "configMap" => {
                        Some(("ConfigMap", value.get_mut("name")))
                    }
                    "secretKeyRef" | "secretRef" => Some(("Secret", value.get_mut("name"))),
                    "secret" => Some(("Secret", value.get_mut("secretName"))),
                    "persistentVolumeClaim" => Some(("PersistentVolumeClaim", value.get_mut("claimName"))),
                    _ => {
                        references(value, visit);
                        None
                    }
                };
                if let Some((kind, Some(Value::String(name)))) = named {
                    visit(kind, name);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| references(item, visit)),
        _ => {}
    }
}

fn head(heads: &[usize], mut at: usize) -> usize {
    while heads[at] != at {
        at = heads[at];
    }
    at
}

fn join(heads: &mut [usize], one: usize, other: usize) {
    let (one, other) = (head(heads, one), head(heads, other));
    heads[one.max(other)] = one.min(other);
}
