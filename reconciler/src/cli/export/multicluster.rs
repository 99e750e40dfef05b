//! What other tools of a fleet read: `PlacementDecision` (KEP-5313) and `ClusterProfile` (KEP-4322) of SIG Multicluster.

use std::collections::BTreeMap;

use qonnect_core::placement;
use qonnect_schema::api::ClusterView;
use qonnect_schema::documents::placement::{ComponentPlacement, MovePhase};
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::layout::{self, label};
use qonnect_schema::{Placement, Snapshot};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cli::multicluster::{API, MANAGER, MANAGER_LABEL, OWNER, REGION, TIER};

/// So many clusters the API allows in one object.
const DECISIONS_MAX: usize = 100;
/// What Kubernetes allows in the value of a label.
const LABEL_MAX: usize = 63;

/// Every component with the clusters that it runs on; while it moves, on both.
pub(super) fn placement_decisions(snapshot: &Snapshot) -> Vec<Value> {
    let mut objects = Vec::new();
    for (application, placement) in &snapshot.spec.placements {
        let mut components: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (part, placed) in &placement.spec.components {
            components.entry(layout::whole(part)).or_default().extend(decisions(placed, placement));
        }
        for (component, decisions) in components {
            objects.extend(slices(application, component, &decisions));
        }
    }
    objects
}

fn decisions(placed: &ComponentPlacement, placement: &Placement) -> Vec<Value> {
    let decision =
        |cluster: &str, reason: String| json!({"clusterProfileRef": {"name": cluster}, "reason": reason});
    let Some(to) = placed.cluster.as_deref() else { return Vec::new() };
    let here = decision(to, placement::reason(placed, placement.spec.strategy, None));
    match &placed.moving {
        None => vec![here],
        // It must not run twice: it has to be gone there before it is wanted here.
        Some(moving) if moving.phase == MovePhase::Leaving => Vec::new(),
        Some(moving) => {
            let stays = format!("moves to {to}, and stays until it is used there");
            vec![here, decision(&moving.from, stays)]
        }
    }
}

/// At least one: an empty decision says that no cluster takes the component.
fn slices(application: &str, component: &str, decisions: &[Value]) -> Vec<Value> {
    let name = format!("{application}.{component}");
    let chunks: Vec<&[Value]> = match decisions {
        [] => vec![&[]],
        decisions => decisions.chunks(DECISIONS_MAX).collect(),
    };
    let slice = |(index, decisions): (usize, &[Value])| {
        json!({
            "apiVersion": API, "kind": "PlacementDecision",
            "metadata": {"name": format!("{name}-{index}"), "labels": {
                "multicluster.x-k8s.io/placement-key": application,
                "multicluster.x-k8s.io/decision-key": short(&name),
                "multicluster.x-k8s.io/decision-index": index.to_string(),
                label::APPLICATION: application, label::COMPONENT: component,
            }},
            "schedulerName": MANAGER, "decisions": decisions,
        })
    };
    chunks.into_iter().enumerate().map(slice).collect()
}

/// Fits a label, and is still nobody else's.
fn short(name: &str) -> String {
    const DIGITS: usize = 16;
    if name.len() <= LABEL_MAX {
        return name.into();
    }
    let hash: String = hex::encode(Sha256::digest(name)).chars().take(DIGITS).collect();
    format!("{}-{hash}", &name[..LABEL_MAX - DIGITS - 1])
}

pub(super) fn cluster_profiles(clusters: &[ClusterView]) -> Vec<Value> {
    clusters.iter().map(profile).collect()
}

fn profile(cluster: &ClusterView) -> Value {
    let capacity = &cluster.capacity;
    let amounts = [
        (TIER.to_owned(), cluster.tier.clone()),
        (REGION.to_owned(), cluster.region.clone().unwrap_or_default()),
        (format!("{OWNER}/nodes"), cluster.nodes.to_string()),
        (format!("{OWNER}/cpu"), capacity.cpu.to_string()),
        (format!("{OWNER}/memory"), capacity.memory.to_string()),
    ];
    let properties = amounts.into_iter().filter(|(_, value)| !value.is_empty());
    let properties: Vec<Value> =
        properties.map(|(name, value)| json!({"name": name, "value": value})).collect();
    let mut status = json!({"conditions": conditions(cluster), "properties": properties});
    if !cluster.kubernetes_version.is_empty() {
        status["version"] = json!({"kubernetes": cluster.kubernetes_version});
    }
    json!({
        "apiVersion": API, "kind": "ClusterProfile",
        "metadata": {"name": cluster.name, "labels": {MANAGER_LABEL: MANAGER}},
        "spec": {"displayName": cluster.name, "clusterManager": {"name": MANAGER}},
        "status": status,
    })
}

/// Silence says nothing of a control plane, so it is `Unknown` and never `False`.
fn conditions(cluster: &ClusterView) -> Value {
    let (healthy, reason, message) = match cluster.status {
        ClusterStatus::Ready => ("True", "AgentReports", "its agent reports"),
        ClusterStatus::Suspect => ("Unknown", "AgentSilent", "its agent has been silent for a while"),
        ClusterStatus::Lost => {
            ("Unknown", "AgentLost", "its agent has been silent for so long that it counts as lost")
        }
        ClusterStatus::Unknown => ("Unknown", "NoAgent", "no agent has registered"),
    };
    let (takes, why, said) = match (cluster.status, cluster.cordon) {
        (_, true) => ("False", "Cordoned", "nothing new comes here"),
        (ClusterStatus::Ready, false) => ("True", "Ready", "it takes components"),
        (_, false) => ("False", reason, message),
    };
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": cluster.since,
        })
    };
    json!([
        condition("ControlPlaneHealthy", healthy, reason, message),
        condition(&format!("{OWNER}/Schedulable"), takes, why, said),
    ])
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use qonnect_schema::SnapshotSpec;
    use qonnect_schema::documents::placement::{Move, PlacementSpec};

    use super::*;

    fn snapshot(application: &str, components: Vec<(String, ComponentPlacement)>) -> Snapshot {
        let spec = PlacementSpec { components: components.into_iter().collect(), ..Default::default() };
        let placements = [(application.to_owned(), Placement::new(application, spec))].into();
        Snapshot::new("snapshot", SnapshotSpec { placements, ..Default::default() })
    }

    fn on(cluster: &str) -> ComponentPlacement {
        ComponentPlacement { cluster: Some(cluster.into()), ..Default::default() }
    }

    fn clusters(object: &Value) -> Vec<&str> {
        let decisions = object["decisions"].as_array().unwrap();
        decisions.iter().map(|one| one["clusterProfileRef"]["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn more_clusters_than_an_object_may_name_become_slices_of_one_decision() {
        let parts = (0..250).map(|number| {
            let cluster = format!("edge-{number:03}");
            (layout::part("web", &cluster), on(&cluster))
        });
        let application = "a".repeat(60);
        let objects = placement_decisions(&snapshot(&application, parts.collect()));
        assert_eq!(objects.iter().map(|object| clusters(object).len()).collect::<Vec<_>>(), [100, 100, 50]);
        let label = |index: usize, name: &str| objects[index]["metadata"]["labels"][name].as_str().unwrap();
        let key = label(0, "multicluster.x-k8s.io/decision-key");
        assert!(key.len() <= LABEL_MAX, "{key}");
        for (index, object) in objects.iter().enumerate() {
            assert_eq!(label(index, "multicluster.x-k8s.io/decision-key"), key);
            assert_eq!(label(index, "multicluster.x-k8s.io/decision-index"), index.to_string());
            assert_eq!(object["metadata"]["name"], format!("{application}.web-{index}"));
        }
    }

    #[test]
    fn a_move_names_both_clusters_unless_it_must_not_run_twice() {
        let moving = |phase| {
            let moving = Some(Move { from: "fog-1".into(), phase, deadline: Timestamp::UNIX_EPOCH });
            ComponentPlacement { moving, ..on("fog-2") }
        };
        let parts = [
            ("cache", moving(MovePhase::Leaving)),
            ("db", ComponentPlacement::default()),
            ("web", moving(MovePhase::Placing)),
        ];
        let parts = parts.map(|(name, placed)| (name.to_owned(), placed));
        let objects = placement_decisions(&snapshot("shop", parts.into()));
        let named: Vec<_> = objects.iter().map(clusters).collect();
        assert_eq!(named, [vec![], vec![], vec!["fog-2", "fog-1"]]);
        assert_eq!(objects[2]["decisions"][1]["reason"], "moves to fog-2, and stays until it is used there");
    }
}
