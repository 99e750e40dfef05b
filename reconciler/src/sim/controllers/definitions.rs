//! CustomResourceDefinitions: accepted at once, served from then on.

use serde_json::json;

use super::workload::{delete, set_condition};
use crate::sim::objects::DeleteOptions;
use crate::sim::state::State;
use crate::sim::store::Key;

pub(super) fn act(state: &mut State, key: &Key) {
    let Some(definition) = state.store.get(key).cloned() else { return withdraw(state, &key.name) };
    state.kinds.serve(&definition.value);
    state.edit(key, "kube-apiserver", "status", |definition| {
        let mut conditions = definition["status"]["conditions"].as_array().cloned().unwrap_or_default();
        set_condition(&mut conditions, "NamesAccepted", true, "NoConflicts", "no conflicts found");
        set_condition(
            &mut conditions,
            "Established",
            true,
            "InitialNamesAccepted",
            "the initial names have been accepted",
        );
        let versions = definition["spec"]["versions"].as_array().into_iter().flatten();
        let stored: Vec<_> = versions
            .filter(|version| version["storage"] == true)
            .map(|version| version["name"].clone())
            .collect();
        definition["status"] = json!({
            "acceptedNames": definition["spec"]["names"],
            "conditions": conditions,
            "storedVersions": stored,
        });
    });
}

/// The objects of a kind go with it.
fn withdraw(state: &mut State, kind: &str) {
    let Some(id) = state.kinds.id(kind) else { return };
    let names: Vec<_> = state.store.range(&id, "", ("", "")).map(|(name, _)| name.clone()).collect();
    for (namespace, name) in names {
        delete(state, &Key { kind: id.clone(), namespace, name }, &DeleteOptions::default());
    }
    state.kinds.withdraw(kind);
}
