//! Fleets and applications of any size, no two clusters alike: what planning is measured on.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::documents::application::{Component, Dependency, Objectives};
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus, Node, Resources};
use qonnect_schema::manifest::Manifest;
use qonnect_schema::revision::{ApplicationSource, Revision};
use qonnect_schema::units::{Bandwidth, Bytes, Cpu, EnergyRate, Latency, Money};
use qonnect_schema::{Application, ApplicationSpec, Cluster, ClusterSpec, FleetSpec, SnapshotSpec};
use serde_json::json;

pub(crate) use qonnect_tests::dice::Dice;

const TIERS: [&str; 3] = ["cloud", "fog", "edge"];
const REGIONS: u64 = 20;
pub(crate) const COMPONENTS_EACH: usize = 5;
const NODES_EACH: usize = 10;

/// So many components, five to an application, and so many clusters of ten nodes, a good half of it filled.
pub(crate) fn world(components: usize, clusters: usize) -> (Revision, SnapshotSpec) {
    let mut dice = Dice(7);
    let mut revision = Revision {
        commit: "c0ffee".into(),
        time: Timestamp::UNIX_EPOCH,
        fleet: FleetSpec::default(),
        clusters: BTreeMap::new(),
        signals: BTreeMap::new(),
        applications: BTreeMap::new(),
    };
    let mut snapshot = SnapshotSpec::default();
    for number in 0..clusters {
        let name = format!("cluster-{number:04}");
        let spec = ClusterSpec {
            tier: TIERS[number % TIERS.len()].into(),
            region: Some(format!("region-{:02}", dice.roll(REGIONS))),
            ..ClusterSpec::default()
        };
        revision.clusters.insert(name.clone(), Cluster::new(&name, spec));
        let pools = [node(&mut dice), node(&mut dice)];
        let named = |number: usize| Node { name: format!("node-{number}"), ..pools[number % 2].clone() };
        let nodes = (0..NODES_EACH).map(named).collect();
        let state =
            ClusterState { status: ClusterStatus::Ready, nodes: Some(nodes), ..ClusterState::default() };
        snapshot.clusters.insert(name, state);
    }
    for number in 0..components / COMPONENTS_EACH {
        let name = format!("app-{number:05}");
        let source = application(&name, &mut dice);
        revision.applications.insert(name, Arc::new(source));
    }
    (revision, snapshot)
}

/// A node of one pool; a cluster has two.
fn node(dice: &mut Dice) -> Node {
    let cpu = 4 + dice.roll(5);
    Node {
        allocatable: Resources {
            cpu: Cpu(cpu * 1000),
            memory: Bytes((cpu * 4) << 30),
            storage: Bytes(100 << 30),
            pods: 110,
            ..Resources::default()
        },
        ready: true,
        energy: Some(EnergyRate(0.002 + dice.roll(3000) as f64 / 1e6)),
        price: Some(Money(0.05 + dice.roll(1000) as f64 / 1000.0)),
        bandwidth: Some(Bandwidth((1 + dice.roll(40)) * 250_000_000)),
        ..Node::default()
    }
}

/// An application with a chain of calls and two more, one of them with a limit.
pub(crate) fn application(name: &str, dice: &mut Dice) -> ApplicationSource {
    let mut components = Vec::new();
    let mut manifests = BTreeMap::new();
    for number in 0..COMPONENTS_EACH {
        let component = format!("component-{number}");
        let (replicas, cpu, memory) = (1 + dice.roll(4), 250 * (1 + dice.roll(6)), 256 * (1 + dice.roll(12)));
        let requests = json!({ "cpu": format!("{cpu}m"), "memory": format!("{memory}Mi") });
        let object = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": component },
            "spec": {
                "replicas": replicas,
                "template": { "spec": { "containers": [{ "name": "main", "resources": { "requests": requests } }] } },
            },
        });
        manifests.insert(component.clone(), vec![Manifest { path: "m.yaml".into(), document: 0, object }]);
        let mut depends_on = Vec::new();
        let mut call = |callee: usize, limit: Option<u64>| {
            depends_on.push(Dependency {
                component: format!("component-{callee}"),
                max_latency: limit.map(Latency::from_ms),
                ..Dependency::default()
            });
        };
        if number > 0 {
            call(number - 1, (number == 2).then_some(30));
        }
        if number > 2 {
            call(number - 3, None);
        }
        let tier = dice.roll(3) as usize;
        let tiers = [tier, (tier + dice.roll(2) as usize) % 3].map(|tier| TIERS[tier].to_owned());
        components.push(Component {
            name: component,
            manifests: vec!["m.yaml".into()],
            tiers: tiers.to_vec(),
            depends_on,
            ..Component::default()
        });
    }
    let mut weight = || dice.roll(11) as f64 / 10.0;
    let objectives =
        Objectives { energy: weight(), cost: 0.1 + weight() / 2.0, performance: weight(), carbon: 0.0 };
    let spec = ApplicationSpec { objectives, components, ..ApplicationSpec::default() };
    ApplicationSource {
        commit: "c0ffee".into(),
        manifests: manifests.into(),
        application: Application::new(name, spec),
    }
}
