//! A planner that is kept while the world changes.

use std::sync::Arc;

use jiff::SignedDuration;
use proptest::prelude::*;
use qonnect_core::placement::{Plan, Planner, Touched, plan};
use qonnect_core::rollout::fingerprint;
use qonnect_schema::documents::cluster::DeclaredNode;
use qonnect_schema::documents::placement::GaveUp;
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::revision::ApplicationSource;

use super::rules::{obeys_bonds, obeys_latency, within_capacity};
use super::{World, cluster, config, placements, places, status, world};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Change {
    /// An application is new, changed or, without a source, gone.
    Application(usize, Option<Arc<ApplicationSource>>),
    Nodes(usize, Vec<DeclaredNode>),
    Drain(usize, bool),
    Status(usize, ClusterStatus),
    /// What is planned runs.
    Settled,
    /// One component did not become Ready on another cluster, and is not sent there for some minutes.
    GaveUp(usize, usize, i64),
    Minutes(i64),
}

fn change() -> impl Strategy<Value = Change> {
    let source = world(true).prop_map(|world| world.revision.applications.values().next().cloned());
    prop_oneof![
        3 => (0..6usize, prop::option::weighted(0.8, source))
            .prop_map(|(at, source)| Change::Application(at, source.flatten())),
        2 => (0..7usize, cluster()).prop_map(|(at, cluster)| Change::Nodes(at, cluster.nodes)),
        1 => (0..7usize, any::<bool>()).prop_map(|(at, drain)| Change::Drain(at, drain)),
        1 => (0..7usize, status()).prop_map(|(at, status)| Change::Status(at, status)),
        3 => Just(Change::Settled),
        1 => (0..20usize, 0..7usize, 1..10i64).prop_map(|(at, cluster, minutes)| Change::GaveUp(at, cluster, minutes)),
        1 => (1..10i64).prop_map(Change::Minutes),
    ]
}

impl Change {
    fn happen(&self, world: &mut World, plan: &Plan) {
        let World { revision, snapshot } = world;
        let names: Vec<String> = revision.clusters.keys().cloned().collect();
        let cluster = |at: &usize| names[at % names.len()].clone();
        match self {
            Self::Application(at, None) => drop(revision.applications.remove(&format!("a{at}"))),
            Self::Application(at, Some(source)) => {
                let mut source = ApplicationSource::clone(source);
                source.application.metadata.name = format!("a{at}");
                revision.applications.insert(format!("a{at}"), Arc::new(source));
            }
            Self::Nodes(at, nodes) => {
                revision.clusters.get_mut(&cluster(at)).unwrap().spec.nodes.clone_from(nodes);
            }
            Self::Drain(at, drain) => revision.clusters.get_mut(&cluster(at)).unwrap().spec.drain = *drain,
            Self::Status(at, status) => {
                let state = ClusterState { status: *status, ..ClusterState::default() };
                snapshot.clusters.insert(cluster(at), state);
            }
            Self::Settled => snapshot.placements = placements(plan),
            Self::GaveUp(at, to, minutes) => {
                let placed = snapshot.placements.iter_mut().flat_map(|(name, placement)| {
                    placement
                        .spec
                        .components
                        .iter_mut()
                        .map(move |(component, placed)| (name, component, placed))
                });
                let Some((name, component, placed)) = placed.into_iter().nth(*at) else { return };
                let Some(source) = revision.applications.get(name) else { return };
                let until = snapshot.now + SignedDuration::from_mins(*minutes);
                let manifests = fingerprint(source, component);
                placed.gave_up = Some(GaveUp { cluster: cluster(to), until, manifests });
            }
            Self::Minutes(minutes) => snapshot.now += SignedDuration::from_mins(*minutes),
        }
    }
}

/// What a plan adds up to in a world, for a planner that may choose nothing.
fn value_of(world: &World, plan: &Plan) -> i64 {
    let mut pinned = world.revision.clone();
    for (name, source) in &mut pinned.applications {
        let places = plan.applications[name].components.iter();
        let pin = places.filter_map(|(component, placed)| Some((component.clone(), placed.cluster.clone()?)));
        Arc::make_mut(source).application.spec.pin = pin.collect();
    }
    Planner::new(&pinned, &world.snapshot).worth().1
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn a_kept_planner_places_all_and_breaks_nothing(
        mut world in world(true),
        changes in prop::collection::vec(change(), 1..12),
    ) {
        let mut planner = Planner::new(&world.revision, &world.snapshot);
        let mut kept = planner.plan();
        for change in changes {
            let before = world.clone();
            change.happen(&mut world, &kept);
            let touched = Touched::between((&before.revision, &before.snapshot), (&world.revision, &world.snapshot));
            let touched = touched.expect("clusters stay where they are");
            for (name, planned) in planner.replan(&world.revision, &world.snapshot, &touched) {
                match planned {
                    Some(planned) => drop(kept.applications.insert(name, planned)),
                    None => drop(kept.applications.remove(&name)),
                }
            }
            let (ours, theirs) = (places(&kept), places(&plan(&world.revision, &world.snapshot)));
            prop_assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
            if world.snapshot.placements.is_empty() {
                within_capacity(&world, &ours)?;
                obeys_latency(&world, &ours)?;
                obeys_bonds(&world, &ours)?;
            }
        }
        // Between reviews a plan from nothing may be better by any amount; afterwards by nothing at all, and better
        // means that the price of its moves is paid.
        planner.review(&world.revision, &world.snapshot);
        let worth = planner.worth();
        prop_assert!(worth <= Planner::new(&world.revision, &world.snapshot).worth());
        prop_assert!(!planner.review(&world.revision, &world.snapshot), "a second look finds something");
        if let (0, value) = worth {
            prop_assert_eq!(value, value_of(&world, &planner.plan()), "what is kept is not what it is worth");
        }
    }

    #[test]
    fn what_is_the_same_touches_nothing(world in world(true)) {
        // Another push, which says nothing of them.
        let mut pushed = world.revision.clone();
        pushed.commit = "c0ffee".into();
        for source in pushed.applications.values_mut() {
            *source = Arc::new(ApplicationSource { commit: pushed.commit.clone(), ..ApplicationSource::clone(source) });
        }
        let touched = Touched::between((&world.revision, &world.snapshot), (&pushed, &world.snapshot));
        prop_assert_eq!(touched, Some(Touched::default()));
    }
}
