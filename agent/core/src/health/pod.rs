//! Pods: the place where one sees why a workload does not get ready.

use serde_json::Value;

use super::{Assessment, Condition};

pub(super) fn assess(object: &Value) -> Assessment {
    let status = &object["status"];
    let why = || status["message"].as_str().or(status["reason"].as_str()).unwrap_or("a container failed");
    match status["phase"].as_str() {
        Some("Succeeded") => Assessment::ready(),
        Some("Failed") => Assessment::stalled("PodFailed", why()),
        _ if Condition::of(object, "Ready").is_some_and(|ready| ready.is_true()) => Assessment::ready(),
        _ => match trouble(object) {
            Some((reason, message)) if reason == "CrashLoopBackOff" => Assessment::stalled(&reason, message),
            Some((reason, message)) => Assessment::reconciling(&reason, message),
            None => Assessment::reconciling("PodNotReady", "the pod is not ready yet"),
        },
    }
}

/// What a person needs to know about a pod that does not start: reason and message.
pub fn trouble(object: &Value) -> Option<(String, String)> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if let Some(scheduled) =
        Condition::of(object, "PodScheduled").filter(|condition| condition.status == "False")
    {
        return Some((scheduled.word().into(), format!("pod {name}: {}", scheduled.message)));
    }
    let containers = ["initContainerStatuses", "containerStatuses"];
    containers.iter().find_map(|list| {
        object["status"][*list].as_array()?.iter().find_map(|container| of_container(name, container))
    })
}

fn of_container(pod: &str, status: &Value) -> Option<(String, String)> {
    let waiting = &status["state"]["waiting"];
    // Every container passes through these two on its way up.
    let reason = waiting["reason"]
        .as_str()
        .filter(|reason| !["ContainerCreating", "PodInitializing"].contains(reason))?;
    let container = status["name"].as_str().unwrap_or_default();
    let mut message = format!("pod {pod}, container {container}");
    if let Some(text) = waiting["message"].as_str() {
        message = format!("{message}: {text}");
    }
    let last = &status["lastState"]["terminated"];
    if let Some(code) = last["exitCode"].as_i64() {
        let why = last["message"].as_str().or(last["reason"].as_str()).unwrap_or_default();
        message = format!("{message}; it ended with status {code} {why}").trim_end().into();
    }
    Some((reason.into(), message))
}

#[cfg(test)]
mod tests {
    use qonnect_schema::documents::snapshot::Health;
    use serde_json::json;

    use super::super::tests::judged;
    use super::*;

    #[test]
    fn a_pod_is_judged_by_phase_readiness_and_containers() {
        let waiting = |reason: &str| json!({"phase": "Running", "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": reason}}}]});
        for (status, health, reason) in [
            (json!({"phase": "Succeeded"}), Health::Ready, ""),
            (json!({"phase": "Failed", "reason": "Evicted"}), Health::Stalled, "PodFailed"),
            (
                json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}),
                Health::Ready,
                "",
            ),
            (json!({"phase": "Running"}), Health::Reconciling, "PodNotReady"),
            (waiting("ContainerCreating"), Health::Reconciling, "PodNotReady"),
            (waiting("ImagePullBackOff"), Health::Reconciling, "ImagePullBackOff"),
            (waiting("CrashLoopBackOff"), Health::Stalled, "CrashLoopBackOff"),
            (
                json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]}),
                Health::Reconciling,
                "Unschedulable",
            ),
        ] {
            assert_eq!(judged("", "Pod", json!({"status": status})), (health, reason.to_string()));
        }
    }

    #[test]
    fn a_crash_tells_how_the_last_run_ended() {
        let pod = json!({"metadata": {"name": "web-1"}, "status": {"containerStatuses": [{
            "name": "web",
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
            "lastState": {"terminated": {"exitCode": 1, "message": "no such table"}},
        }]}});
        let (reason, message) = trouble(&pod).unwrap();
        assert_eq!(reason, "CrashLoopBackOff");
        assert_eq!(message, "pod web-1, container web: back-off 5m0s; it ended with status 1 no such table");
    }
}
