//! Instances that plans are measured on: a file each, in `tests/planning/optima` and folders below it.
//!
//! `regenerate.py` there draws them and proves optima with HiGHS. What the search for bad cases finds lies in `found`,
//! instances that are too large to be proved in `large`, with the least that anybody has come by.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_core::placement::Planner;
use qonnect_schema::documents::application::{Component, Dependency, Objectives, Traffic};
use qonnect_schema::documents::cluster::{DeclaredNode, EgressRates, LatencyTable};
use qonnect_schema::documents::placement::{ComponentPlacement, PlacementSpec};
use qonnect_schema::revision::{ApplicationSource, Revision};
use qonnect_schema::units::{Bandwidth, Bytes, Cpu, EnergyRate, Latency, Money};
use qonnect_schema::{
    Application, ApplicationSpec, Cluster, ClusterSpec, FleetSpec, Placement, SnapshotSpec,
};
use serde::{Deserialize, Serialize};

use crate::folder::repository;
use crate::workload::deployment;

mod variants;

/// A fleet with applications, and the least that any plan for them can add up to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Instance {
    /// In millionths, where it is proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimum: Option<i64>,
    /// The least of the plans that are known to exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<i64>,
    clusters: Vec<Site>,
    apps: Vec<App>,
    /// Milliseconds between two regions, in the order of their names.
    trips: BTreeMap<String, BTreeMap<String, u64>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Site {
    tier: String,
    region: String,
    milli: u64,
    mebi: u64,
    price_milli: u64,
    energy_micro: u64,
    bandwidth_mega: u64,
    /// Per GB that leaves it, in millionths of the currency and of a kWh; the fleet's defaults, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    egress_micro: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network_micro: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct App {
    /// Energy, cost, performance.
    weights: [u32; 3],
    components: Vec<Part>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    tiers: Vec<String>,
    regions: Vec<String>,
    replicas: u32,
    milli: u64,
    mebi: u64,
    calls: Vec<Call>,
    home: Option<usize>,
    /// Megabytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state_mega: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Call {
    to: usize,
    limit: Option<u64>,
    /// Per second; and thousands of bits per second to the callee and back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requests: Option<u64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    send_kilo: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    receive_kilo: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Which of the instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Small ones, all with proved optima.
    Drawn,
    /// Small ones on which plans were bad when they were found.
    Found,
    /// 60 components on 20 clusters to 300 on 50.
    Large,
}

impl Set {
    pub fn folder(self) -> PathBuf {
        let folder = repository().join("tests/planning/optima");
        match self {
            Self::Drawn => folder,
            Self::Found => folder.join("found"),
            Self::Large => folder.join("large"),
        }
    }

    /// The instances of a set with their names, in the order of these; a folder that is not there holds none.
    pub fn read(self) -> Vec<(String, Instance)> {
        let files = std::fs::read_dir(self.folder()).into_iter().flatten().flatten().map(|file| file.path());
        let instances = files.filter(|path| path.extension().is_some_and(|end| end == "json")).map(|path| {
            let text = std::fs::read_to_string(&path).expect("it is in the repository");
            let instance = serde_json::from_str(&text).expect("the script or the search wrote it");
            (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), instance)
        });
        let mut instances: Vec<_> = instances.collect();
        instances.sort_by(|a, b| a.0.cmp(&b.0));
        instances
    }
}

impl Instance {
    /// The optimum, or the least that is known.
    pub fn best(&self) -> i64 {
        self.optimum.or(self.known).expect("the script or the search wrote one of them")
    }

    /// By how many per cent a plan is above the best.
    pub fn gap_pct(&self, value: i64) -> f64 {
        (value - self.best()).max(0) as f64 / self.best() as f64 * 100.0
    }

    /// Whether components say what they send each other.
    pub fn has_traffic(&self) -> bool {
        let calls = self.apps.iter().flat_map(|app| &app.components).flat_map(|part| &part.calls);
        calls.into_iter().any(|call| call.requests.is_some() || call.send_kilo + call.receive_kilo > 0)
    }

    /// What the components of a plan of it add, if each has a place: what leaves something out is no better.
    pub fn value(planner: &mut Planner) -> Option<i64> {
        let (lost, value) = planner.worth();
        (lost == 0).then_some(value)
    }

    fn cluster(&self, at: usize) -> Cluster {
        let site = &self.clusters[at];
        let regions = self.trips.get(&site.region).into_iter().flatten();
        let spec = ClusterSpec {
            tier: site.tier.clone(),
            region: Some(site.region.clone()),
            latency: LatencyTable {
                regions: regions.map(|(name, ms)| (name.clone(), Latency::from_ms(*ms))).collect(),
                ..LatencyTable::default()
            },
            egress: EgressRates {
                price: site.egress_micro.map(|micro| Money(micro as f64 / 1e6)),
                energy: site.network_micro.map(|micro| micro as f64 / 1e6),
            },
            nodes: vec![DeclaredNode {
                name: "node".into(),
                count: 1,
                cpu: Cpu(site.milli),
                memory: Bytes(site.mebi << 20),
                storage: Bytes(0),
                pods: 110,
                extended: BTreeMap::new(),
                energy: Some(EnergyRate(site.energy_micro as f64 / 1e6)),
                price: Some(Money(site.price_milli as f64 / 1000.0)),
                bandwidth: Some(Bandwidth(site.bandwidth_mega * 1_000_000)),
            }],
            ..ClusterSpec::default()
        };
        Cluster::new(name(at), spec)
    }

    pub fn world(&self) -> (Revision, SnapshotSpec) {
        let clusters = (0..self.clusters.len()).map(|at| (name(at), self.cluster(at)));
        let mut revision = Revision {
            commit: "c0ffee".into(),
            time: Timestamp::UNIX_EPOCH,
            fleet: FleetSpec::default(),
            clusters: clusters.collect(),
            signals: BTreeMap::new(),
            applications: BTreeMap::new(),
        };
        let mut snapshot = SnapshotSpec::default();
        for (at, app) in self.apps.iter().enumerate() {
            let application = format!("a{at}");
            snapshot.placements.insert(application.clone(), app.placement(&application));
            revision.applications.insert(application.clone(), Arc::new(app.source(&application)));
        }
        (revision, snapshot)
    }
}

impl App {
    fn source(&self, name: &str) -> ApplicationSource {
        let component = |(at, part): (usize, &Part)| Component {
            name: part_name(at),
            manifests: vec![],
            tiers: part.tiers.clone(),
            regions: part.regions.clone(),
            state: part.state_mega.map(|mega| Bytes(mega * 1_000_000)),
            depends_on: part
                .calls
                .iter()
                .map(|call| Dependency {
                    component: part_name(call.to),
                    max_latency: call.limit.map(Latency::from_ms),
                    traffic: Some(Traffic {
                        requests_per_second: call.requests.map(|requests| requests as f64),
                        sends: Bandwidth(call.send_kilo * 1000),
                        receives: Bandwidth(call.receive_kilo * 1000),
                    }),
                })
                .collect(),
            ..Component::default()
        };
        let [energy, cost, performance] = self.weights.map(|weight| f64::from(weight) / 10.0);
        let spec = ApplicationSpec {
            objectives: Objectives { energy, cost, performance, carbon: 0.0 },
            components: self.components.iter().enumerate().map(component).collect(),
            ..ApplicationSpec::default()
        };
        let pods = |part: &Part| format!("{} x {}m {}Mi", part.replicas, part.milli, part.mebi);
        let manifests = self
            .components
            .iter()
            .enumerate()
            .map(|(at, part)| (part_name(at), vec![deployment(&part_name(at), &pods(part))]));
        ApplicationSource {
            commit: "c0ffee".into(),
            manifests: Arc::new(manifests.collect()),
            application: Application::new(name, spec),
        }
    }

    fn placement(&self, application: &str) -> Placement {
        let runs = self.components.iter().enumerate().filter_map(|(at, part)| {
            let cluster = Some(name(part.home?));
            Some((part_name(at), ComponentPlacement { cluster, ..Default::default() }))
        });
        let spec = PlacementSpec {
            revision: "c0ffee".into(),
            kb_index: 1,
            epoch: Default::default(),
            strategy: Default::default(),
            components: runs.collect(),
            ..Default::default()
        };
        Placement::new(application, spec)
    }
}

fn name(at: usize) -> String {
    format!("k{at}")
}

fn part_name(at: usize) -> String {
    format!("c{at}")
}
