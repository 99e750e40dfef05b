//! The walks of server-side apply over values: what an object says, how two differ, how they merge.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::{FieldSet, Step};
use super::shape::Shape;

/// How a new value differs from an old one.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Added or modified.
    pub(super) written: FieldSet,
    pub(super) removed: FieldSet,
}

/// The fields that an applied configuration states.
pub(super) fn stated(value: &Value, shape: &Shape) -> FieldSet {
    let mut set = FieldSet::default();
    if let Some(map) = shape.granular(Some(value)) {
        set.member = map.is_empty();
        for (name, child) in map {
            set.put(Step::Field(name.clone()), stated(child, shape.field(name)));
        }
    } else if let Some(items) = shape.items(Some(value)) {
        set.member = items.is_empty();
        for (step, item) in items {
            let mut child = stated(item, shape.item());
            child.member = true;
            set.put(step, child);
        }
    } else {
        set.member = true;
    }
    set
}

/// What a change from `old` to `new` wrote and removed. A map or list that appears or goes counts itself.
pub(super) fn compare(old: Option<&Value>, new: Option<&Value>, shape: &Shape) -> Comparison {
    let mut result = Comparison::default();
    match (old, new) {
        (None, None) => {}
        (None, Some(new)) => result.written = everything(new, shape),
        (Some(old), None) => result.removed = everything(old, shape),
        (Some(old), Some(new)) if old == new => {}
        (Some(old), Some(new)) => {
            if let (Some(a), Some(b)) = (shape.granular(Some(old)), shape.granular(Some(new))) {
                let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
                for name in names {
                    let child = compare(a.get(name), b.get(name), shape.field(name));
                    result.put(Step::Field(name.clone()), child);
                }
            } else if let (Some(a), Some(b)) = (shape.items(Some(old)), shape.items(Some(new))) {
                let a: BTreeMap<Step, &Value> = a.into_iter().collect();
                let b: BTreeMap<Step, &Value> = b.into_iter().collect();
                for step in a.keys().chain(b.keys().filter(|step| !a.contains_key(*step))) {
                    let child = compare(a.get(step).copied(), b.get(step).copied(), shape.item());
                    result.put(step.clone(), child);
                }
            } else {
                result.written = FieldSet::leaf();
            }
        }
    }
    result
}

impl Comparison {
    fn put(&mut self, step: Step, child: Self) {
        self.written.put(step.clone(), child.written);
        self.removed.put(step, child.removed);
    }
}

/// Every field of a value, its maps and lists themselves included.
fn everything(value: &Value, shape: &Shape) -> FieldSet {
    let mut set = FieldSet::leaf();
    if let Some(map) = shape.granular(Some(value)) {
        for (name, child) in map {
            set.put(Step::Field(name.clone()), everything(child, shape.field(name)));
        }
    } else if let Some(items) = shape.items(Some(value)) {
        for (step, item) in items {
            set.put(step, everything(item, shape.item()));
        }
    }
    set
}

/// `live` with all that `applied` states.
pub(super) fn merge(live: Option<&Value>, applied: &Value, shape: &Shape) -> Value {
    if let (Some(old), Some(new)) = (shape.granular(live), shape.granular(Some(applied))) {
        let mut merged = old.clone();
        for (name, child) in new {
            merged.insert(name.clone(), merge(old.get(name), child, shape.field(name)));
        }
        return Value::Object(merged);
    }
    if let (Some(old), Some(new)) = (shape.items(live), shape.items(Some(applied))) {
        return Value::Array(merge_items(&old, &new, shape.item()));
    }
    applied.clone()
}

/// The applied items in their order; those only in the live list keep their place before the next shared one.
fn merge_items(old: &[(Step, &Value)], new: &[(Step, &Value)], shape: &Shape) -> Vec<Value> {
    let before: BTreeMap<&Step, &Value> = old.iter().map(|(step, item)| (step, *item)).collect();
    let after: BTreeMap<&Step, &Value> = new.iter().map(|(step, item)| (step, *item)).collect();
    let mut merged = Vec::with_capacity(old.len() + new.len());
    let mut rest = old.iter().peekable();
    for (step, item) in new {
        while let Some((_, kept)) = rest.next_if(|(step, _)| !after.contains_key(step)) {
            merged.push((*kept).clone());
        }
        rest.next_if(|(other, _)| other == step);
        merged.push(merge(before.get(step).copied(), item, shape));
    }
    merged.extend(rest.filter(|(step, _)| !after.contains_key(step)).map(|(_, kept)| (*kept).clone()));
    merged
}

/// Takes away what a manager applied `before` and nobody keeps owning.
pub(super) fn prune(value: &mut Value, shape: &Shape, before: &FieldSet, kept: &FieldSet) {
    let none = FieldSet::default();
    if shape.granular(Some(value)).is_some() {
        let map: &mut Map<String, Value> = value.as_object_mut().expect("a granular value is a map");
        map.retain(|name, child| {
            let step = Step::Field(name.clone());
            match (before.children.get(&step), kept.children.get(&step)) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(before), Some(kept)) => {
                    prune(child, shape.field(name), before, kept);
                    true
                }
            }
        });
    } else if let Some(items) = shape.items(Some(value)) {
        let steps: Vec<Step> = items.into_iter().map(|(step, _)| step).collect();
        let mut steps = steps.iter();
        let list = value.as_array_mut().expect("a value with items is a list");
        list.retain_mut(|item| {
            let step = steps.next().expect("one step for each item");
            let Some(before) = before.children.get(step) else { return true };
            let kept = kept.children.get(step).unwrap_or(&none);
            if before.member && !kept.member {
                return false;
            }
            prune(item, shape.item(), before, kept);
            true
        });
    }
}
