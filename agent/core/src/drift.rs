//! Does a live object still hold what was applied? What the server adds is not compared.

use std::str::FromStr;

use qonnect_schema::units::Cpu;
use serde_json::{Map, Value};

/// Where the live object differs from what was applied, as JSON pointers; empty where it still holds it.
///
/// Guarantees: fields that the server defaults, and list items that others add to a list with keys, are no
/// difference; `1000m` equals `1`; a field that was applied empty equals an absent one.
pub fn differences(applied: &Value, live: &Value) -> Vec<String> {
    let mut comparison = Comparison::default();
    comparison.object(applied, live);
    comparison.found
}

#[derive(Default)]
struct Comparison {
    path: Vec<String>,
    found: Vec<String>,
}

impl Comparison {
    /// The top of an object: only the parts of the metadata that people write, and never the status.
    fn object(&mut self, applied: &Value, live: &Value) {
        let secret = applied["kind"] == "Secret";
        for (name, wanted) in applied.as_object().into_iter().flatten() {
            match name.as_str() {
                "apiVersion" | "kind" | "status" => {}
                // Written only; the server answers with `data`.
                "stringData" if secret => {}
                "metadata" => self.within("metadata", |inner| {
                    for part in ["labels", "annotations", "finalizers"] {
                        inner.within(part, |inner| inner.value(&wanted[part], &live["metadata"][part]));
                    }
                }),
                _ => self.within(name, |inner| inner.value(wanted, &live[name])),
            }
        }
    }

    fn within(&mut self, name: &str, compare: impl FnOnce(&mut Self)) {
        self.path.push(name.into());
        compare(self);
        self.path.pop();
    }

    fn value(&mut self, applied: &Value, live: &Value) {
        match (applied, live) {
            // No opinion.
            (Value::Null, _) => {}
            _ if is_empty(applied) && is_empty(live) => {}
            (Value::Object(applied), Value::Object(live)) => self.maps(applied, live),
            (Value::Array(applied), Value::Array(live)) => self.lists(applied, live),
            _ if self.scalars_agree(applied, live) => {}
            _ => self.found.push(self.path.iter().map(|name| format!("/{}", escape(name))).collect()),
        }
    }

    fn maps(&mut self, applied: &Map<String, Value>, live: &Map<String, Value>) {
        for (name, wanted) in applied {
            self.within(name, |inner| inner.value(wanted, live.get(name).unwrap_or(&Value::Null)));
        }
    }

    fn lists(&mut self, applied: &[Value], live: &[Value]) {
        let keyed = applied.iter().all(Value::is_object);
        let open = keyed || self.path.last().is_some_and(|name| name == "finalizers");
        if !open && applied.len() != live.len() {
            return self.found.push(self.path.iter().map(|name| format!("/{}", escape(name))).collect());
        }
        for (at, wanted) in applied.iter().enumerate() {
            let same_place = live.get(at).is_some_and(|live| self.agrees(wanted, live));
            if same_place || (open && live.iter().any(|live| self.agrees(wanted, live))) {
                continue;
            }
            // Descend into the item of the same name, so that the pointer names the field and not the item.
            let (place, twin) = twin(wanted, live).unwrap_or((at, live.get(at).unwrap_or(&Value::Null)));
            self.within(&place.to_string(), |inner| inner.value(wanted, twin));
        }
    }

    fn agrees(&self, applied: &Value, live: &Value) -> bool {
        let mut inner = Self { path: self.path.clone(), found: Vec::new() };
        inner.value(applied, live);
        inner.found.is_empty()
    }

    fn scalars_agree(&self, applied: &Value, live: &Value) -> bool {
        if applied == live {
            return true;
        }
        if let (Some(applied), Some(live)) = (applied.as_f64(), live.as_f64()) {
            return applied == live;
        }
        // Only specs hold quantities; a label `1000m` is not a label `1`.
        let quantities = self.path.first().is_some_and(|top| top != "metadata" && top != "data");
        quantities && matches!((quantity(applied), quantity(live)), (Some(a), Some(b)) if a == b)
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What `omitempty` drops.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(true) => false,
    }
}

fn twin<'a>(wanted: &Value, live: &'a [Value]) -> Option<(usize, &'a Value)> {
    let name = wanted.get("name")?;
    live.iter().enumerate().find(|(_, item)| item.get("name") == Some(name))
}

/// In thousandths; `Cpu` reads every suffix that Kubernetes knows.
fn quantity(value: &Value) -> Option<Cpu> {
    match value {
        Value::String(text) => Cpu::from_str(text).ok(),
        Value::Number(number) => Cpu::from_str(&number.to_string()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn place(applied: Value, live: Value) -> Option<String> {
        differences(&applied, &live).into_iter().next()
    }

    #[test]
    fn what_the_server_adds_is_no_difference() {
        let applied = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "labels": {"a": "b"}, "creationTimestamp": null},
            "spec": {"template": {"spec": {"hostNetwork": false, "containers": [
                {"name": "web", "image": "web:1", "env": [], "resources": {"requests": {"cpu": "1000m", "memory": "0.5Gi"}}}
            ]}}},
            "status": {"replicas": 9},
        });
        let live = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "uid": "1", "generation": 3, "labels": {"a": "b", "more": "c"}},
            "spec": {"replicas": 1, "template": {"spec": {"dnsPolicy": "ClusterFirst", "containers": [
                {"name": "injected", "image": "sidecar"},
                {"name": "web", "image": "web:1", "imagePullPolicy": "Always",
                 "resources": {"requests": {"cpu": 1, "memory": "512Mi"}}},
            ]}}},
            "status": {"replicas": 1},
        });
        assert_eq!(place(applied, live), None);
    }

    #[test]
    fn what_was_not_applied_is_nobodys_drift() {
        let applied = json!({"metadata": {"name": "a"}, "spec": {"a": null, "b": {}}});
        let live = json!({"metadata": {"name": "a", "annotations": {"revision": "1"}, "labels": {"x": "y"}}, "spec": {"a": 1, "b": {"c": 1}}});
        assert_eq!(place(applied, live), None);
    }

    #[test]
    fn what_somebody_changed_is_named() {
        for (applied, live, pointer) in [
            (json!({"spec": {"replicas": 2}}), json!({"spec": {"replicas": 3}}), "/spec/replicas"),
            (json!({"spec": {"replicas": 2}}), json!({"spec": {}}), "/spec/replicas"),
            (json!({"spec": {"replicas": 0}}), json!({"spec": {"replicas": 3}}), "/spec/replicas"),
            (json!({"data": {"a/b": "1"}}), json!({"data": {"a/b": "2"}}), "/data/a~1b"),
            (json!({"data": {"a": "1000m"}}), json!({"data": {"a": "1"}}), "/data/a"),
            (
                json!({"metadata": {"labels": {"a": "b"}}}),
                json!({"metadata": {"labels": {}}}),
                "/metadata/labels/a",
            ),
            (
                json!({"spec": {"containers": [{"name": "b", "image": "1"}]}}),
                json!({"spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]}}),
                "/spec/containers/1/image",
            ),
            (json!({"spec": {"args": ["a", "b"]}}), json!({"spec": {"args": ["a", "c"]}}), "/spec/args/1"),
            (json!({"spec": {"args": ["a"]}}), json!({"spec": {"args": ["a", "b"]}}), "/spec/args"),
            (json!({"spec": {"ports": [{"port": 80}]}}), json!({"spec": {"ports": []}}), "/spec/ports/0"),
            (
                json!({"rules": [{"verbs": ["get"]}]}),
                json!({"rules": [{"verbs": ["get", "list"]}]}),
                "/rules/0/verbs",
            ),
        ] {
            assert_eq!(differences(&applied, &live), [pointer], "{applied} against {live}");
        }
    }

    #[test]
    fn secrets_are_compared_by_data_only() {
        let applied = json!({"kind": "Secret", "stringData": {"a": "b"}, "data": {"c": "ZA=="}});
        assert_eq!(
            place(applied.clone(), json!({"kind": "Secret", "data": {"a": "Yg==", "c": "ZA=="}})),
            None
        );
        assert!(place(applied, json!({"kind": "Secret", "data": {"c": "WA=="}})).is_some());
    }

    #[test]
    fn others_may_add_finalizers() {
        let applied = json!({"metadata": {"finalizers": ["a"]}});
        assert_eq!(place(applied.clone(), json!({"metadata": {"finalizers": ["b", "a"]}})), None);
        assert!(place(applied, json!({"metadata": {"finalizers": ["b"]}})).is_some());
    }
}
