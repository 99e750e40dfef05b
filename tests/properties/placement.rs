//! What holds for every plan, whatever the fleet and the applications.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::Config;
use qonnect_core::placement::{self, Plan, Planner, PodCount, Touched, plan};
use qonnect_schema::documents::application::{
    Component, Constraints, Dependency, Objectives, Separation, Strategy as Scoring, Traffic,
};
use qonnect_schema::documents::cluster::DeclaredNode;
use qonnect_schema::documents::placement::PlacementSpec;
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::manifest::Manifest;
use qonnect_schema::revision::{ApplicationSource, Revision};
use qonnect_schema::units::{Bandwidth, Bytes, Cpu, EnergyRate, Latency, Money};
use qonnect_schema::{
    Application, ApplicationSpec, Cluster, ClusterSpec, FleetSpec, Placement, SnapshotSpec,
};
use serde_json::json;

mod kept;
mod prices;
mod reserve;
mod rules;

use rules::{obeys_bonds, obeys_filters, obeys_latency, within_capacity};

const TIERS: [&str; 3] = ["cloud", "fog", "edge"];
const REGIONS: [&str; 2] = ["north", "south"];
/// What goes over a dependency without a limit.
const TRAFFIC: Traffic =
    Traffic { requests_per_second: Some(3.0), sends: Bandwidth(1_000_000), receives: Bandwidth(20_000_000) };

/// A fleet and its applications.
#[derive(Debug, Clone)]
struct World {
    revision: Revision,
    snapshot: SnapshotSpec,
}

fn cluster() -> impl Strategy<Value = ClusterSpec> {
    let node = (1..4u32, 1..5u64, 1..5u64, 0..40u32, 1..9u32);
    let place =
        (select(&TIERS[..]), select(&REGIONS[..]), prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (place, node).prop_map(|((tier, region, cordon, drain), (count, cpu, memory, price, energy))| {
        ClusterSpec {
            tier: tier.into(),
            region: Some(region.into()),
            cordon,
            drain,
            nodes: vec![DeclaredNode {
                name: "node".into(),
                count,
                cpu: Cpu(cpu * 1000),
                memory: Bytes(memory << 30),
                storage: Bytes(10 << 30),
                pods: 4,
                extended: BTreeMap::new(),
                energy: Some(EnergyRate(f64::from(energy) / 1000.0)),
                price: Some(Money(f64::from(price) / 4.0)),
                bandwidth: Some(Bandwidth(u64::from(energy) * 1_000_000_000)),
            }],
            ..Default::default()
        }
    })
}

/// Replicas, thousandths of CPU, and memory in units of 256Mi.
type Pods = (u32, u64, u64);

fn component() -> impl Strategy<Value = (Component, Pods, Option<bool>)> {
    let tiers = subsequence(&TIERS[..], 1..=3);
    let regions = subsequence(&REGIONS[..], 0..=1);
    // Whether it calls the component before it, and whether with a limit.
    let calls = prop::option::weighted(0.6, prop::bool::weighted(0.4));
    ((tiers, regions), (1..4u32, 1..20u64, 1..8u64), calls).prop_map(
        |((tiers, regions), (count, cpu, memory), calls)| {
            let component = Component {
                tiers: tiers.into_iter().map(Into::into).collect(),
                regions: regions.into_iter().map(Into::into).collect(),
                ..Component::default()
            };
            (component, (count, cpu * 100, memory), calls)
        },
    )
}

/// Whether a component must be with the one before it, or apart from it, by what.
fn bond() -> impl Strategy<Value = Option<(bool, &'static str)>> {
    prop::option::weighted(0.25, (prop::bool::weighted(0.4), select(&["cluster", "region"][..])))
}

fn application(calls: bool) -> impl Strategy<Value = (ApplicationSpec, Vec<Pods>)> {
    let weights = (1..10u32, 0..10u32, 0..10u32);
    let scoring = select(&[Scoring::Optimal, Scoring::Optimal, Scoring::Borda][..]);
    let limit = prop::option::weighted(0.2, 1..20u32);
    let path = prop::option::weighted(0.1, 10..100u64);
    let parts = prop::collection::vec((component(), bond()), 1..5);
    (weights, scoring, (limit, path), parts).prop_map(
        move |((energy, cost, performance), strategy, (limit, path), drawn)| {
            let weight = |tenths: u32| f64::from(tenths) / 10.0;
            let mut components = Vec::new();
            let mut pods = Vec::new();
            for (at, ((mut component, requests, call), bond)) in drawn.into_iter().enumerate() {
                component.name = format!("c{at}");
                match bond.filter(|_| calls && at > 0) {
                    Some((true, _)) => component.colocate.push(format!("c{}", at - 1)),
                    Some((false, by)) => {
                        let from = format!("c{}", at - 1);
                        component.separate.push(Separation { from, by: by.into() });
                    }
                    None => {}
                }
                if let Some(limited) = call.filter(|_| calls && at > 0) {
                    let max_latency = limited.then_some(Latency::from_ms(10));
                    let traffic = (!limited).then_some(TRAFFIC);
                    let callee = format!("c{}", at - 1);
                    component.depends_on.push(Dependency { component: callee, max_latency, traffic });
                }
                components.push(component);
                pods.push(requests);
            }
            let constraints = Constraints {
                max_cost_per_hour: limit.map(|limit| Money(f64::from(limit) / 2.0)),
                max_path_latency: path.filter(|_| calls).map(Latency::from_ms),
                ..Constraints::default()
            };
            let objectives = Objectives {
                energy: weight(energy),
                cost: weight(cost),
                performance: weight(performance),
                carbon: 0.0,
            };
            (ApplicationSpec { objectives, strategy, components, constraints, ..Default::default() }, pods)
        },
    )
}

fn status() -> impl Strategy<Value = ClusterStatus> {
    use ClusterStatus::{Lost, Ready, Suspect, Unknown};
    select(&[Unknown, Ready, Ready, Ready, Suspect, Lost][..])
}

fn world(calls: bool) -> impl Strategy<Value = World> {
    let clusters = prop::collection::vec((cluster(), status()), 1..7);
    let applications = prop::collection::vec(application(calls), 1..5);
    (clusters, applications).prop_map(|(clusters, applications)| {
        let name = |at: usize| format!("k{at}");
        let states = clusters
            .iter()
            .enumerate()
            .map(|(at, (_, status))| (name(at), ClusterState { status: *status, ..Default::default() }));
        let snapshot = SnapshotSpec { clusters: states.collect(), ..Default::default() };
        let clusters = clusters.into_iter().enumerate();
        let revision = Revision {
            commit: "c0ffee".into(),
            time: Timestamp::UNIX_EPOCH,
            fleet: FleetSpec::default(),
            clusters: clusters.map(|(at, (spec, _))| (name(at), Cluster::new(name(at), spec))).collect(),
            signals: BTreeMap::new(),
            applications: applications
                .into_iter()
                .enumerate()
                .map(|(at, (spec, pods))| {
                    (format!("a{at}"), Arc::new(source(&format!("a{at}"), spec, &pods)))
                })
                .collect(),
        };
        World { revision, snapshot }
    })
}

/// A world in which some components run, wherever that is.
fn running(calls: bool) -> impl Strategy<Value = World> {
    (world(calls), prop::collection::vec(prop::option::of(0..6usize), 20)).prop_map(|(mut world, places)| {
        let mut places = places.into_iter();
        let clusters: Vec<_> = world.revision.clusters.keys().cloned().collect();
        let mut planned = plan(&world.revision, &world.snapshot);
        for application in planned.applications.values_mut() {
            for component in application.components.values_mut() {
                let place = places.next().flatten();
                component.cluster = place.and_then(|place| clusters.get(place)).cloned();
            }
        }
        world.snapshot.placements = placements(&planned);
        world
    })
}

fn source(name: &str, spec: ApplicationSpec, pods: &[Pods]) -> ApplicationSource {
    let manifests = spec.components.iter().zip(pods).map(|(component, (replicas, cpu, memory))| {
        let requests = json!({ "cpu": format!("{cpu}m"), "memory": format!("{}Mi", memory * 256) });
        let object = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": component.name },
            "spec": {
                "replicas": replicas,
                "template": { "spec": { "containers": [{ "resources": { "requests": requests } }] } },
            },
        });
        (component.name.clone(), vec![Manifest { path: String::new(), document: 0, object }])
    });
    ApplicationSource {
        commit: "c0ffee".into(),
        manifests: Arc::new(manifests.collect()),
        application: Application::new(name, spec.clone()),
    }
}

/// The plan as a snapshot would hold it.
fn placements(plan: &Plan) -> BTreeMap<String, Placement> {
    let placement = |(name, plan): (&String, &placement::ApplicationPlan)| {
        let spec = PlacementSpec {
            revision: "c0ffee".into(),
            kb_index: 1,
            epoch: Default::default(),
            strategy: plan.strategy,
            components: plan.components.clone(),
            ..Default::default()
        };
        (name.clone(), Placement::new(name, spec))
    };
    plan.applications.iter().map(placement).collect()
}

/// `(application, component)` to its cluster.
type Places = BTreeMap<(String, String), Option<String>>;

fn places(plan: &Plan) -> Places {
    let each = |(name, plan): (&String, &placement::ApplicationPlan)| {
        let name = name.clone();
        let places = plan.components.iter();
        places
            .map(move |(component, at)| ((name.clone(), component.clone()), at.cluster.clone()))
            .collect::<Vec<_>>()
    };
    plan.applications.iter().flat_map(each).collect()
}

fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn the_same_input_gives_the_same_plan(world in running(true)) {
        prop_assert_eq!(plan(&world.revision, &world.snapshot), plan(&world.revision, &world.snapshot.clone()));
    }

    #[test]
    fn nothing_new_breaks_a_filter_a_capacity_a_bond_or_a_limit_of_latency(world in world(true)) {
        let places = places(&plan(&world.revision, &world.snapshot));
        within_capacity(&world, &places)?;
        obeys_filters(&world, &BTreeMap::new(), &places)?;
        obeys_latency(&world, &places)?;
        obeys_bonds(&world, &places)?;
    }

    #[test]
    fn what_runs_is_never_evicted_and_moves_only_where_filters_let_it(world in running(true)) {
        let before: Places = world.snapshot.placements.iter().flat_map(|(name, placement)| {
            placement.spec.components.iter().map(|(component, at)| ((name.clone(), component.clone()), at.cluster.clone()))
        }).collect();
        let after = places(&plan(&world.revision, &world.snapshot));
        for (key, cluster) in &before {
            prop_assert!(cluster.is_none() || after[key].is_some(), "{key:?} is evicted");
        }
        obeys_filters(&world, &before, &after)?;
    }

    #[test]
    fn planning_again_with_what_was_planned_moves_nothing(world in world(true)) {
        let first = plan(&world.revision, &world.snapshot);
        let snapshot = SnapshotSpec { placements: placements(&first), ..world.snapshot.clone() };
        let again = plan(&world.revision, &snapshot);
        prop_assert_eq!(places(&first), places(&again));
    }

    #[test]
    fn moves_come_to_rest(world in running(true)) {
        let mut snapshot = world.snapshot.clone();
        let mut seen = BTreeSet::new();
        loop {
            let planned = plan(&world.revision, &snapshot);
            let now = places(&planned);
            let before: Places = places_of(&snapshot);
            if now == before {
                break;
            }
            prop_assert!(seen.insert(format!("{now:?}")), "goes in circles");
            snapshot.placements = placements(&planned);
        }
    }

    #[test]
    fn a_cluster_that_no_component_may_use_changes_nothing(world in running(true), other in cluster(), name in "[a-z]{1,3}") {
        let before = plan(&world.revision, &world.snapshot);
        let mut revision = world.revision.clone();
        let spec = ClusterSpec { tier: "moon".into(), ..other };
        revision.clusters.insert(name.clone(), Cluster::new(&name, spec));
        prop_assert_eq!(places(&before), places(&plan(&revision, &world.snapshot)));
    }

    #[test]
    fn a_bound_is_never_above_the_plan(world in running(true)) {
        let quality = Planner::new(&world.revision, &world.snapshot).quality();
        prop_assert!(quality.bound <= quality.value && quality.bound >= 0, "{quality:?}");
    }

    /// The planner is told of one application and one cluster that change; what it then holds obeys all that a
    /// plan from nothing obeys, and telling it the same again moves nothing.
    #[test]
    fn planning_what_changed_keeps_every_promise_of_a_plan(before in world(true), after in world(true), at in 0..5usize, cluster in cluster()) {
        let mut planner = Planner::new(&before.revision, &before.snapshot);
        let mut held = plan(&before.revision, &before.snapshot);
        let mut world = before.clone();
        let name = format!("a{at}");
        match after.revision.applications.get(&name) {
            Some(source) => world.revision.applications.insert(name.clone(), source.clone()),
            None => world.revision.applications.remove(&name),
        };
        let changed = world.revision.clusters.keys().next().unwrap().clone();
        let nodes = cluster.nodes;
        world.revision.clusters.get_mut(&changed).unwrap().spec.nodes = nodes;
        let touched = Touched { applications: BTreeSet::from([name]), clusters: BTreeSet::from([changed]) };
        for (name, planned) in planner.replan(&world.revision, &world.snapshot, &touched) {
            match planned {
                Some(planned) => held.applications.insert(name, planned),
                None => held.applications.remove(&name),
            };
        }
        let now = places(&held);
        within_capacity(&world, &now)?;
        obeys_filters(&world, &BTreeMap::new(), &now)?;
        obeys_latency(&world, &now)?;
        obeys_bonds(&world, &now)?;
        let known: BTreeSet<_> = world.revision.applications.keys().collect();
        prop_assert_eq!(known, held.applications.keys().collect());
        let snapshot = SnapshotSpec { placements: placements(&held), ..world.snapshot.clone() };
        let all = Touched { applications: held.applications.keys().cloned().collect(), ..Touched::default() };
        for (name, planned) in planner.replan(&world.revision, &snapshot, &all) {
            let planned = planned.unwrap();
            for (component, placed) in &planned.components {
                let key = (name.clone(), component.clone());
                prop_assert!(now[&key].is_none() || placed.cluster.is_some(), "{key:?} is evicted");
            }
        }
    }

    /// Without dependencies, limits and lack of room, components do not meet: each either stays with its
    /// choice or takes the new cluster.
    #[test]
    fn a_new_cluster_flips_no_choice_between_two_others(world in world(false), other in cluster(), name in "[a-z]{1,3}") {
        let roomy = |spec: &mut ClusterSpec| {
            for node in &mut spec.nodes {
                (node.cpu, node.memory, node.pods) = (Cpu(node.cpu.0 * 100), Bytes(node.memory.0 * 100), 1000);
            }
        };
        let mut revision = world.revision.clone();
        revision.clusters.values_mut().for_each(|cluster| roomy(&mut cluster.spec));
        for source in revision.applications.values_mut() {
            let spec = &mut Arc::make_mut(source).application.spec;
            spec.strategy = Scoring::Optimal;
            spec.constraints = Default::default();
        }
        let before = places(&plan(&revision, &world.snapshot));
        let mut other = other;
        roomy(&mut other);
        revision.clusters.insert(name.clone(), Cluster::new(&name, other));
        for (key, cluster) in places(&plan(&revision, &world.snapshot)) {
            prop_assert!(cluster == before[&key] || cluster.as_ref() == Some(&name), "{key:?}: {cluster:?}");
        }
    }
}

fn places_of(snapshot: &SnapshotSpec) -> Places {
    let each = |(name, placement): (&String, &Placement)| {
        let components = placement.spec.components.iter();
        components
            .map(|(component, at)| ((name.clone(), component.clone()), at.cluster.clone()))
            .collect::<Vec<_>>()
    };
    snapshot.placements.iter().flat_map(each).collect()
}
