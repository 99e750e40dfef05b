//! Namespaces: what every one holds from the start, and how one ends.

use serde_json::json;

use super::workload::{MANAGER, create, delete, is_leaving};
use crate::sim::objects::{DeleteOptions, finish_deletion};
use crate::sim::state::State;
use crate::sim::store::Key;

/// Makes a namespace that a cluster has from the start.
pub(in crate::sim) fn make(state: &mut State, name: &str) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    create(state, "namespaces", "", namespace);
}

pub(super) fn act(state: &mut State, key: &Key) {
    let Some(namespace) = state.store.get(key).cloned() else { return };
    if is_leaving(&namespace.value) {
        return empty(state, key);
    }
    if state.get("serviceaccounts", &key.name, "default").is_none() {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        create(state, "serviceaccounts", &key.name, account);
    }
    if state.get("configmaps", &key.name, "kube-root-ca.crt").is_none() {
        let authority = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ""},
        });
        create(state, "configmaps", &key.name, authority);
    }
}

/// Deletes all that is inside, and the namespace when nothing is left.
fn empty(state: &mut State, key: &Key) {
    let kinds = state.store.kinds_in(&key.name);
    for kind in &kinds {
        let inside: Vec<_> = state
            .store
            .range(kind, &key.name, ("", ""))
            .map(|(name, object)| (name.clone(), object.clone()))
            .collect();
        for ((namespace, name), object) in inside {
            if !is_leaving(&object.value) {
                let key = Key { kind: kind.clone(), namespace, name };
                delete(state, &key, &DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::default() });
            }
        }
    }
    if !state.store.kinds_in(&key.name).is_empty() {
        return;
    }
    state.edit(key, MANAGER, "finalize", |namespace| namespace["spec"]["finalizers"] = json!([]));
    finish_deletion(state, key);
}
