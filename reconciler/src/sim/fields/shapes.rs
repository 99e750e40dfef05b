//! The shapes of the kinds: those that are built in, and those that a CustomResourceDefinition declares.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::shape::{Fields, ListMap, Shape};

/// The shape of a built-in kind; kinds with nothing special share one.
pub(in crate::sim) fn builtin(group: &str, kind: &str) -> Shape {
    static SHAPES: LazyLock<BTreeMap<(&'static str, &'static str), Shape>> = LazyLock::new(all);
    static PLAIN: LazyLock<Shape> = LazyLock::new(|| whole(Shape::Open, Shape::Open, []));
    SHAPES.get(&(group, kind)).unwrap_or(&PLAIN).clone()
}

/// An object with this spec and status.
fn whole(spec: Shape, status: Shape, more: impl IntoIterator<Item = (&'static str, Shape)>) -> Shape {
    let fields = [("metadata", metadata()), ("spec", spec), ("status", status)];
    Shape::object(fields.into_iter().chain(more))
}

fn metadata() -> Shape {
    let owners = Shape::list(&["uid"], Shape::Atomic);
    Shape::object([("finalizers", Shape::Set), ("ownerReferences", owners)])
}

fn conditions() -> Shape {
    Shape::object([("conditions", Shape::list(&["type"], Shape::Open))])
}

fn all() -> BTreeMap<(&'static str, &'static str), Shape> {
    let template = || Shape::object([("metadata", metadata()), ("spec", pod_spec())]);
    let workload = || {
        let spec = Shape::object([("selector", Shape::Atomic), ("template", template())]);
        whole(spec, conditions(), [])
    };
    let job = || Shape::object([("selector", Shape::Atomic), ("template", template())]);
    let binding = || Shape::object([("metadata", metadata()), ("roleRef", Shape::Atomic)]);
    let webhooks = || {
        let webhook =
            Shape::object([("namespaceSelector", Shape::Atomic), ("objectSelector", Shape::Atomic)]);
        whole(Shape::Open, Shape::Open, [("webhooks", Shape::list(&["name"], webhook))])
    };
    BTreeMap::from([
        (("", "Pod"), whole(pod_spec(), pod_status(), [])),
        (("", "Service"), whole(service_spec(), conditions(), [])),
        (("", "Namespace"), whole(Shape::Open, conditions(), [])),
        (("", "Node"), whole(Shape::object([("podCIDRs", Shape::Set)]), node_status(), [])),
        (
            ("", "ServiceAccount"),
            whole(Shape::Open, Shape::Open, [("secrets", Shape::list(&["name"], Shape::Atomic))]),
        ),
        (("", "PersistentVolumeClaim"), whole(claim_spec(), conditions(), [])),
        (("apps", "Deployment"), workload()),
        (("apps", "ReplicaSet"), workload()),
        (("apps", "StatefulSet"), workload()),
        (("apps", "DaemonSet"), workload()),
        (("batch", "Job"), whole(job(), conditions(), [])),
        (("batch", "CronJob"), {
            let job = Shape::object([("metadata", metadata()), ("spec", job())]);
            whole(Shape::object([("jobTemplate", job)]), Shape::Open, [])
        }),
        (("networking.k8s.io", "NetworkPolicy"), {
            whole(Shape::object([("podSelector", Shape::Atomic)]), conditions(), [])
        }),
        (("policy", "PodDisruptionBudget"), {
            whole(Shape::object([("selector", Shape::Atomic)]), conditions(), [])
        }),
        (("autoscaling", "HorizontalPodAutoscaler"), whole(Shape::Open, conditions(), [])),
        (("rbac.authorization.k8s.io", "RoleBinding"), binding()),
        (("rbac.authorization.k8s.io", "ClusterRoleBinding"), binding()),
        (("apiextensions.k8s.io", "CustomResourceDefinition"), whole(Shape::Open, conditions(), [])),
        (("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"), webhooks()),
        (("admissionregistration.k8s.io", "MutatingWebhookConfiguration"), webhooks()),
    ])
}

fn pod_spec() -> Shape {
    let container = || {
        let reference = || {
            Shape::object([
                ("configMapKeyRef", Shape::Atomic),
                ("secretKeyRef", Shape::Atomic),
                ("fieldRef", Shape::Atomic),
                ("resourceFieldRef", Shape::Atomic),
            ])
        };
        Shape::object([
            ("env", Shape::list(&["name"], Shape::object([("valueFrom", reference())]))),
            ("ports", Shape::list(&["containerPort", "protocol"], Shape::Open)),
            ("volumeMounts", Shape::list(&["mountPath"], Shape::Open)),
            ("volumeDevices", Shape::list(&["devicePath"], Shape::Open)),
            ("resources", Shape::object([("claims", Shape::list(&["name"], Shape::Open))])),
        ])
    };
    let node_affinity = Shape::object([("requiredDuringSchedulingIgnoredDuringExecution", Shape::Atomic)]);
    let spread = Shape::object([("labelSelector", Shape::Atomic)]);
    let containers = || Shape::list(&["name"], container());
    Shape::object([
        ("containers", containers()),
        ("initContainers", containers()),
        ("ephemeralContainers", containers()),
        ("volumes", Shape::list(&["name"], Shape::Open)),
        ("imagePullSecrets", Shape::list(&["name"], Shape::Atomic)),
        ("hostAliases", Shape::list(&["ip"], Shape::Open)),
        ("topologySpreadConstraints", Shape::list(&["topologyKey", "whenUnsatisfiable"], spread)),
        ("resourceClaims", Shape::list(&["name"], Shape::Open)),
        ("schedulingGates", Shape::list(&["name"], Shape::Open)),
        ("nodeSelector", Shape::Atomic),
        ("affinity", Shape::object([("nodeAffinity", node_affinity)])),
    ])
}

fn pod_status() -> Shape {
    let conditions = Shape::list(&["type"], Shape::Open);
    Shape::object([("conditions", conditions), ("podIPs", Shape::list(&["ip"], Shape::Open))])
}

fn service_spec() -> Shape {
    Shape::object([("ports", Shape::list(&["port", "protocol"], Shape::Open)), ("selector", Shape::Atomic)])
}

fn node_status() -> Shape {
    let by_type = || Shape::list(&["type"], Shape::Open);
    Shape::object([("conditions", by_type()), ("addresses", by_type())])
}

fn claim_spec() -> Shape {
    Shape::object([("selector", Shape::Atomic), ("dataSource", Shape::Atomic)])
}

/// The shape of a custom kind, from the schema of its version.
pub(in crate::sim) fn custom(schema: &Value) -> Shape {
    let Shape::Object(fields) = declared(schema) else { return whole(Shape::Open, Shape::Open, []) };
    let mut named = fields.named.clone();
    named.insert(Cow::Borrowed("metadata"), metadata());
    Shape::Object(Arc::new(Fields { named, others: Shape::Open }))
}

fn declared(schema: &Value) -> Shape {
    if schema["x-kubernetes-map-type"] == "atomic" {
        return Shape::Atomic;
    }
    match (schema["x-kubernetes-list-type"].as_str(), &schema["properties"], &schema["additionalProperties"])
    {
        (Some("set"), ..) => Shape::Set,
        (Some("map"), ..) => {
            let names = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
            let key = |name: &Value| {
                let name = name.as_str().unwrap_or_default().to_owned();
                let default = schema["items"]["properties"][&name].get("default").cloned();
                (Cow::Owned(name), default)
            };
            Shape::ListMap(Arc::new(ListMap {
                keys: names.map(key).collect(),
                item: declared(&schema["items"]),
            }))
        }
        (_, Value::Object(properties), _) => {
            let field = |(name, schema): (&String, &Value)| (Cow::Owned(name.clone()), declared(schema));
            Shape::Object(Arc::new(Fields {
                named: properties.iter().map(field).collect(),
                others: Shape::Open,
            }))
        }
        (_, _, others @ Value::Object(_)) => Shape::map_of(declared(others)),
        _ => Shape::Open,
    }
}
