//! The life of a pod: bound to a node, started, done, gone.

use serde_json::{Value, json};

use super::Pace;
use super::scheduler;
use super::work::{Task, text};
use super::workload::{is_leaving, set_condition};
use crate::sim::state::{State, now};
use crate::sim::store::Key;

/// How long a pod's containers take to get ready: a span such as `5s`, or `never`. For tests of what waits.
const READY_AFTER: &str = "sim.qonnect.io/ready-after";

pub(super) fn act(state: &mut State, pace: Pace, key: &Key) {
    let Some(pod) = state.store.get(key).cloned() else { return };
    let bound = !text(&pod.value, "/spec/nodeName").is_empty();
    if is_leaving(&pod.value) {
        // The node has stopped it.
        state.work.starting.remove(pod.uid());
        if pod.value["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            state.remove(key);
        }
    } else if !bound {
        schedule(state, key, &pod.value);
    } else if text(&pod.value, "/status/phase") == "Pending" && state.work.starting.insert(pod.uid().into()) {
        let delay = match pod.value["metadata"]["annotations"][READY_AFTER].as_str() {
            Some("never") => return,
            Some(text) => text.parse().map_or(pace.ready_after, qonnect_schema::units::Span::as_duration),
            None => pace.ready_after,
        };
        state.work.push_after(delay, Task::Start(key.clone(), pod.uid().into()));
    }
}

fn schedule(state: &mut State, key: &Key, pod: &Value) {
    let gated = pod["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty());
    if gated {
        return;
    }
    match scheduler::choose(state, pod) {
        Ok(node) => {
            state.edit(key, "kube-scheduler", "", |pod| {
                pod["spec"]["nodeName"] = node.into();
                condition(pod, "PodScheduled", true, "", "");
            });
        }
        Err(reason) => {
            state.work.unschedulable.insert(key.clone());
            state.edit(key, "kube-scheduler", "status", |pod| {
                condition(pod, "PodScheduled", false, "Unschedulable", &reason);
            });
        }
    }
}

/// Its containers run and are ready.
pub(super) fn start(state: &mut State, pace: Pace, key: &Key, uid: &str) {
    let Some(pod) = state.store.get(key).filter(|pod| pod.uid() == uid && !is_leaving(&pod.value)) else {
        return;
    };
    let once = text(&pod.value, "/spec/restartPolicy") != "Always";
    let address = address(uid);
    state.edit(key, "kubelet", "status", |pod| {
        let started = now();
        let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
        let statuses: Vec<Value> = containers
            .iter()
            .map(|container| {
                json!({
                    "name": container["name"], "image": container["image"], "imageID": container["image"],
                    "containerID": format!("sim://{uid}/{}", text(container, "/name")),
                    "ready": true, "started": true, "restartCount": 0, "lastState": {},
                    "state": {"running": {"startedAt": started}},
                })
            })
            .collect();
        let status = &mut pod["status"];
        status["phase"] = "Running".into();
        status["startTime"] = started.into();
        status["podIP"] = address.clone().into();
        status["podIPs"] = json!([{"ip": address}]);
        status["hostIP"] = "127.0.0.1".into();
        status["containerStatuses"] = statuses.into();
        for kind in ["Initialized", "ContainersReady", "Ready"] {
            condition(pod, kind, true, "", "");
        }
    });
    state.work.starting.remove(uid);
    if once {
        state.work.push_after(pace.ready_after, Task::Succeed(key.clone(), uid.into()));
    }
}

/// Its containers ended well.
pub(super) fn succeed(state: &mut State, key: &Key, uid: &str) {
    if state.store.get(key).is_none_or(|pod| pod.uid() != uid) {
        return;
    }
    state.edit(key, "kubelet", "status", |pod| {
        pod["status"]["phase"] = "Succeeded".into();
        for status in pod["status"]["containerStatuses"].as_array_mut().into_iter().flatten() {
            status["ready"] = false.into();
            status["state"] =
                json!({"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": now()}});
        }
        for kind in ["ContainersReady", "Ready"] {
            condition(pod, kind, false, "PodCompleted", "");
        }
    });
}

fn condition(pod: &mut Value, kind: &str, holds: bool, reason: &str, message: &str) {
    let mut conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    set_condition(&mut conditions, kind, holds, reason, message);
    pod["status"]["conditions"] = conditions.into();
}

/// An address of the pods' range, by uid.
fn address(uid: &str) -> String {
    let byte = |at: usize| u8::from_str_radix(uid.get(at..at + 2).unwrap_or("1"), 16).unwrap_or(1);
    format!("10.244.{}.{}", byte(0), byte(2).max(1))
}
