//! Days and weeks of a fleet: flapping, outages, curves of prices and load, leaders that change while something moves.

use std::collections::BTreeMap;

use qonnect_schema::documents::placement::Cause;

use crate::world::World;
use crate::world::faults::Fault;
use crate::world::setting::Setting;
use crate::{invariants, number};

/// In `make test`; `make soak` sets more.
const SEEDS: u64 = 2;
const REGIONS: u64 = 4;
const CLUSTERS_OF_A_REGION: u64 = 4;
/// Of weather; a day of peace follows.
const DAYS: u64 = 2;

/// A run that shows less has shown little.
const MOVES_MIN: usize = 20;
const FAILOVERS_MIN: usize = 4;

struct Run {
    seed: u64,
    broken: Vec<String>,
    story: String,
    faults: BTreeMap<Fault, usize>,
    moves: usize,
    failovers: usize,
    stranded: usize,
}

fn run(seed: u64) -> Run {
    let setting = |name: &str, usual| number(name).unwrap_or(usual) as usize;
    let regions = setting("QONNECT_SIMULATION_REGIONS", REGIONS);
    let clusters = setting("QONNECT_SIMULATION_CLUSTERS", CLUSTERS_OF_A_REGION);
    let days = number("QONNECT_SIMULATION_DAYS").unwrap_or(DAYS);
    let mut world = World::new(seed, Setting::days(regions, clusters, days));
    world.live();
    let broken = invariants::broken(&world, &invariants::OF_SEASONS);
    let (mut moves, mut failovers, mut stranded) = (0, 0, 0);
    for pair in world.decisions().windows(2) {
        for (application, name, now) in pair[1].components() {
            let Some(before) = pair[0].component(application, name) else { continue };
            let fresh = now.arrived != before.arrived;
            let cause = now.arrived.map(|arrived| arrived.cause);
            moves += usize::from(before.moving.is_none() && now.moving.is_some());
            failovers += usize::from(fresh && cause == Some(Cause::FailedOver));
            stranded += usize::from(!before.stranded && now.stranded);
        }
    }
    Run { seed, broken, story: world.story(), faults: world.faults, moves, failovers, stranded }
}

#[test]
fn every_invariant_holds_through_the_seasons() {
    let seeds: Vec<u64> = match number("QONNECT_SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("QONNECT_SIMULATION_FLEETS").unwrap_or(SEEDS)).collect(),
    };
    let mut failed = Vec::new();
    for Run { seed, broken, story, faults, moves, failovers, stranded } in crate::on_both_cores(seeds, run) {
        println!("seed {seed}: {moves} moves, {failovers} failovers, {stranded} stranded, {faults:?}");
        if !broken.is_empty() {
            eprintln!("{story}\nseed {seed}:\n  {}", broken.join("\n  "));
            failed.push(seed);
        }
        assert!(moves >= MOVES_MIN, "seed {seed}: {moves} moves only");
        assert!(failovers >= FAILOVERS_MIN, "seed {seed}: {failovers} failovers only");
        let rare = Fault::OF_SEASONS
            .iter()
            .filter(|(fault, least)| faults.get(fault).copied().unwrap_or_default() < *least);
        let rare: Vec<_> = rare.collect();
        assert!(rare.is_empty(), "seed {seed} met less than this: {rare:?}");
    }
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
}
