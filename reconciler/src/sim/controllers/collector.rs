//! Garbage collection by owner references.

use serde_json::Value;

use super::workload::{MANAGER, delete, is_leaving};
use crate::sim::objects::{DeleteOptions, finish_deletion};
use crate::sim::state::State;
use crate::sim::store::Key;

fn with_policy(policy: &str) -> DeleteOptions {
    DeleteOptions { propagation: Some(policy.into()), ..DeleteOptions::default() }
}

/// Deletes what only the object with this uid owned.
pub(super) fn owner_gone(state: &mut State, uid: &str) {
    for key in state.store.children(uid) {
        check_owners(state, &key);
    }
}

/// Deletes an object none of whose owners exists; drops the owners that do not.
pub(super) fn check_owners(state: &mut State, key: &Key) {
    let Some(object) = state.store.get(key) else { return };
    let owners = object.value["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    let exists = |owner: &&Value| owner["uid"].as_str().is_some_and(|uid| state.store.by_uid(uid).is_some());
    let alive: Vec<Value> = owners.iter().filter(exists).cloned().collect();
    if alive.len() == owners.len() {
        return;
    }
    if alive.is_empty() {
        delete(state, key, &with_policy("Background"));
    } else {
        state.edit(key, MANAGER, "", |object| object["metadata"]["ownerReferences"] = alive.into());
    }
}

/// Carries on a deletion that waits for dependents. True if the object is gone.
pub(super) fn finalize(state: &mut State, key: &Key) -> bool {
    let Some(object) = state.store.get(key).cloned() else { return false };
    if !is_leaving(&object.value) {
        return false;
    }
    let finalizers = object.value["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    if finalizers.iter().any(|finalizer| finalizer == "orphan") {
        for child in state.store.children(object.uid()) {
            state.edit(&child, MANAGER, "", |value| disown(value, object.uid()));
        }
        release(state, key, "orphan");
    }
    if finalizers.iter().any(|finalizer| finalizer == "foregroundDeletion") {
        let mut blocked = false;
        for child in state.store.children(object.uid()) {
            let Some(found) = state.store.get(&child) else { continue };
            blocked |= blocks(&found.value, object.uid());
            if !is_leaving(&found.value) {
                delete(state, &child, &with_policy("Foreground"));
            }
        }
        if !blocked {
            release(state, key, "foregroundDeletion");
        }
    }
    state.store.get(key).is_none()
}

fn disown(object: &mut Value, uid: &str) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    if let Some(owners) = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut) {
        owners.retain(|owner| owner["uid"] != uid);
        if owners.is_empty() {
            metadata.remove("ownerReferences");
        }
    }
}

fn blocks(object: &Value, uid: &str) -> bool {
    let owners = object["metadata"]["ownerReferences"].as_array();
    owners.into_iter().flatten().any(|owner| owner["uid"] == uid && owner["blockOwnerDeletion"] == true)
}

/// Takes a finalizer away, and the object with it if that was the last one.
fn release(state: &mut State, key: &Key, finalizer: &str) {
    state.edit(key, MANAGER, "", |object| {
        let Some(metadata) = object["metadata"].as_object_mut() else { return };
        if let Some(list) = metadata.get_mut("finalizers").and_then(Value::as_array_mut) {
            list.retain(|other| other != finalizer);
            if list.is_empty() {
                metadata.remove("finalizers");
            }
        }
    });
    finish_deletion(state, key);
}
