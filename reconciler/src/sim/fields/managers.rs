//! What an apply or an update does to the owners of fields.

use serde_json::{Value, json};

use super::merge::{self, Comparison};
use super::set::{FieldSet, Step};
use super::shape::Shape;
use crate::sim::status::{Cause, Status};

/// Who writes, through which version and subresource.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Manager<'a> {
    pub(in crate::sim) name: &'a str,
    pub(in crate::sim) api_version: &'a str,
    /// Empty for the object itself.
    pub(in crate::sim) subresource: &'a str,
    /// The time of writing, as it is shown.
    pub(in crate::sim) time: &'a str,
}

/// One entry of `metadata.managedFields`.
#[derive(Debug, Clone)]
struct Entry {
    manager: String,
    applied: bool,
    api_version: String,
    subresource: String,
    time: String,
    set: FieldSet,
}

/// Fields that other managers own with other values.
#[derive(Debug)]
pub(in crate::sim) struct Conflicts(Vec<(String, String)>);

impl From<Conflicts> for Status {
    fn from(Conflicts(conflicts): Conflicts) -> Self {
        let cause = |(manager, field): &(String, String)| Cause {
            reason: "FieldManagerConflict",
            message: format!("conflict with {manager}"),
            field: field.clone(),
        };
        let causes = conflicts.iter().map(cause).collect();
        let message = match conflicts.as_slice() {
            [(manager, field)] => format!("Apply failed with 1 conflict: conflict with {manager}: {field}"),
            many => {
                let mut lines = Vec::new();
                for (at, (manager, field)) in many.iter().enumerate() {
                    if at == 0 || many[at - 1].0 != *manager {
                        lines.push(format!("conflicts with {manager}:"));
                    }
                    lines.push(format!("- {field}"));
                }
                format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
            }
        };
        Self::apply_conflict(message, causes)
    }
}

impl Entry {
    fn new(manager: &Manager<'_>, applied: bool) -> Self {
        Self {
            manager: manager.name.into(),
            applied,
            api_version: manager.api_version.into(),
            subresource: manager.subresource.into(),
            time: manager.time.into(),
            set: FieldSet::default(),
        }
    }

    fn is(&self, manager: &Manager<'_>, applied: bool) -> bool {
        self.manager == manager.name
            && self.applied == applied
            && self.subresource == manager.subresource
            && (applied || self.api_version == manager.api_version)
    }

    fn shown(&self) -> String {
        let subresource = match self.subresource.as_str() {
            "" => String::new(),
            subresource => format!(" with subresource {subresource:?}"),
        };
        let using = if self.applied { String::new() } else { format!(" using {}", self.api_version) };
        format!("{:?}{subresource}{using}", self.manager)
    }

    fn to_value(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": if self.applied { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.set.to_fields_v1(),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.as_str().into();
        }
        entry
    }

    fn from_value(entry: &Value) -> Self {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        Self {
            manager: text("manager"),
            applied: entry["operation"] == "Apply",
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            set: FieldSet::from_fields_v1(&entry["fieldsV1"]),
        }
    }
}

/// `live` after `manager` applied `config`, owners included. `None` for an object that is not there yet.
pub(in crate::sim) fn apply(
    live: Option<&Value>,
    config: &Value,
    shape: &Shape,
    manager: &Manager<'_>,
    force: bool,
) -> Result<Value, Conflicts> {
    let mut entries = live.map_or_else(Vec::new, read);
    let at = entries.iter().position(|entry| entry.is(manager, true)).unwrap_or_else(|| {
        entries.push(Entry::new(manager, true));
        entries.len() - 1
    });
    // What names the object stays, though nobody owns it.
    let mut kept = merge::stated(config, shape);
    let mut set = kept.clone();
    set.subtract(&unowned(config));
    let before = std::mem::replace(&mut entries[at].set, set);
    let set_changed = before != entries[at].set;

    let mut merged = merge::merge(live, config, shape);
    entries.iter().for_each(|entry| kept.unite(&entry.set));
    merge::prune(&mut merged, shape, &before, &kept);

    let Comparison { written, removed } = merge::compare(live, Some(&merged), shape);
    let mut conflicts = Vec::new();
    for (other, entry) in entries.iter_mut().enumerate() {
        if other == at {
            continue;
        }
        let clash = entry.set.intersection(&written);
        conflicts.extend(clash.paths().into_iter().map(|path| (entry.shown(), path)));
        entry.set.subtract(&clash);
        entry.set.subtract(&removed);
    }
    if !force && !conflicts.is_empty() {
        conflicts.sort();
        return Err(Conflicts(conflicts));
    }
    if set_changed || !written.is_empty() || !removed.is_empty() {
        entries[at].time = manager.time.into();
        entries[at].api_version = manager.api_version.into();
    }
    write(&mut merged, entries);
    Ok(merged)
}

/// Gives `manager` what it changed between `live` and `new`, and takes it from the others.
pub(in crate::sim) fn update(live: &Value, new: &mut Value, shape: &Shape, manager: &Manager<'_>) {
    let mut entries = match &new["metadata"]["managedFields"] {
        // An explicit empty list is how clients drop all owners.
        Value::Array(list)
            if list.iter().all(|entry| entry.as_object().is_some_and(|map| map.is_empty())) =>
        {
            vec![]
        }
        _ => read(live),
    };
    let Comparison { mut written, mut removed } = merge::compare(Some(live), Some(new), shape);
    written.subtract(&unowned(new));
    removed.subtract(&unowned(live));
    if !written.is_empty() || !removed.is_empty() {
        let at = entries.iter().position(|entry| entry.is(manager, false)).unwrap_or_else(|| {
            entries.push(Entry::new(manager, false));
            entries.len() - 1
        });
        for (other, entry) in entries.iter_mut().enumerate() {
            entry.set.subtract(&removed);
            match other == at {
                true => entry.set.unite(&written),
                false => entry.set.subtract(&written),
            }
        }
        entries[at].time = manager.time.into();
    }
    write(new, entries);
}

/// Fields that nobody owns: what names an object, and what only the server writes.
fn unowned(object: &Value) -> FieldSet {
    const METADATA: [&str; 8] = [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "selfLink",
        "deletionTimestamp",
    ];
    let mut set = FieldSet::default();
    let leaf = |name: &str| (Step::Field(name.into()), FieldSet::leaf());
    let mut metadata = FieldSet { member: true, children: METADATA.iter().map(|name| leaf(name)).collect() };
    if let Some(list) = object.pointer("/metadata/managedFields") {
        metadata.put(Step::Field("managedFields".into()), merge::stated(list, &Shape::Atomic));
    }
    set.children.extend([leaf("apiVersion"), leaf("kind"), (Step::Field("metadata".into()), metadata)]);
    set
}

fn read(object: &Value) -> Vec<Entry> {
    let list = object["metadata"]["managedFields"].as_array();
    list.into_iter().flatten().map(Entry::from_value).collect()
}

fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.set.is_empty());
    entries.sort_by(|a, b| {
        let key = |entry: &Entry| {
            (
                !entry.applied,
                entry.time.clone(),
                entry.manager.clone(),
                entry.api_version.clone(),
                entry.subresource.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    let list: Vec<Value> = entries.iter().map(Entry::to_value).collect();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        match list.is_empty() {
            true => metadata.remove("managedFields"),
            false => metadata.insert("managedFields".into(), list.into()),
        };
    }
}

/// True if two objects differ at most in the times at which managers wrote.
pub(in crate::sim) fn same_but_for_times(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return a == b };
    let others =
        |(name, value): (&String, &Value)| (name != "metadata").then(|| (name.clone(), value.clone()));
    let metadata = |map: &serde_json::Map<String, Value>| {
        let mut metadata = map.get("metadata").cloned().unwrap_or_default();
        for entry in metadata["managedFields"].as_array_mut().into_iter().flatten() {
            entry.as_object_mut().map(|entry| entry.remove("time"));
        }
        metadata
    };
    a.len() == b.len()
        && a.iter().filter_map(others).eq(b.iter().filter_map(others))
        && metadata(a) == metadata(b)
}

#[cfg(test)]
mod tests {
    use super::super::shapes::builtin;
    use super::*;

    fn manager(name: &str) -> Manager<'_> {
        Manager { name, api_version: "apps/v1", subresource: "", time: "2026-01-01T00:00:00Z" }
    }

    fn deployment(replicas: Value, containers: Value) -> Value {
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
            "spec": {"template": {"spec": {"containers": containers}}},
        });
        if !replicas.is_null() {
            object["spec"]["replicas"] = replicas;
        }
        object
    }

    fn applied(live: Option<&Value>, config: &Value, name: &str, force: bool) -> Result<Value, Value> {
        let shape = builtin("apps", "Deployment");
        apply(live, config, &shape, &manager(name), force)
            .map_err(|conflicts| Status::from(conflicts).to_value())
    }

    fn owners(object: &Value) -> Vec<String> {
        let show = |entry: Entry| format!("{}: {}", entry.shown(), entry.set.paths().join(" "));
        read(object).into_iter().map(show).collect()
    }

    #[test]
    fn a_field_with_another_value_conflicts_until_it_is_forced() {
        let live = applied(None, &deployment(json!(1), json!([{"name": "a", "image": "a:1"}])), "one", false)
            .unwrap();
        let other = deployment(json!(2), json!([{"name": "a", "image": "a:2"}]));
        let refused = applied(Some(&live), &other, "two", false).unwrap_err();
        assert_eq!(
            refused["message"],
            "Apply failed with 2 conflicts: conflicts with \"one\":\n- .spec.replicas\n\
             - .spec.template.spec.containers[name=\"a\"].image"
        );
        let forced = applied(Some(&live), &other, "two", true).unwrap();
        assert_eq!(forced["spec"]["replicas"], 2);
        assert!(owners(&forced)[0].starts_with("\"one\": "), "{:?}", owners(&forced));
        assert!(!owners(&forced)[0].contains(".spec.replicas"), "{:?}", owners(&forced));
    }

    #[test]
    fn the_same_value_is_shared_and_stays_until_the_last_owner_lets_go() {
        let both = deployment(json!(1), json!([]));
        let live = applied(None, &both, "one", false).unwrap();
        let live = applied(Some(&live), &both, "two", false).unwrap();
        let live = applied(Some(&live), &deployment(json!(null), json!([])), "one", false).unwrap();
        assert_eq!(live["spec"]["replicas"], 1);
        let live = applied(Some(&live), &deployment(json!(null), json!([])), "two", false).unwrap();
        assert_eq!(live["spec"].get("replicas"), None);
        assert_eq!(live["metadata"]["name"], "d", "what names an object is nobody's to remove");
    }

    #[test]
    fn an_item_that_is_no_longer_applied_goes_with_its_defaults_but_not_what_others_own() {
        let two = json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}, {"name": "c", "image": "c:1"}]);
        let mut live = applied(None, &deployment(json!(null), two), "one", false).unwrap();
        for at in 0..3 {
            live["spec"]["template"]["spec"]["containers"][at]["imagePullPolicy"] = "IfNotPresent".into();
        }
        let env = deployment(json!(null), json!([{"name": "b", "env": [{"name": "E", "value": "1"}]}]));
        let live = applied(Some(&live), &env, "two", false).unwrap();
        let less = deployment(json!(null), json!([{"name": "c", "image": "c:1"}]));
        let live = applied(Some(&live), &less, "one", false).unwrap();
        assert_eq!(
            live["spec"]["template"]["spec"]["containers"],
            json!([
                {"name": "b", "env": [{"name": "E", "value": "1"}], "imagePullPolicy": "IfNotPresent"},
                {"name": "c", "image": "c:1", "imagePullPolicy": "IfNotPresent"},
            ])
        );
    }

    #[test]
    fn an_update_takes_what_it_changes_and_only_that() {
        let shape = builtin("apps", "Deployment");
        let live = applied(None, &deployment(json!(1), json!([{"name": "a", "image": "a:1"}])), "one", false)
            .unwrap();
        let mut scaled = live.clone();
        scaled["spec"]["replicas"] = 5.into();
        update(&live, &mut scaled, &shape, &Manager { subresource: "scale", ..manager("hand") });
        assert_eq!(owners(&scaled)[1], "\"hand\" with subresource \"scale\" using apps/v1: .spec.replicas");
        let refused = applied(Some(&scaled), &deployment(json!(1), json!([])), "one", false).unwrap_err();
        assert_eq!(
            refused["details"]["causes"][0]["message"],
            "conflict with \"hand\" with subresource \"scale\" using apps/v1"
        );
    }

    #[test]
    fn the_same_apply_again_changes_nothing() {
        let config = deployment(json!(1), json!([{"name": "a", "ports": [{"containerPort": 80}]}]));
        let live = applied(None, &config, "one", false).unwrap();
        let later = Manager { time: "2027-01-01T00:00:00Z", ..manager("one") };
        assert_eq!(apply(Some(&live), &config, &builtin("apps", "Deployment"), &later, false).unwrap(), live);
    }

    #[test]
    fn applied_items_keep_their_order_and_foreign_ones_their_place() {
        let list = |names: &[&str]| {
            deployment(json!(null), names.iter().map(|name| json!({"name": name})).collect())
        };
        let live = applied(None, &list(&["a", "x", "b"]), "one", false).unwrap();
        let live = applied(Some(&live), &list(&["b", "n", "a"]), "two", false).unwrap();
        let names: Vec<_> = live["spec"]["template"]["spec"]["containers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| &c["name"])
            .collect();
        assert_eq!(names, ["b", "n", "a", "x"]);
    }
}
