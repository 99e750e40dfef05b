//! A scenario in, a readable plan out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use qonnect_core::placement::{self, ApplicationPlan};
use qonnect_core::rollout::fingerprint;
use qonnect_schema::documents::placement::{ComponentPlacement, GaveUp, Move, MovePhase, PlacementSpec};
use qonnect_schema::documents::snapshot::ClusterState;
use qonnect_schema::revision::{ApplicationSource, Revision};
use qonnect_schema::{
    Application, ApplicationSpec, Cluster, ClusterSpec, FleetSpec, Placement, Signals, SignalsSpec,
    SnapshotSpec,
};
use qonnect_tests::workload::deployment;
use serde::Deserialize;

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
    /// By `app/component`: where it runs; `a <- b` while it moves from b to a; `a, not b` where it gave b up.
    #[serde(default)]
    runs: BTreeMap<String, String>,
}

pub(crate) fn world(scenario: &str) -> (Revision, SnapshotSpec) {
    let scenario: Scenario = qonnect_schema::yaml::from_str(scenario).unwrap();
    (scenario.revision(), scenario.snapshot())
}

/// The decision for every component, and why not elsewhere.
pub(crate) fn decide(scenario: &str) -> String {
    let (revision, snapshot) = world(scenario);
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
            manifests: Arc::new(manifests.collect()),
            application: Application::new(name, spec.clone()),
        }
    }

    fn placed(&self, app: &str, component: &str, place: &str, now: Timestamp) -> ComponentPlacement {
        let (place, failed) = match place.split_once(", not ") {
            Some((place, failed)) => (place, Some(failed)),
            None => (place, None),
        };
        let (cluster, from) = match place.split_once(" <- ") {
            Some((cluster, from)) => (cluster, Some(from)),
            None => (place, None),
        };
        let manifests = || fingerprint(&self.source(app, &self.apps[app]), component);
        let until = now + SignedDuration::from_hours(1);
        ComponentPlacement {
            cluster: Some(cluster.into()),
            moving: from.map(|from| Move { from: from.into(), phase: MovePhase::Placing, deadline: now }),
            gave_up: failed.map(|failed| GaveUp { cluster: failed.into(), until, manifests: manifests() }),
            ..ComponentPlacement::default()
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
                        ..Default::default()
                    },
                )
            });
            placement
                .spec
                .components
                .insert(component.into(), self.placed(app, component, place, snapshot.now));
        }
        snapshot
    }
}
