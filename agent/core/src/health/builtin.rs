//! The rules of the kinds that Kubernetes brings; `None` where conditions alone decide.

use qonnect_schema::manifest::ObjectId;
use serde_json::Value;

use super::{Assessment, Condition, pod};

pub(super) fn assess(id: &ObjectId, object: &Value) -> Option<Assessment> {
    Some(match (id.group.as_str(), id.kind.as_str()) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => replica_set(object),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod::assess(object),
        ("", "Service") => service(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("apiregistration.k8s.io", "APIService") => available(object),
        // Their conditions describe the load, not whether the object is in force.
        ("autoscaling" | "policy", _) | ("batch", "CronJob") | ("networking.k8s.io", "Ingress") => {
            Assessment::ready()
        }
        _ => return None,
    })
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}

fn wanted(object: &Value) -> i64 {
    object["spec"]["replicas"].as_i64().unwrap_or(1)
}

fn unseen(object: &Value) -> Option<Assessment> {
    object["status"]["observedGeneration"]
        .is_null()
        .then(|| Assessment::reconciling("NotObserved", "its controller has not seen it yet"))
}

/// The first count that falls short of what is wanted.
fn short(reason: &str, wanted: i64, counts: &[(i64, &str)]) -> Option<Assessment> {
    let (count, what) = counts.iter().find(|(count, _)| *count < wanted)?;
    Some(Assessment::reconciling(reason, format!("{count} of {wanted} replicas are {what}")))
}

fn surplus(wanted: i64, found: i64) -> Option<Assessment> {
    (found > wanted).then(|| {
        Assessment::reconciling("OldReplicas", format!("{} old replicas are still ending", found - wanted))
    })
}

fn deployment(object: &Value) -> Assessment {
    let status = &object["status"];
    let wanted = wanted(object);
    let replicas = number(&status["replicas"]);
    let updated = number(&status["updatedReplicas"]);
    if let Some(unseen) = unseen(object) {
        return unseen;
    }
    if let Some(progress) =
        Condition::of(object, "Progressing").filter(|c| c.reason == "ProgressDeadlineExceeded")
    {
        return progress.stalled();
    }
    // A quota or a webhook refuses the pods; the deadline alone would hide why.
    let failure = Condition::of(object, "ReplicaFailure").filter(Condition::is_true).map(|c| c.reconciling());
    failure
        .or_else(|| short("Updating", wanted, &[(updated, "updated")]))
        .or_else(|| surplus(updated, replicas))
        .or_else(|| {
            short(
                "NotReady",
                wanted,
                &[
                    (number(&status["readyReplicas"]), "ready"),
                    (number(&status["availableReplicas"]), "available"),
                ],
            )
        })
        .unwrap_or_else(Assessment::ready)
}

fn stateful_set(object: &Value) -> Assessment {
    let (spec, status) = (&object["spec"], &object["status"]);
    let wanted = wanted(object);
    if let Some(unseen) = unseen(object) {
        return unseen;
    }
    if spec["updateStrategy"]["type"] == "OnDelete" {
        return Assessment::ready();
    }
    let partition = number(&spec["updateStrategy"]["rollingUpdate"]["partition"]);
    let updated = number(&status["updatedReplicas"]);
    short(
        "NotReady",
        wanted,
        &[(number(&status["replicas"]), "created"), (number(&status["readyReplicas"]), "ready")],
    )
    .or_else(|| surplus(wanted, number(&status["replicas"])))
    .or_else(|| {
        short("Updating", (wanted - partition).max(0), &[(updated, "updated")]).filter(|_| partition > 0)
    })
    .or_else(|| {
        let behind = partition == 0 && status["currentRevision"] != status["updateRevision"];
        behind.then(|| {
            Assessment::reconciling("Updating", format!("{updated} of {wanted} replicas are updated"))
        })
    })
    .unwrap_or_else(Assessment::ready)
}

fn daemon_set(object: &Value) -> Assessment {
    let (spec, status) = (&object["spec"], &object["status"]);
    if let Some(unseen) = unseen(object) {
        return unseen;
    }
    if spec["updateStrategy"]["type"] == "OnDelete" {
        return Assessment::ready();
    }
    let counts = [
        (number(&status["currentNumberScheduled"]), "scheduled"),
        (number(&status["updatedNumberScheduled"]), "updated"),
        (number(&status["numberAvailable"]), "available"),
        (number(&status["numberReady"]), "ready"),
    ];
    short("NotReady", number(&status["desiredNumberScheduled"]), &counts).unwrap_or_else(Assessment::ready)
}

fn replica_set(object: &Value) -> Assessment {
    let status = &object["status"];
    let wanted = wanted(object);
    if let Some(unseen) = unseen(object) {
        return unseen;
    }
    if let Some(failure) = Condition::of(object, "ReplicaFailure").filter(Condition::is_true) {
        return failure.reconciling();
    }
    short(
        "NotReady",
        wanted,
        &[(number(&status["readyReplicas"]), "ready"), (number(&status["availableReplicas"]), "available")],
    )
    .or_else(|| surplus(wanted, number(&status["replicas"])))
    .unwrap_or_else(Assessment::ready)
}

/// A job that runs is as it should be; only its failure is news.
fn job(object: &Value) -> Assessment {
    let condition = |kind| Condition::of(object, kind).filter(Condition::is_true);
    if let Some(failed) = condition("Failed") {
        return failed.stalled();
    }
    let seen = condition("Complete").is_some() || condition("Suspended").is_some();
    match seen || !object["status"]["startTime"].is_null() {
        true => Assessment::ready(),
        false => Assessment::reconciling("NotStarted", "the job has not started yet"),
    }
}

fn service(object: &Value) -> Assessment {
    let spec = &object["spec"];
    let balanced = spec["type"] == "LoadBalancer";
    match balanced && spec["clusterIP"].as_str().unwrap_or_default().is_empty() {
        true => Assessment::reconciling("NoClusterIP", "it has no address inside the cluster yet"),
        false => Assessment::ready(),
    }
}

fn claim(object: &Value) -> Assessment {
    match object["status"]["phase"].as_str() {
        Some("Bound") => Assessment::ready(),
        Some("Lost") => Assessment::stalled("VolumeLost", "the volume of this claim no longer exists"),
        _ => Assessment::reconciling("NotBound", "no volume is bound to this claim yet"),
    }
}

fn definition(object: &Value) -> Assessment {
    if let Some(names) =
        Condition::of(object, "NamesAccepted").filter(|condition| condition.status == "False")
    {
        return names.stalled();
    }
    match Condition::of(object, "Established") {
        Some(established) if established.is_true() => Assessment::ready(),
        Some(established) if established.reason != "Installing" => established.stalled(),
        _ => Assessment::reconciling("NotEstablished", "the API server does not serve it yet"),
    }
}

fn available(object: &Value) -> Assessment {
    match Condition::of(object, "Available") {
        Some(available) if available.is_true() => Assessment::ready(),
        Some(available) => available.reconciling(),
        None => Assessment::reconciling("NotAvailable", "nobody has checked it yet"),
    }
}

#[cfg(test)]
mod tests {
    use qonnect_schema::documents::snapshot::Health::{Ready, Reconciling, Stalled};
    use serde_json::json;

    use super::super::tests::judged;
    use super::*;

    fn object(spec: Value, status: Value) -> Value {
        json!({"metadata": {"generation": 2}, "spec": spec, "status": status})
    }

    #[test]
    fn deployments() {
        let full = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2});
        let with = |name: &str, value: Value| {
            let mut status = full.clone();
            status[name] = value;
            object(json!({"replicas": 2}), status)
        };
        let condition = |kind: &str, status: &str, reason: &str| json!([{"type": kind, "status": status, "reason": reason}]);
        for (object, expected) in [
            (object(json!({"replicas": 2}), json!({})), (Reconciling, "NotObserved")),
            (with("observedGeneration", json!(1)), (Reconciling, "NotObserved")),
            (with("observedGeneration", json!(2)), (Ready, "")),
            (with("updatedReplicas", json!(1)), (Reconciling, "Updating")),
            (with("replicas", json!(3)), (Reconciling, "OldReplicas")),
            (with("readyReplicas", json!(1)), (Reconciling, "NotReady")),
            (with("availableReplicas", json!(null)), (Reconciling, "NotReady")),
            (
                with("conditions", condition("Progressing", "False", "ProgressDeadlineExceeded")),
                (Stalled, "ProgressDeadlineExceeded"),
            ),
            (
                with("conditions", condition("ReplicaFailure", "True", "FailedCreate")),
                (Reconciling, "FailedCreate"),
            ),
            (object(json!({"replicas": 0}), json!({"observedGeneration": 2})), (Ready, "")),
        ] {
            assert_eq!(
                judged("apps", "Deployment", object.clone()),
                (expected.0, expected.1.to_string()),
                "{object}"
            );
        }
    }

    #[test]
    fn stateful_sets() {
        let status = |ready: u32, updated: u32, current: &str| json!({"observedGeneration": 2, "replicas": 3, "readyReplicas": ready, "updatedReplicas": updated, "currentRevision": current, "updateRevision": "b"});
        let partitioned = json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}});
        for (object, health) in [
            (object(json!({"replicas": 3}), status(3, 3, "b")), Ready),
            (object(json!({"replicas": 3}), status(2, 3, "b")), Reconciling),
            (object(json!({"replicas": 3}), status(3, 1, "a")), Reconciling),
            (object(partitioned.clone(), status(3, 1, "a")), Ready),
            (object(partitioned, status(3, 0, "a")), Reconciling),
            (object(json!({"replicas": 2}), status(3, 3, "b")), Reconciling),
            (
                object(json!({"replicas": 3, "updateStrategy": {"type": "OnDelete"}}), status(3, 0, "a")),
                Ready,
            ),
        ] {
            assert_eq!(judged("apps", "StatefulSet", object.clone()).0, health, "{object}");
        }
    }

    #[test]
    fn daemon_sets_and_replica_sets() {
        let daemon = |ready: u32| json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "currentNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2, "numberReady": ready});
        assert_eq!(judged("apps", "DaemonSet", object(json!({}), daemon(2))).0, Ready);
        assert_eq!(judged("apps", "DaemonSet", object(json!({}), daemon(1))).0, Reconciling);
        assert_eq!(judged("apps", "DaemonSet", object(json!({}), json!({}))).0, Reconciling);
        let replica = |ready: u32| json!({"observedGeneration": 2, "replicas": 1, "readyReplicas": ready, "availableReplicas": ready});
        assert_eq!(judged("apps", "ReplicaSet", object(json!({}), replica(1))).0, Ready);
        assert_eq!(judged("apps", "ReplicaSet", object(json!({}), replica(0))).0, Reconciling);
    }

    #[test]
    fn everything_else() {
        let condition = |kind: &str, status: &str, reason: &str| json!({"conditions": [{"type": kind, "status": status, "reason": reason}]});
        for (group, kind, spec, status, expected) in [
            ("batch", "Job", json!({}), json!({}), Reconciling),
            ("batch", "Job", json!({}), json!({"startTime": "2026-01-01T00:00:00Z"}), Ready),
            ("batch", "Job", json!({}), condition("Complete", "True", ""), Ready),
            ("batch", "Job", json!({}), condition("Failed", "True", "BackoffLimitExceeded"), Stalled),
            ("batch", "CronJob", json!({}), json!({}), Ready),
            ("", "Service", json!({"type": "ClusterIP"}), json!({}), Ready),
            ("", "Service", json!({"type": "LoadBalancer"}), json!({}), Reconciling),
            ("", "Service", json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1"}), json!({}), Ready),
            ("", "PersistentVolumeClaim", json!({}), json!({"phase": "Pending"}), Reconciling),
            ("", "PersistentVolumeClaim", json!({}), json!({"phase": "Bound"}), Ready),
            ("", "PersistentVolumeClaim", json!({}), json!({"phase": "Lost"}), Stalled),
            ("apiextensions.k8s.io", "CustomResourceDefinition", json!({}), json!({}), Reconciling),
            (
                "apiextensions.k8s.io",
                "CustomResourceDefinition",
                json!({}),
                condition("Established", "True", ""),
                Ready,
            ),
            (
                "apiextensions.k8s.io",
                "CustomResourceDefinition",
                json!({}),
                condition("NamesAccepted", "False", "Taken"),
                Stalled,
            ),
            (
                "apiregistration.k8s.io",
                "APIService",
                json!({}),
                condition("Available", "False", "Down"),
                Reconciling,
            ),
            (
                "autoscaling",
                "HorizontalPodAutoscaler",
                json!({}),
                condition("ScalingActive", "False", "NoMetrics"),
                Ready,
            ),
            ("policy", "PodDisruptionBudget", json!({}), json!({}), Ready),
            ("networking.k8s.io", "Ingress", json!({}), json!({}), Ready),
            ("", "ConfigMap", json!({}), json!({}), Ready),
            ("", "Namespace", json!({}), json!({"phase": "Active"}), Ready),
        ] {
            assert_eq!(
                judged(group, kind, json!({"spec": spec, "status": status})).0,
                expected,
                "{kind} {status}"
            );
        }
    }
}
