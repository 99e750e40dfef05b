//! ReplicaSets: as many pods as asked for.

use super::workload::{counts, create, delete_surplus, is_leaving, pod_of, pods_of, ready, replicas, report};
use crate::sim::state::State;
use crate::sim::store::Key;

pub(super) fn act(state: &mut State, key: &Key) {
    let Some(set) = state.store.get(key).cloned() else { return };
    if is_leaving(&set.value) {
        return;
    }
    let pods = pods_of(state, &set);
    let wanted = replicas(&set.value) as usize;
    if pods.len() > wanted {
        let surplus = pods.len() - wanted;
        delete_surplus(state, pods, surplus);
    } else {
        for _ in pods.len()..wanted {
            if create(state, "pods", &key.namespace, pod_of(&set, &format!("{}-", key.name), &[])).is_none() {
                break;
            }
        }
    }
    let pods = pods_of(state, &set);
    let (all, ready) = (pods.len() as u64, ready(&pods));
    let mut status =
        counts([("fullyLabeledReplicas", all), ("readyReplicas", ready), ("availableReplicas", ready)]);
    status.insert("replicas".into(), all.into());
    report(state, key, status);
}
