//! A set of fields, and the form `FieldsV1` in which managers own them.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value};

/// One step from a value to a part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) enum Step {
    /// A field of an object, or a key of a map.
    Field(String),
    /// The item of a list with these keys, as canonical JSON.
    Key(String),
    /// The item of a set with this value, as JSON.
    Item(String),
}

/// Fields as a trie: a node belongs to the set if `member` is true.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet {
    pub(super) member: bool,
    pub(super) children: BTreeMap<Step, FieldSet>,
}

impl FieldSet {
    pub(super) fn leaf() -> Self {
        Self { member: true, children: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(Self::is_empty)
    }

    /// Adds what `child` holds below `step`, unless that is nothing.
    pub(super) fn put(&mut self, step: Step, child: Self) {
        if !child.is_empty() {
            self.children.entry(step).or_default().unite(&child);
        }
    }

    pub(super) fn unite(&mut self, other: &Self) {
        self.member |= other.member;
        for (step, child) in &other.children {
            self.children.entry(step.clone()).or_default().unite(child);
        }
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.member &= !other.member;
        for (step, child) in &other.children {
            if let Some(own) = self.children.get_mut(step) {
                own.subtract(child);
                if own.is_empty() {
                    self.children.remove(step);
                }
            }
        }
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut common = Self { member: self.member && other.member, children: BTreeMap::new() };
        for (step, child) in &self.children {
            if let Some(theirs) = other.children.get(step) {
                common.put(step.clone(), child.intersection(theirs));
            }
        }
        common
    }

    /// The members in the words of an error message: `.spec.containers[name="app"].image`.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect(&mut String::new(), &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut String, paths: &mut Vec<String>) {
        if self.member {
            paths.push(prefix.clone());
        }
        for (step, child) in &self.children {
            let length = prefix.len();
            step.show(prefix);
            child.collect(prefix, paths);
            prefix.truncate(length);
        }
    }

    pub(super) fn to_fields_v1(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".into(), Value::Object(Map::new()));
        }
        for (step, child) in &self.children {
            let key = match step {
                Step::Field(name) => format!("f:{name}"),
                Step::Key(keys) => format!("k:{keys}"),
                Step::Item(value) => format!("v:{value}"),
            };
            map.insert(key, child.to_fields_v1());
        }
        Value::Object(map)
    }

    /// Reads `FieldsV1`; what is not of that form counts as nothing.
    pub(super) fn from_fields_v1(fields: &Value) -> Self {
        let mut set = Self::default();
        for (key, child) in fields.as_object().into_iter().flatten() {
            let step = match key.split_at_checked(2) {
                Some(("f:", name)) => Step::Field(name.into()),
                Some(("k:", keys)) => Step::Key(keys.into()),
                Some(("v:", value)) => Step::Item(value.into()),
                _ => {
                    set.member |= key == ".";
                    continue;
                }
            };
            let leaf = child.as_object().is_none_or(Map::is_empty);
            set.children.insert(step, if leaf { Self::leaf() } else { Self::from_fields_v1(child) });
        }
        set
    }
}

impl Step {
    fn show(&self, out: &mut String) {
        match self {
            Self::Field(name) => {
                out.push('.');
                out.push_str(name);
            }
            Self::Item(value) => write!(out, "[={value}]").expect("writing to text cannot fail"),
            Self::Key(keys) => {
                let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let keys: Vec<_> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(out, "[{}]", keys.join(",")).expect("writing to text cannot fail");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_v1_reads_back() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}, "f:finalizers": {"v:\"a/b\"": {}}},
            "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}},
        });
        let set = FieldSet::from_fields_v1(&fields);
        assert_eq!(set.to_fields_v1(), fields);
        assert_eq!(
            set.paths(),
            [
                ".metadata.finalizers[=\"a/b\"]",
                ".metadata.labels",
                ".metadata.labels.app",
                ".spec.ports[port=80,protocol=\"TCP\"]",
                ".spec.ports[port=80,protocol=\"TCP\"].port",
            ]
        );
    }

    #[test]
    fn subtracting_leaves_no_empty_branches() {
        let mut set = FieldSet::from_fields_v1(&json!({"f:a": {"f:b": {}}, "f:c": {}}));
        set.subtract(&FieldSet::from_fields_v1(&json!({"f:a": {"f:b": {}}})));
        assert_eq!(set.to_fields_v1(), json!({"f:c": {}}));
    }
}
