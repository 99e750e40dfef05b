//! What the API server fills in where a client is silent.

use serde_json::{Map, Value, json};

use crate::sim::kinds::Kind;

/// Sets a field that is absent.
fn or(value: &mut Value, field: &str, default: impl Into<Value>) {
    if let Some(map) = value.as_object_mut() {
        map.entry(field).or_insert_with(|| default.into());
    }
}

fn each(value: &mut Value, list: &str, change: impl Fn(&mut Value)) {
    if let Some(items) = value.get_mut(list).and_then(Value::as_array_mut) {
        items.iter_mut().for_each(change);
    }
}

/// The nested map of that name, made if it is absent.
fn inside<'a>(value: &'a mut Value, field: &str) -> &'a mut Value {
    or(value, field, Map::new());
    &mut value[field]
}

pub(super) fn fill(kind: &Kind, object: &mut Value) {
    leave_out_empty(&mut object["metadata"], &["labels", "annotations", "finalizers", "ownerReferences"]);
    if kind.custom {
        return;
    }
    leave_out_empty(object, &["data", "binaryData"]);
    if kind.storage().status {
        or(object, "status", Map::new());
    }
    match kind.kind.as_str() {
        "Pod" => pod(object),
        "Service" => service(object),
        "Deployment" => deployment(object),
        "ReplicaSet" => {
            or(inside(object, "spec"), "replicas", 1);
            template(object);
        }
        "StatefulSet" => stateful_set(object),
        "DaemonSet" => daemon_set(object),
        "Job" => job(&mut object["spec"]),
        "CronJob" => cron_job(object),
        "Namespace" => namespace(object),
        "Secret" => or(object, "type", "Opaque"),
        "PersistentVolumeClaim" => {
            or(inside(object, "spec"), "volumeMode", "Filesystem");
            or(inside(object, "status"), "phase", "Pending");
        }
        "PersistentVolume" => or(inside(object, "status"), "phase", "Pending"),
        "NetworkPolicy" => network_policy(object),
        "HorizontalPodAutoscaler" => or(inside(object, "spec"), "minReplicas", 1),
        "RoleBinding" | "ClusterRoleBinding" => each(object, "subjects", subject),
        "CustomResourceDefinition" => definition(object),
        "StorageClass" => {
            or(object, "reclaimPolicy", "Delete");
            or(object, "volumeBindingMode", "Immediate");
        }
        _ => {}
    }
}

/// An empty list or map is not stored.
fn leave_out_empty(value: &mut Value, fields: &[&str]) {
    let is_empty = |value: &Value| match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    if let Some(map) = value.as_object_mut() {
        map.retain(|name, value| !(fields.contains(&name.as_str()) && is_empty(value)));
    }
}

fn pod(object: &mut Value) {
    pod_spec(inside(object, "spec"));
    each(&mut object["spec"], "containers", request_limits);
    each(&mut object["spec"], "initContainers", request_limits);
    or(&mut object["spec"], "enableServiceLinks", true);
    or(inside(object, "status"), "phase", "Pending");
    let class = quality(&object["spec"]);
    or(&mut object["status"], "qosClass", class);
}

/// A limit without a request is a request.
fn request_limits(container: &mut Value) {
    let resources = inside(container, "resources");
    if let Some(limits) = resources["limits"].as_object().cloned() {
        let requests = inside(resources, "requests");
        limits.into_iter().for_each(|(name, amount)| or(requests, &name, amount));
    }
}

/// The QoS class of a pod, by its requests and limits.
fn quality(spec: &Value) -> &'static str {
    let containers = || spec["containers"].as_array().into_iter().flatten();
    let states = |field: &str, container: &Value| {
        container["resources"][field].as_object().is_some_and(|m| !m.is_empty())
    };
    let full = |container: &Value| {
        let resources = &container["resources"];
        ["cpu", "memory"].iter().all(|name| {
            let limit = resources["limits"].get(name);
            limit.is_some() && resources["requests"].get(name).is_none_or(|request| Some(request) == limit)
        })
    };
    if containers().all(full) {
        "Guaranteed"
    } else if containers().any(|container| states("requests", container) || states("limits", container)) {
        "Burstable"
    } else {
        "BestEffort"
    }
}

fn template(object: &mut Value) {
    let template = inside(inside(object, "spec"), "template");
    inside(template, "metadata");
    pod_spec(inside(template, "spec"));
}

fn pod_spec(spec: &mut Value) {
    or(spec, "restartPolicy", "Always");
    or(spec, "terminationGracePeriodSeconds", 30);
    or(spec, "dnsPolicy", "ClusterFirst");
    or(spec, "schedulerName", "default-scheduler");
    or(spec, "securityContext", Map::new());
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        or(spec, "serviceAccount", account);
    }
    each(spec, "containers", container);
    each(spec, "initContainers", container);
    each(spec, "volumes", volume);
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    let latest = !image.contains('@') && (!name.contains(':') || name.ends_with(":latest"));
    or(container, "imagePullPolicy", if latest { "Always" } else { "IfNotPresent" });
    or(container, "terminationMessagePath", "/dev/termination-log");
    or(container, "terminationMessagePolicy", "File");
    inside(container, "resources");
    each(container, "ports", |port| or(port, "protocol", "TCP"));
    each(container, "env", |env| {
        if let Some(field) = env.pointer_mut("/valueFrom/fieldRef") {
            or(field, "apiVersion", "v1");
        }
    });
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(name) {
            or(probe, "timeoutSeconds", 1);
            or(probe, "periodSeconds", 10);
            or(probe, "successThreshold", 1);
            or(probe, "failureThreshold", 3);
            if let Some(get) = probe.get_mut("httpGet") {
                or(get, "path", "/");
                or(get, "scheme", "HTTP");
            }
        }
    }
}

fn volume(volume: &mut Value) {
    for name in ["configMap", "secret", "projected", "downwardAPI"] {
        if let Some(source) = volume.get_mut(name) {
            or(source, "defaultMode", 420);
        }
    }
    if let Some(path) = volume.get_mut("hostPath") {
        or(path, "type", "");
    }
}

fn service(object: &mut Value) {
    or(inside(object, "status"), "loadBalancer", Map::new());
    let spec = inside(object, "spec");
    or(spec, "type", "ClusterIP");
    or(spec, "sessionAffinity", "None");
    each(spec, "ports", |port| {
        or(port, "protocol", "TCP");
        let target = port["port"].clone();
        or(port, "targetPort", target);
    });
    if spec["type"] != "ExternalName" {
        or(spec, "internalTrafficPolicy", "Cluster");
        or(spec, "ipFamilies", json!(["IPv4"]));
        or(spec, "ipFamilyPolicy", "SingleStack");
    }
    if spec["type"] == "NodePort" || spec["type"] == "LoadBalancer" {
        or(spec, "externalTrafficPolicy", "Cluster");
    }
    if spec["type"] == "LoadBalancer" {
        or(spec, "allocateLoadBalancerNodePorts", true);
    }
}

fn deployment(object: &mut Value) {
    template(object);
    let spec = inside(object, "spec");
    or(spec, "replicas", 1);
    or(spec, "revisionHistoryLimit", 10);
    or(spec, "progressDeadlineSeconds", 600);
    let strategy = inside(spec, "strategy");
    or(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = inside(strategy, "rollingUpdate");
        or(rolling, "maxSurge", "25%");
        or(rolling, "maxUnavailable", "25%");
    }
}

fn stateful_set(object: &mut Value) {
    template(object);
    let spec = inside(object, "spec");
    or(spec, "replicas", 1);
    or(spec, "revisionHistoryLimit", 10);
    or(spec, "podManagementPolicy", "OrderedReady");
    or(
        spec,
        "persistentVolumeClaimRetentionPolicy",
        json!({"whenDeleted": "Retain", "whenScaled": "Retain"}),
    );
    let strategy = inside(spec, "updateStrategy");
    or(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        or(inside(strategy, "rollingUpdate"), "partition", 0);
    }
    each(spec, "volumeClaimTemplates", |claim| {
        or(claim, "apiVersion", "v1");
        or(claim, "kind", "PersistentVolumeClaim");
        or(inside(claim, "spec"), "volumeMode", "Filesystem");
        or(claim, "status", json!({"phase": "Pending"}));
    });
}

fn daemon_set(object: &mut Value) {
    template(object);
    let spec = inside(object, "spec");
    or(spec, "revisionHistoryLimit", 10);
    let strategy = inside(spec, "updateStrategy");
    or(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = inside(strategy, "rollingUpdate");
        or(rolling, "maxSurge", 0);
        or(rolling, "maxUnavailable", 1);
    }
}

fn job(spec: &mut Value) {
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        or(spec, "completions", 1);
    }
    or(spec, "parallelism", 1);
    or(spec, "backoffLimit", 6);
    or(spec, "completionMode", "NonIndexed");
    or(spec, "suspend", false);
    let template = inside(spec, "template");
    inside(template, "metadata");
    pod_spec(inside(template, "spec"));
}

fn cron_job(object: &mut Value) {
    let spec = inside(object, "spec");
    or(spec, "concurrencyPolicy", "Allow");
    or(spec, "suspend", false);
    or(spec, "successfulJobsHistoryLimit", 3);
    or(spec, "failedJobsHistoryLimit", 1);
    pod_spec(inside(inside(inside(inside(spec, "jobTemplate"), "spec"), "template"), "spec"));
}

fn namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    inside(&mut object["metadata"], "labels")["kubernetes.io/metadata.name"] = name;
    or(inside(object, "status"), "phase", "Active");
    inside(object, "spec");
}

fn network_policy(object: &mut Value) {
    let spec = inside(object, "spec");
    let egress = spec.get("egress").is_some();
    or(spec, "policyTypes", if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    for rules in ["ingress", "egress"] {
        each(spec, rules, |rule| each(rule, "ports", |port| or(port, "protocol", "TCP")));
    }
}

fn subject(subject: &mut Value) {
    if subject["kind"] == "User" || subject["kind"] == "Group" {
        or(subject, "apiGroup", "rbac.authorization.k8s.io");
    }
}

fn definition(object: &mut Value) {
    let spec = inside(object, "spec");
    or(spec, "conversion", json!({"strategy": "None"}));
    let names = inside(spec, "names");
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    or(names, "singular", kind.to_lowercase());
    or(names, "listKind", format!("{kind}List"));
}
