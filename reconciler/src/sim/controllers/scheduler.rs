//! Puts pods onto nodes that have room for them.

use std::collections::{BTreeMap, HashMap};

use qonnect_schema::units::{Bytes, Cpu};
use serde_json::Value;

use super::work::text;
use super::workload::is_finished;
use crate::sim::selector::label_selector_takes;
use crate::sim::state::State;
use crate::sim::store::Change;

/// What pods ask for and nodes have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) cpu: u64,
    pub(super) memory: u64,
    pub(super) storage: u64,
    pub(super) pods: u64,
}

/// What the pods on each node take.
#[derive(Debug, Default)]
pub(super) struct Occupancy {
    by_node: BTreeMap<String, Amount>,
    by_pod: HashMap<String, (String, Amount)>,
}

impl Amount {
    /// Reads a map of resources such as `requests` or `allocatable`.
    pub(super) fn of(resources: &Value) -> Self {
        let amount = |name: &str| match &resources[name] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => "0".into(),
        };
        Self {
            cpu: amount("cpu").parse().map_or(0, |Cpu(milli)| milli),
            memory: amount("memory").parse().map_or(0, |Bytes(bytes)| bytes),
            storage: amount("ephemeral-storage").parse().map_or(0, |Bytes(bytes)| bytes),
            pods: amount("pods").parse().unwrap_or(0),
        }
    }

    fn combine(self, other: Self, with: fn(u64, u64) -> u64) -> Self {
        Self {
            cpu: with(self.cpu, other.cpu),
            memory: with(self.memory, other.memory),
            storage: with(self.storage, other.storage),
            pods: with(self.pods, other.pods),
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        self.combine(other, u64::saturating_add)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        self.combine(other, u64::saturating_sub)
    }
}

/// What a pod asks for: its containers together, or its largest init container.
fn requests(pod: &Value) -> Amount {
    let of = |list: &str| -> Vec<Amount> {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers.map(|container| Amount::of(&container["resources"]["requests"])).collect()
    };
    let together = of("containers").into_iter().fold(Amount::default(), Amount::plus);
    let largest = of("initContainers").into_iter().fold(together, |a, b| a.combine(b, u64::max));
    Amount { pods: 1, ..largest.plus(Amount::of(&pod["spec"]["overhead"])) }
}

impl Occupancy {
    /// Accounts for a change of a pod. True if room was freed.
    pub(super) fn note(&mut self, change: &Change) -> bool {
        let pod = &change.object.value;
        let uid = change.object.uid();
        let node = text(pod, "/spec/nodeName");
        let gone = change.deleted || is_finished(pod);
        if gone {
            let Some((node, amount)) = self.by_pod.remove(uid) else { return false };
            let taken = self.by_node.entry(node).or_default();
            *taken = taken.minus(amount);
            return true;
        }
        if !node.is_empty() && !self.by_pod.contains_key(uid) {
            let amount = requests(pod);
            let taken = self.by_node.entry(node.into()).or_default();
            *taken = taken.plus(amount);
            self.by_pod.insert(uid.into(), (node.into(), amount));
        }
        false
    }

    pub(super) fn on(&self, node: &str) -> Amount {
        self.by_node.get(node).copied().unwrap_or_default()
    }
}

/// The node that a pod goes to, or why none takes it.
pub(super) fn choose(state: &State, pod: &Value) -> Result<String, String> {
    let wanted = requests(pod);
    let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
    let mut best: Option<(u64, String)> = None;
    let mut nodes = 0;
    for node in state.store.list("nodes", "") {
        nodes += 1;
        let name = text(&node.value, "/metadata/name");
        let free = Amount::of(&node.value["status"]["allocatable"]).minus(state.work.occupancy.on(name));
        let refusal = refuses(&node.value, pod).or_else(|| lacks(free, wanted));
        if let Some(reason) = refusal {
            *refusals.entry(reason.into()).or_default() += 1;
        } else if best.as_ref().is_none_or(|(most, _)| free.cpu > *most) {
            best = Some((free.cpu, name.into()));
        }
    }
    best.map(|(_, name)| name).ok_or_else(|| {
        let reasons: Vec<_> = refusals.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        let reasons = if reasons.is_empty() { "no nodes".into() } else { reasons.join(", ") };
        format!("0/{nodes} nodes are available: {reasons}.")
    })
}

fn lacks(free: Amount, wanted: Amount) -> Option<&'static str> {
    let short = [
        (wanted.pods > free.pods, "Too many pods"),
        (wanted.cpu > free.cpu, "Insufficient cpu"),
        (wanted.memory > free.memory, "Insufficient memory"),
        (wanted.storage > free.storage, "Insufficient ephemeral-storage"),
    ];
    short.into_iter().find(|(short, _)| *short).map(|(_, reason)| reason)
}

/// Why a node takes no such pod, whatever its room.
pub(super) fn refuses(node: &Value, pod: &Value) -> Option<&'static str> {
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
    if !ready {
        return Some("node(s) were not ready");
    }
    if node["spec"]["unschedulable"] == true {
        return Some("node(s) were unschedulable");
    }
    let untolerated = |taint: &Value| taint["effect"] != "PreferNoSchedule" && !tolerates(pod, taint);
    if node["spec"]["taints"].as_array().into_iter().flatten().any(untolerated) {
        return Some("node(s) had untolerated taints");
    }
    let labels = &node["metadata"]["labels"];
    let wanted = pod["spec"]["nodeSelector"].as_object().into_iter().flatten();
    let selected = wanted.into_iter().all(|(key, value)| labels.get(key) == Some(value));
    (!selected || !affine(pod, node)).then_some("node(s) didn't match Pod's node affinity/selector")
}

fn tolerates(pod: &Value, taint: &Value) -> bool {
    pod["spec"]["tolerations"].as_array().into_iter().flatten().any(|toleration| {
        let key = toleration.get("key").is_none_or(|key| key == &taint["key"]);
        let effect = toleration.get("effect").is_none_or(|effect| effect == &taint["effect"]);
        let value = toleration["operator"] == "Exists" || text(toleration, "/value") == text(taint, "/value");
        key && effect && value
    })
}

/// The required node affinity: one of its terms has to hold.
fn affine(pod: &Value, node: &Value) -> bool {
    let required = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let Some(terms) = required["nodeSelectorTerms"].as_array() else { return true };
    terms.iter().any(|term| {
        let named = term["matchFields"].as_array().into_iter().flatten().all(|field| {
            let names = field["values"].as_array().into_iter().flatten();
            names.into_iter().any(|name| name == &node["metadata"]["name"])
        });
        named && label_selector_takes(term, &node["metadata"]["labels"])
    })
}
