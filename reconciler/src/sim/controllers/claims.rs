//! Volumes for claims, and addresses for load balancers: always there at once.

use serde_json::json;

use super::work::text;
use super::workload::MANAGER;
use crate::sim::state::State;
use crate::sim::store::Key;

pub(super) fn bind(state: &mut State, key: &Key) {
    let Some(claim) = state.store.get(key).cloned() else { return };
    if text(&claim.value, "/status/phase") == "Bound" {
        return;
    }
    let volume = format!("pvc-{}", claim.uid());
    state.edit(key, MANAGER, "", |claim| {
        claim["spec"]["volumeName"] = volume.into();
        claim["status"] = json!({
            "phase": "Bound",
            "accessModes": claim["spec"]["accessModes"],
            "capacity": claim["spec"]["resources"]["requests"],
        });
    });
}

pub(super) fn balance(state: &mut State, key: &Key) {
    let Some(service) = state.store.get(key).cloned() else { return };
    let balanced = text(&service.value, "/spec/type") == "LoadBalancer";
    let ingress = &service.value["status"]["loadBalancer"];
    if balanced == ingress.get("ingress").is_some() {
        return;
    }
    // A range that is reserved for documentation: nothing real answers there.
    let number = text(&service.value, "/spec/clusterIP").rsplit('.').next().unwrap_or("1").to_owned();
    let status =
        if balanced { json!({"ingress": [{"ip": format!("203.0.113.{number}")}]}) } else { json!({}) };
    state.edit(key, MANAGER, "status", |service| service["status"]["loadBalancer"] = status);
}
