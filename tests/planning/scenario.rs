//! A scenario in, a readable plan out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_core::placement::{self, ApplicationPlan};
use qonnect_schema::documents::placement::{Move, MovePhase, PlacementSpec};
use qonnect_schema::documents::snapshot::ClusterState;
use qonnect_schema::manifest::Manifest;
use qonnect_schema::revision::{ApplicationSource, Revision};
use qonnect_schema::{
    Application, ApplicationSpec, Cluster, ClusterSpec, FleetSpec, Placement, Signals, SignalsSpec,
    SnapshotSpec,
};
use serde::Deserialize;
use serde_json::json;

/// The parts of a revision and a snapshot that matter to one decision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    #[serde(default)]
    fleet: FleetSpec,
    clusters: BTreeMap<String, ClusterSpec>,
    /// Labels of clusters.
    #[serde(default)]
    labels: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    signals: BTreeMap<String, SignalsSpec>,
    apps: BTreeMap<String, ApplicationSpec>,
    /// By `app/component`, such as `2 x 500m 1Gi`; one pod of 1 CPU and 1Gi, if absent.
    #[serde(default)]
    pods: BTreeMap<String, String>,
    /// What the clusters say.
    #[serde(default)]
    states: BTreeMap<String, ClusterState>,
    /// By `app/component`: where it runs; `a <- b` while it moves from b to a.
    #[serde(default)]
    runs: BTreeMap<String, String>,
}

/// The decision for every component, and why not elsewhere.
pub(crate) fn decide(scenario: &str) -> String {
    let scenario: Scenario = qonnect_schema::yaml::from_str(scenario).unwrap();
    let (revision, snapshot) = (scenario.revision(), scenario.snapshot());
    let mut text = String::new();
    for name in revision.applications.keys() {
        let explained = placement::explain(&revision, &snapshot, name).unwrap();
        write(&mut text, name, &explained);
    }
    text
}

fn write(text: &mut String, name: &str, plan: &ApplicationPlan) {
    for (component, placed) in &plan.components {
        let cluster = placed.cluster.as_deref().unwrap_or("nowhere");
        writeln!(text, "{name}/{component}: {cluster}").unwrap();
        let total = placed.score.as_ref().map_or(0, |score| score.total);
        for other in &placed.others {
            let why = match (&other.score, &other.refused) {
                (Some(score), None) => format!("{:+.3}", (score.total - total) as f64 / 1e6),
                (None, Some(refused)) => format!("{:?}: {}", refused.filter, refused.message),
                odd => format!("{odd:?}"),
            };
            writeln!(text, "  {}: {why}", other.cluster).unwrap();
        }
    }
}

impl Scenario {
    fn revision(&self) -> Revision {
        let cluster = |(name, spec): (&String, &ClusterSpec)| {
            let mut cluster = Cluster::new(name, spec.clone());
            cluster.metadata.labels = self.labels.get(name).cloned().unwrap_or_default();
            (name.clone(), cluster)
        };
        Revision {
            commit: "c0ffee".into(),
            time: Timestamp::UNIX_EPOCH,
            fleet: self.fleet.clone(),
            clusters: self.clusters.iter().map(cluster).collect(),
            signals: self.signals.iter().map(|(n, s)| (n.clone(), Signals::new(n, s.clone()))).collect(),
            applications: self.apps.iter().map(|(n, s)| (n.clone(), Arc::new(self.source(n, s)))).collect(),
        }
    }

    fn source(&self, name: &str, spec: &ApplicationSpec) -> ApplicationSource {
        let manifests = spec.components.iter().map(|component| {
            let key = format!("{name}/{}", component.name);
            let pods = self.pods.get(&key).map_or("1 x 1 1Gi", String::as_str);
            (component.name.clone(), vec![deployment(&component.name, pods)])
        });
        ApplicationSource {
            commit: "c0ffee".into(),
            manifests: manifests.collect(),
            application: Application::new(name, spec.clone()),
        }
    }

    fn snapshot(&self) -> SnapshotSpec {
        let mut snapshot = SnapshotSpec {
            now: "2026-06-01T12:00:00Z".parse().unwrap(),
            clusters: self.states.clone(),
            ..Default::default()
        };
        for (key, place) in &self.runs {
            let (app, component) = key.split_once('/').unwrap();
            let placement = snapshot.placements.entry(app.into()).or_insert_with(|| {
                let strategy = self.apps.get(app).map(|spec| spec.strategy).unwrap_or_default();
                Placement::new(
                    app,
                    PlacementSpec {
                        revision: "c0ffee".into(),
                        kb_index: 1,
                        epoch: Default::default(),
                        strategy,
                        components: BTreeMap::new(),
                    },
                )
            });
            placement.spec.components.insert(component.into(), placed(place, snapshot.now));
        }
        snapshot
    }
}

fn placed(place: &str, now: Timestamp) -> qonnect_schema::documents::placement::ComponentPlacement {
    let (cluster, from) = match place.split_once(" <- ") {
        Some((cluster, from)) => (cluster, Some(from)),
        None => (place, None),
    };
    let moving = from.map(|from| Move { from: from.into(), phase: MovePhase::Placing, deadline: now });
    qonnect_schema::documents::placement::ComponentPlacement {
        cluster: Some(cluster.into()),
        moving,
        gave_up: None,
        score: None,
        others: vec![],
    }
}

/// `COUNT x CPU MEMORY`; `each x CPU MEMORY` for a DaemonSet.
pub(crate) fn deployment(name: &str, pods: &str) -> Manifest {
    let (count, requests) = pods.split_once(" x ").unwrap();
    let (cpu, memory) = requests.split_once(' ').unwrap();
    let (kind, replicas) = match count {
        "each" => ("DaemonSet", None),
        count => ("Deployment", Some(count.parse::<u32>().unwrap())),
    };
    let container = json!({ "name": "main", "resources": { "requests": { "cpu": cpu, "memory": memory } } });
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": { "name": name },
        "spec": { "template": { "spec": { "containers": [container] } } },
    });
    if let Some(replicas) = replicas {
        object["spec"]["replicas"] = json!(replicas);
    }
    Manifest { path: format!("{name}.yaml"), document: 0, object }
}
