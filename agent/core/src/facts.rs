//! What a cluster's nodes offer: read from node objects and from the pods that run on them.

use std::collections::BTreeMap;
use std::str::FromStr;

use qonnect_schema::documents::snapshot::{Node, Resources};
use qonnect_schema::layout::label;
use qonnect_schema::units::{Bytes, Cpu};
use serde_json::Value;

use crate::health;
use crate::release::Owner;

/// Labels and annotations of nodes that say what Kubernetes does not know, ours first, then the original names.
const ENERGY: [&str; 2] = ["qonnect.io/energy", "swarmchestrate.tu-berlin.de/energy"];
const PRICE: [&str; 2] = ["qonnect.io/price", "swarmchestrate.tu-berlin.de/price"];
const BANDWIDTH: [&str; 2] = ["qonnect.io/bandwidth", "swarmchestrate.tu-berlin.de/bandwidth"];
const REGION: [&str; 2] = ["qonnect.io/region", "swarmchestrate.tu-berlin.de/location"];

/// Labels that selectors may ask for; a node has many more, and they change often.
const KEPT_LABELS: [&str; 6] = [
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "kubernetes.io/hostname",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];
const KEPT_PREFIXES: [&str; 2] = ["qonnect.io/", "node-role.kubernetes.io/"];

/// A pod, reduced to what its node and its component need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    pub node: Option<String>,
    /// The component that it belongs to; absent for pods that others run.
    pub owner: Option<Owner>,
    pub requests: Resources,
    /// Why it does not start.
    pub trouble: Option<(String, String)>,
}

impl Pod {
    /// `None` once it has ended: it holds nothing any more.
    pub fn of(object: &Value) -> Option<Self> {
        if let Some("Succeeded" | "Failed") = object["status"]["phase"].as_str() {
            return None;
        }
        let labels = &object["metadata"]["labels"];
        let text = |value: &Value| value.as_str().map(str::to_string);
        Some(Self {
            node: text(&object["spec"]["nodeName"]),
            owner: labels[label::COMPONENT].as_str().map(|component| {
                Owner::new(labels[label::APPLICATION].as_str().unwrap_or_default(), component)
            }),
            requests: requests(&object["spec"]),
            trouble: health::trouble(object),
        })
    }
}

/// As the scheduler counts: all containers together, or the largest init container if that is more, plus the overhead.
fn requests(spec: &Value) -> Resources {
    let items = |name: &str| spec[name].as_array().into_iter().flatten();
    let of = |container: &Value| resources(&container["resources"]["requests"]);
    let mut running = items("containers").map(of).fold(Resources::default(), |sum, one| sum.plus(&one));
    let mut peak = Resources::default();
    for container in items("initContainers") {
        // A sidecar stays; others end before the next one starts.
        if container["restartPolicy"] == "Always" {
            running = running.plus(&of(container));
            peak = peak.larger(&running);
        } else {
            peak = peak.larger(&of(container));
        }
    }
    Resources { pods: 1, ..running.larger(&peak).plus(&resources(&spec["overhead"])) }
}

fn resources(list: &Value) -> Resources {
    let named = list.as_object().into_iter().flatten();
    let extended = named.filter(|(name, _)| Resources::is_extended(name));
    Resources {
        cpu: amount(&list["cpu"]),
        memory: amount(&list["memory"]),
        storage: amount(&list["ephemeral-storage"]),
        pods: amount::<Cpu>(&list["pods"]).0.div_ceil(1000) as u32,
        extended: extended.map(|(name, value)| (name.clone(), amount::<Bytes>(value).0)).collect(),
    }
}

/// An amount that cannot be read counts as none: the node stays visible.
pub(crate) fn amount<T: FromStr + Default>(value: &Value) -> T {
    match value {
        Value::String(text) => text.parse().unwrap_or_default(),
        Value::Number(number) => number.to_string().parse().unwrap_or_default(),
        _ => T::default(),
    }
}

/// A node without what foreign pods request on it, which [`with_pods`] adds.
pub fn node(object: &Value) -> Node {
    let metadata = &object["metadata"];
    let conditions = || {
        object["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|condition| condition["status"] == "True")
    };
    let mut labels = kept_labels(&metadata["labels"]);
    if let Some(region) = said(metadata, REGION) {
        labels.insert(REGION[0].into(), region.into());
    }
    let mut pressures: Vec<String> = conditions()
        .filter_map(|c| c["type"].as_str())
        .filter(|kind| *kind != "Ready")
        .map(Into::into)
        .collect();
    pressures.sort_unstable();
    Node {
        name: metadata["name"].as_str().unwrap_or_default().into(),
        allocatable: resources(&object["status"]["allocatable"]),
        foreign: Resources::default(),
        ready: conditions().any(|condition| condition["type"] == "Ready"),
        unschedulable: object["spec"]["unschedulable"] == true,
        pressures,
        labels,
        energy: said(metadata, ENERGY).and_then(|text| text.parse().ok()),
        price: said(metadata, PRICE).and_then(|text| text.parse().ok()),
        bandwidth: said(metadata, BANDWIDTH).and_then(|text| text.parse().ok()),
    }
}

/// What a node says of itself under the first name that it uses, as a label or as an annotation.
fn said<'a>(metadata: &'a Value, names: [&str; 2]) -> Option<&'a str> {
    names
        .iter()
        .find_map(|name| ["labels", "annotations"].iter().find_map(|place| metadata[*place][*name].as_str()))
}

fn kept_labels(labels: &Value) -> BTreeMap<String, String> {
    let kept = |name: &str| {
        KEPT_LABELS.contains(&name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    labels
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| kept(name))
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_string())))
        .collect()
}

/// The nodes with what pods that QONNECT did not place request on them.
pub fn with_pods<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    pods: impl IntoIterator<Item = &'a Pod>,
) -> Vec<Node> {
    let mut foreign: BTreeMap<&str, Resources> = BTreeMap::new();
    for pod in pods.into_iter().filter(|pod| pod.owner.is_none()) {
        if let Some(node) = &pod.node {
            let sum = foreign.entry(node).or_default();
            *sum = sum.plus(&pod.requests);
        }
    }
    nodes
        .into_iter()
        .map(|node| Node {
            foreign: foreign.get(node.name.as_str()).cloned().unwrap_or_default(),
            ..node.clone()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use qonnect_schema::units::{Bandwidth, EnergyRate, Money};
    use serde_json::json;

    use super::*;

    fn pod(node: &str, component: Option<&str>, cpu: &str) -> Value {
        json!({
            "metadata": {"name": "p", "labels": {"qonnect.io/application": component.map(|_| "shop"), "qonnect.io/component": component}},
            "spec": {"nodeName": node, "containers": [{"resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}]},
            "status": {"phase": "Running"},
        })
    }

    #[test]
    fn a_node_is_read_with_its_conditions_and_rates() {
        let facts = node(&json!({
            "metadata": {
                "name": "n1",
                "labels": {"kubernetes.io/arch": "arm64", "qonnect.io/energy": "0.0024", "volatile": "x",
                           "swarmchestrate.tu-berlin.de/price": "16.4", "swarmchestrate.tu-berlin.de/location": "berlin"},
                "annotations": {"qonnect.io/bandwidth": "52500M"},
            },
            "spec": {"unschedulable": true},
            "status": {
                "allocatable": {"cpu": "6", "memory": "7160844288", "ephemeral-storage": "4114046976", "pods": "110", "nvidia.com/gpu": "2"},
                "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "True"},
                               {"type": "MemoryPressure", "status": "False"}],
            },
        }));
        assert_eq!(
            facts.allocatable,
            Resources {
                cpu: Cpu(6000),
                memory: Bytes(7_160_844_288),
                storage: Bytes(4_114_046_976),
                pods: 110,
                extended: BTreeMap::from([("nvidia.com/gpu".into(), 2)]),
            }
        );
        assert!(facts.ready && facts.unschedulable);
        assert_eq!(facts.pressures, ["DiskPressure"]);
        assert_eq!((facts.energy, facts.price), (Some(EnergyRate(0.0024)), Some(Money(16.4))));
        assert_eq!(facts.bandwidth, Some(Bandwidth(52_500_000_000)));
        assert_eq!(facts.labels.get("qonnect.io/region").map(String::as_str), Some("berlin"));
        assert!(!facts.labels.contains_key("volatile"));
    }

    #[test]
    fn our_own_name_wins_over_its_alias() {
        let object = json!({"metadata": {"labels": {"swarmchestrate.tu-berlin.de/price": "1"}, "annotations": {"qonnect.io/price": "2"}}});
        assert_eq!(node(&object).price, Some(Money(2.0)));
    }

    #[test]
    fn only_pods_that_others_run_count_as_foreign() {
        let nodes =
            [Node { name: "n1".into(), ..Node::default() }, Node { name: "n2".into(), ..Node::default() }];
        let mut ended = pod("n1", None, "4");
        ended["status"]["phase"] = "Succeeded".into();
        let pods: Vec<Pod> =
            [pod("n1", None, "500m"), pod("n1", Some("web"), "2"), pod("n1", None, "250m"), ended]
                .iter()
                .filter_map(Pod::of)
                .collect();
        let facts = with_pods(&nodes, &pods);
        assert_eq!(
            facts[0].foreign,
            Resources { cpu: Cpu(750), memory: Bytes(128 << 20), pods: 2, ..Resources::default() }
        );
        assert_eq!(facts[1].foreign, Resources::default());
    }

    #[test]
    fn init_containers_sidecars_and_overhead_count_as_the_scheduler_counts_them() {
        let request = |cpu: &str| json!({"requests": {"cpu": cpu}});
        for (spec, cpu) in [
            (json!({"containers": [{"resources": request("1")}, {"resources": request("500m")}]}), 1500),
            (
                json!({"containers": [{"resources": request("1")}], "initContainers": [{"resources": request("3")}]}),
                3000,
            ),
            (
                json!({"containers": [{"resources": request("1")}], "initContainers": [{"restartPolicy": "Always", "resources": request("1")}]}),
                2000,
            ),
            (json!({"containers": [{"resources": request("1")}], "overhead": {"cpu": "100m"}}), 1100),
            (json!({"containers": [{}]}), 0),
        ] {
            let found = Pod::of(&json!({"spec": spec, "status": {}})).unwrap().requests;
            assert_eq!(found.cpu, Cpu(cpu), "{spec}");
        }
    }
}
