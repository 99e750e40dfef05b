//! What prices that change do to a plan that runs.

use std::sync::Arc;

use proptest::prelude::*;
use qonnect_core::placement::plan;
use qonnect_schema::documents::application::Strategy as Scoring;
use qonnect_schema::units::Money;

use super::{World, config, placements, places, world};

/// Above what jitter can change for one component: three pods on nodes that cost at most ten, by a hundredth.
const PRICE_OF_A_MOVE: f64 = 0.7;
const JITTER: f64 = 0.01;

/// At rest where moves are for free, so that nothing was about to move.
fn at_rest(mut world: World) -> World {
    for source in world.revision.applications.values_mut() {
        let spec = &mut Arc::make_mut(source).application.spec;
        spec.strategy = Scoring::Optimal;
        spec.constraints = Default::default();
    }
    let moves = &mut world.revision.fleet.moves;
    (moves.price, moves.overlap) = (0.0, qonnect_schema::units::Span::from_secs(0));
    loop {
        let planned = plan(&world.revision, &world.snapshot);
        let before = std::mem::replace(&mut world.snapshot.placements, placements(&planned));
        if before == world.snapshot.placements {
            return world;
        }
    }
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn jitter_below_the_threshold_moves_nothing(
        world in world(true).prop_map(at_rest),
        jitter in prop::collection::vec(-1.0..1.0f64, 7),
    ) {
        let mut world = world;
        world.revision.fleet.moves.price = PRICE_OF_A_MOVE;
        for (cluster, jitter) in world.revision.clusters.values_mut().zip(jitter) {
            for node in &mut cluster.spec.nodes {
                node.price = node.price.map(|price| Money(price.0 * (1.0 + JITTER * jitter)));
            }
        }
        let now = places(&plan(&world.revision, &world.snapshot));
        for (key, before) in super::places_of(&world.snapshot) {
            prop_assert!(before.is_none() || now[&key] == before, "{key:?} goes from {before:?} to {:?}", now[&key]);
        }
    }

    #[test]
    fn a_better_price_is_taken(world in world(true).prop_map(at_rest), at in 0..7usize, price in 0.0..10.0f64) {
        let mut world = world;
        world.revision.fleet.moves = Default::default();
        let name = world.revision.clusters.keys().nth(at % world.revision.clusters.len()).unwrap().clone();
        for node in &mut world.revision.clusters.get_mut(&name).unwrap().spec.nodes {
            node.price = Some(Money(price));
        }
        let plan = plan(&world.revision, &world.snapshot);
        for (application, planned) in &plan.applications {
            for (component, placed) in &planned.components {
                let Some(own) = placed.score.as_ref().filter(|_| !planned.forced.contains(component)) else { continue };
                let others = placed.others.iter().filter_map(|other| Some((&other.cluster, other.score.as_ref()?)));
                for (cluster, score) in others {
                    prop_assert!(score.total >= own.total, "{application}/{component} would be better off on {cluster}");
                }
            }
        }
    }

    #[test]
    fn many_threads_make_the_same_plan(world in world(true)) {
        let alone = plan(&world.revision, &world.snapshot);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| plan(&world.revision, &world.snapshot))).collect();
            for thread in threads {
                prop_assert_eq!(&alone, &thread.join().unwrap());
            }
            Ok(())
        })?;
    }
}
