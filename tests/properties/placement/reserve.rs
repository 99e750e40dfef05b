//! Room that is kept free for what dies: no plan makes less of it, and mending comes to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use qonnect_core::placement::{plan, requests};
use qonnect_schema::documents::application::{Component, Constraints, Objectives};
use qonnect_schema::documents::fleet::Domain;
use qonnect_schema::documents::placement::{ComponentPlacement, PlacementSpec};
use qonnect_schema::revision::{ApplicationSource, Revision};
use qonnect_schema::units::Cpu;
use qonnect_schema::{
    Application, ApplicationSpec, Cluster, ClusterSpec, FleetSpec, Placement, SnapshotSpec,
};
use qonnect_tests::workload::deployment;

use super::{Places, World, config, placements, places, places_of};

/// The vCPUs and the price of each cluster; whether each application, of one component, is guarded, its vCPUs, and
/// where it runs, if it has room there.
type Drawn = (Vec<(u64, u32)>, Vec<(bool, u64, Option<usize>)>);

fn drawn() -> impl Strategy<Value = Drawn> {
    let clusters = prop::collection::vec((4..13u64, 1..40u32), 3..6);
    let component = (any::<bool>(), 1..6u64, prop::option::weighted(0.8, 0..5usize));
    (clusters, prop::collection::vec(component, 2..12))
}

fn world((clusters, applications): Drawn) -> World {
    let mut free: Vec<u64> = clusters.iter().map(|(cpu, _)| *cpu).collect();
    let mut revision = Revision {
        commit: "c0ffee".into(),
        time: jiff::Timestamp::UNIX_EPOCH,
        fleet: FleetSpec::default(),
        clusters: BTreeMap::new(),
        signals: BTreeMap::new(),
        applications: BTreeMap::new(),
    };
    for (at, (cpu, price)) in clusters.into_iter().enumerate() {
        let node = qonnect_schema::yaml::from_str(&format!(
            "{{name: n, cpu: {cpu}, memory: 256Gi, price: {price}}}"
        ));
        let spec = ClusterSpec { tier: "fog".into(), nodes: vec![node.unwrap()], ..ClusterSpec::default() };
        revision.clusters.insert(format!("k{at}"), Cluster::new(format!("k{at}"), spec));
    }
    let mut snapshot = SnapshotSpec::default();
    for (at, (guarded, cpu, home)) in applications.into_iter().enumerate() {
        let name = format!("a{at:02}");
        let component = Component { name: "c".into(), ..Component::default() };
        let constraints =
            Constraints { survive: guarded.then_some(Domain::Cluster), ..Constraints::default() };
        let spec = ApplicationSpec {
            objectives: Objectives { cost: 1.0, ..Objectives::default() },
            components: vec![component],
            constraints,
            ..ApplicationSpec::default()
        };
        let manifests = BTreeMap::from([("c".to_owned(), vec![deployment("c", &format!("1 x {cpu} 1Gi"))])]);
        let source = ApplicationSource {
            commit: "c0ffee".into(),
            manifests: Arc::new(manifests),
            application: Application::new(&name, spec),
        };
        revision.applications.insert(name.clone(), Arc::new(source));
        let count = free.len();
        if let Some(home) = home.map(|home| home % count).filter(|home| free[*home] >= cpu) {
            free[home] -= cpu;
            let placed = ComponentPlacement { cluster: Some(format!("k{home}")), ..Default::default() };
            let components = BTreeMap::from([("c".to_owned(), placed)]);
            let spec = PlacementSpec { components, ..PlacementSpec::default() };
            snapshot.placements.insert(name.clone(), Placement::new(&name, spec));
        }
    }
    World { revision, snapshot }
}

/// By cluster: how many vCPUs are guarded there beyond what is free elsewhere.
fn lacks(world: &World, places: &Places) -> BTreeMap<String, i64> {
    let cpu = |name: &str| -> i64 {
        let source = &world.revision.applications[name];
        let requests = &requests(source)["c"][0];
        let Cpu(milli) = requests.pod.cpu;
        milli as i64
    };
    let on = |cluster: &str, counts: &dyn Fn(&str) -> bool| -> i64 {
        let there = places.iter().filter(|(_, place)| place.as_deref() == Some(cluster));
        there.filter(|((name, _), _)| counts(name)).map(|((name, _), _)| cpu(name)).sum()
    };
    let guarded =
        |name: &str| world.revision.applications[name].application.spec.constraints.survive.is_some();
    let free = |name: &str| world.revision.clusters[name].spec.nodes[0].cpu.0 as i64 - on(name, &|_| true);
    let all: i64 = world.revision.clusters.keys().map(|name| free(name)).sum();
    let lack = |name: &String| {
        let needed = on(name, &guarded);
        (name.clone(), if needed > 0 { (needed - (all - free(name))).max(0) } else { 0 })
    };
    world.revision.clusters.keys().map(lack).collect()
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn no_plan_makes_a_lack_larger_until_all_is_at_rest(drawn in drawn()) {
        let mut world = world(drawn);
        let mut seen = BTreeSet::new();
        loop {
            let before = places_of(&world.snapshot);
            let planned = plan(&world.revision, &world.snapshot);
            let now = places(&planned);
            let (lacked, lack) = (lacks(&world, &before), lacks(&world, &now));
            for (cluster, lack) in &lack {
                prop_assert!(lack <= &lacked[cluster], "{cluster}: {lacked:?} becomes {lack:?}");
            }
            let still = before.iter().filter(|(_, place)| place.is_some()).eq(now.iter().filter(|(_, place)| place.is_some()));
            if still {
                break;
            }
            prop_assert!(seen.insert(format!("{now:?}")), "goes in circles");
            world.snapshot.placements = placements(&planned);
        }
    }
}
