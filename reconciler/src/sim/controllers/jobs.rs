//! Jobs: pods that run until enough of them have ended well.

use serde_json::{Value, json};

use super::work::text;
use super::workload::{MANAGER, create, is_leaving, owned, pod_of, pods_of, ready};
use crate::sim::state::{State, now};
use crate::sim::store::Key;

pub(super) fn act(state: &mut State, key: &Key) {
    let Some(job) = state.store.get(key).cloned() else { return };
    if is_leaving(&job.value) || job.value["status"].get("completionTime").is_some() {
        return;
    }
    let pods = owned(state, &job, "pods");
    let succeeded =
        pods.iter().filter(|(_, pod)| text(&pod.value, "/status/phase") == "Succeeded").count() as u64;
    let spec = &job.value["spec"];
    let completions = spec["completions"].as_u64().unwrap_or(1);
    let parallelism = spec["parallelism"].as_u64().unwrap_or(1);
    if spec["suspend"] != true {
        let wanted = parallelism.min(completions.saturating_sub(succeeded));
        for _ in pods_of(state, &job).len() as u64..wanted {
            create(state, "pods", &key.namespace, pod_of(&job, &format!("{}-", key.name), &[]));
        }
    }
    let active = pods_of(state, &job);
    let (count, ready) = (active.len(), ready(&active));
    state.edit(key, MANAGER, "status", |job| {
        let status = &mut job["status"];
        if status.get("startTime").is_none() {
            status["startTime"] = now().into();
        }
        for (field, value) in [("active", count as u64), ("succeeded", succeeded), ("ready", ready)] {
            status[field] = value.into();
        }
        if succeeded >= completions {
            let time = now();
            status["completionTime"] = time.clone().into();
            let condition = |kind: &str| -> Value {
                json!({"type": kind, "status": "True", "reason": "CompletionsReached",
                    "lastProbeTime": time, "lastTransitionTime": time})
            };
            status["conditions"] = json!([condition("SuccessCriteriaMet"), condition("Complete")]);
        }
    });
}
