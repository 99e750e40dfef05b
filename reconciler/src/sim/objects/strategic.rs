//! Strategic merge patch: a merge patch that knows which lists merge item by item.

use serde_json::{Map, Value};

use crate::sim::fields::{ListMap, Shape};

pub(super) fn merge(target: &mut Value, patch: Value, shape: &Shape) {
    let Value::Object(mut patch) = patch else {
        *target = patch;
        return;
    };
    if patch.remove("$patch").is_some_and(|directive| directive == "replace") {
        *target = Value::Object(patch);
        return;
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let fields = target.as_object_mut().expect("made a map above");
    for (name, change) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            delete_items(fields, list, &change);
        } else if name == "$retainKeys" {
            let kept = change.as_array().cloned().unwrap_or_default();
            fields.retain(|name, _| kept.iter().any(|kept| kept == name));
        } else if name.starts_with("$setElementOrder/") {
            // The order of items that merge by name carries no meaning for anybody here.
        } else if change.is_null() || change["$patch"] == "delete" {
            fields.remove(&name);
        } else {
            let shape = shape.field(&name);
            let slot = fields.entry(name).or_insert(Value::Null);
            merge_field(slot, change, shape);
        }
    }
}

fn merge_field(slot: &mut Value, change: Value, shape: &Shape) {
    match (change, shape) {
        (Value::Array(items), Shape::ListMap(map)) => merge_items(slot, items, map),
        (Value::Array(items), Shape::Set) => {
            let mut list = slot.as_array().cloned().unwrap_or_default();
            items.into_iter().for_each(|item| {
                if !list.contains(&item) {
                    list.push(item)
                }
            });
            *slot = list.into();
        }
        (change @ Value::Object(_), _) => merge(slot, change, shape),
        (change, _) => *slot = change,
    }
}

fn merge_items(slot: &mut Value, items: Vec<Value>, map: &ListMap) {
    let key = map.patch_key();
    let mut list = slot.as_array().cloned().unwrap_or_default();
    if items.iter().any(|item| item["$patch"] == "replace") {
        list.clear();
    }
    for mut item in items {
        let same = list.iter().position(|other| other.get(key) == item.get(key));
        match (item["$patch"].as_str(), same) {
            (Some("replace"), _) => {}
            (Some("delete"), Some(at)) => {
                list.remove(at);
            }
            (Some("delete"), None) => {}
            (_, Some(at)) => merge(&mut list[at], item, map.item_shape()),
            (_, None) => {
                strip_directives(&mut item);
                list.push(item);
            }
        }
    }
    *slot = list.into();
}

/// What is new as a whole has nothing that directives could act on.
fn strip_directives(value: &mut Value) {
    if let Some(map) = value.as_object_mut() {
        map.retain(|name, _| !name.starts_with('$'));
        map.values_mut().for_each(strip_directives);
    }
}

fn delete_items(fields: &mut Map<String, Value>, list: &str, items: &Value) {
    let gone = items.as_array().map_or(&[][..], Vec::as_slice);
    if let Some(Value::Array(list)) = fields.get_mut(list) {
        list.retain(|item| !gone.contains(item));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sim::fields::builtin;

    #[test]
    fn containers_merge_by_name_and_atomic_lists_are_replaced() {
        let mut target = json!({"spec": {"template": {"spec": {
            "containers": [{"name": "a", "image": "a:1", "args": ["x"]}, {"name": "b", "image": "b:1"}],
        }}}});
        let patch = json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "a"}, {"name": "c"}],
            "containers": [
                {"name": "a", "args": ["y"]},
                {"name": "b", "$patch": "delete"},
                {"name": "c", "image": "c:1"},
            ],
        }}}});
        merge(&mut target, patch, &builtin("apps", "Deployment"));
        assert_eq!(
            target["spec"]["template"]["spec"]["containers"],
            json!([{"name": "a", "image": "a:1", "args": ["y"]}, {"name": "c", "image": "c:1"}])
        );
    }
}
