//! What the pods of a component ask of nodes, read from its manifests as the Kubernetes scheduler reads them.

use std::collections::BTreeMap;

use qonnect_schema::documents::snapshot::Resources;
use qonnect_schema::manifest::{Manifest, ObjectId};
use qonnect_schema::revision::ApplicationSource;
use qonnect_schema::units::{Bytes, Cpu};
use serde_json::Value;

/// Pods that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodGroup {
    pub count: PodCount,
    /// What one pod requests; its `pods` is one.
    pub pod: Resources,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodCount {
    Replicas(u32),
    /// One on every node, as a DaemonSet has it.
    PerNode,
}

/// The pods of every component of an application, in the order of its manifests.
pub fn requests(source: &ApplicationSource) -> BTreeMap<String, Vec<PodGroup>> {
    let spec = &source.application.spec;
    let pods = |name: &str| source.manifests.get(name).map_or_else(Vec::new, |manifests| pods_of(manifests));
    spec.components.iter().map(|component| (component.name.clone(), pods(&component.name))).collect()
}

fn pods_of(manifests: &[Manifest]) -> Vec<PodGroup> {
    manifests.iter().filter_map(|manifest| workload(&manifest.object)).collect()
}

fn workload(object: &Value) -> Option<PodGroup> {
    let id = ObjectId::of(object)?;
    let number = |pointer, default| {
        object
            .pointer(pointer)
            .and_then(Value::as_u64)
            .map_or(default, |n| u32::try_from(n).unwrap_or(u32::MAX))
    };
    let (count, template) = match (id.group.as_str(), id.kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet" | "ReplicaSet") => {
            (PodCount::Replicas(number("/spec/replicas", 1)), "/spec/template/spec")
        }
        ("apps", "DaemonSet") => (PodCount::PerNode, "/spec/template/spec"),
        ("batch", "Job") => {
            let at_once = number("/spec/parallelism", 1).min(number("/spec/completions", u32::MAX));
            (PodCount::Replicas(at_once), "/spec/template/spec")
        }
        ("batch", "CronJob") => {
            let at_once = number("/spec/jobTemplate/spec/parallelism", 1)
                .min(number("/spec/jobTemplate/spec/completions", u32::MAX));
            (PodCount::Replicas(at_once), "/spec/jobTemplate/spec/template/spec")
        }
        ("", "Pod") => (PodCount::Replicas(1), "/spec"),
        _ => return None,
    };
    (count != PodCount::Replicas(0)).then(|| PodGroup { count, pod: pod(object.pointer(template)) })
}

/// The scheduler's rule: what runs side by side adds up, what runs before it counts only where it is larger.
///
/// An init container with `restartPolicy: Always` is a sidecar: it runs beside the containers, and beside
/// the init containers after it.
fn pod(spec: Option<&Value>) -> Resources {
    let list = |name| spec.and_then(|spec| spec.get(name)).and_then(Value::as_array).into_iter().flatten();
    let mut sidecars = Resources::default();
    let mut starting = Resources::default();
    for init in list("initContainers") {
        let alone = container(init);
        if init.get("restartPolicy").and_then(Value::as_str) == Some("Always") {
            sidecars = sidecars.plus(&alone);
            starting = starting.larger(&sidecars);
        } else {
            starting = starting.larger(&sidecars.plus(&alone));
        }
    }
    let running = list("containers").map(container).fold(sidecars, |sum, one| sum.plus(&one));
    let overhead = spec.and_then(|spec| spec.get("overhead"));
    let total = running.larger(&starting).plus(&amounts(overhead, None));
    Resources { pods: 1, ..total }
}

/// A request that is absent is the limit, if there is one.
fn container(container: &Value) -> Resources {
    let of = |name| container.get("resources").and_then(|resources| resources.get(name));
    amounts(of("requests"), of("limits"))
}

fn amounts(first: Option<&Value>, second: Option<&Value>) -> Resources {
    let text = |name: &str| {
        let value = [first, second].into_iter().flatten().find_map(|amounts| amounts.get(name))?;
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    };
    let named = [first, second].into_iter().flatten().filter_map(Value::as_object);
    let extended = named.flat_map(serde_json::Map::keys).filter(|name| Resources::is_extended(name));
    let bytes = |name: &str| text(name).and_then(|text| text.parse().ok()).unwrap_or(Bytes(0));
    Resources {
        cpu: text("cpu").and_then(|text| text.parse().ok()).unwrap_or(Cpu(0)),
        memory: bytes("memory"),
        storage: bytes("ephemeral-storage"),
        pods: 0,
        extended: extended.map(|name| (name.clone(), bytes(name).0)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container(cpu: &str) -> Value {
        json!({ "resources": { "requests": { "cpu": cpu, "memory": "64Mi" } } })
    }

    fn cpu(spec: Value) -> u64 {
        pod(Some(&spec)).cpu.0
    }

    #[test]
    fn containers_add_up_and_an_init_container_counts_where_it_is_larger() {
        assert_eq!(cpu(json!({ "containers": [container("100m"), container("0.2")] })), 300);
        let with = |init: &str| {
            cpu(
                json!({ "containers": [container("300m")], "initContainers": [container("50m"), container(init)] }),
            )
        };
        assert_eq!(with("200m"), 300);
        assert_eq!(with("1"), 1000);
    }

    #[test]
    fn a_sidecar_runs_beside_the_containers_and_beside_later_init_containers() {
        let mut sidecar = container("100m");
        sidecar["restartPolicy"] = json!("Always");
        let spec =
            json!({ "containers": [container("300m")], "initContainers": [sidecar, container("350m")] });
        assert_eq!(cpu(spec), 450);
    }

    #[test]
    fn limits_stand_in_for_requests_and_overhead_is_added() {
        let spec = json!({
            "overhead": { "cpu": "50m" },
            "containers": [{ "resources": { "limits": { "cpu": 1, "memory": "1Gi" }, "requests": { "memory": "1Mi" } } }],
        });
        let pod = pod(Some(&spec));
        assert_eq!((pod.cpu, pod.memory, pod.pods), (Cpu(1050), Bytes(1 << 20), 1));
    }

    #[test]
    fn each_kind_of_workload_counts_its_pods() {
        let count = |version: &str, kind: &str, spec: Value| {
            let object =
                json!({ "apiVersion": version, "kind": kind, "metadata": { "name": "x" }, "spec": spec });
            workload(&object).map(|group| group.count)
        };
        assert_eq!(count("apps/v1", "Deployment", json!({})), Some(PodCount::Replicas(1)));
        assert_eq!(count("apps/v1", "StatefulSet", json!({ "replicas": 3 })), Some(PodCount::Replicas(3)));
        assert_eq!(count("apps/v1", "ReplicaSet", json!({ "replicas": 0 })), None);
        assert_eq!(count("apps/v1", "DaemonSet", json!({})), Some(PodCount::PerNode));
        assert_eq!(
            count("batch/v1", "Job", json!({ "parallelism": 4, "completions": 2 })),
            Some(PodCount::Replicas(2))
        );
        assert_eq!(
            count("batch/v1", "CronJob", json!({ "jobTemplate": { "spec": { "parallelism": 2 } } })),
            Some(PodCount::Replicas(2))
        );
        assert_eq!(count("v1", "Pod", json!({})), Some(PodCount::Replicas(1)));
        assert_eq!(count("v1", "Service", json!({})), None);
        assert_eq!(count("example.com/v1", "Deployment", json!({})), None);
    }
}
