//! Faults and healing, by seed: leads, agents and a Git server in one thread, on a clock of their own.
//!
//! The real cores run with their seams played: [`qonnect_core::lead::Lead`], the Knowledge Base, its liveness, and
//! the agent's release check and state. The replicated log is one sequence that only a leader may extend, as
//! consensus promises. A run has a safety phase under faults and a liveness phase without; each invariant has a
//! file.
//!
//! ```text
//! QONNECT_SIMULATION_SEED=17  cargo test -p qonnect-tests --test simulation     one seed again
//! QONNECT_SIMULATION_SEEDS=10000 …                                              more of them
//! ```
//!
//! The same world is also played for days and weeks ([`seasons`]): agents and leads with nothing to do cost nothing
//! there, so that time passes from one thing that happens to the next.
//!
//! ```text
//! QONNECT_SIMULATION_FLEETS=4 QONNECT_SIMULATION_REGIONS=20 QONNECT_SIMULATION_CLUSTERS=10 QONNECT_SIMULATION_DAYS=13 …
//! ```

#![expect(clippy::unwrap_used, reason = "a case that panics has failed")]

use std::collections::BTreeMap;

mod invariants;
mod seasons;
mod world;

use world::World;
use world::faults::Fault;
use world::setting::Setting;

/// In `make test`; `make soak` sets more.
const SEEDS: u64 = 100;

/// A run that met fewer has shown little.
const FAULTS_MIN: usize = 8;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// What is left of a run: thousands of worlds would fill the memory.
struct Run {
    seed: u64,
    faults: BTreeMap<Fault, usize>,
    broken: Vec<String>,
    story: String,
    /// How often something began elsewhere after its lease had ended.
    after_lease: usize,
}

fn run(seed: u64) -> Run {
    let mut world = World::new(seed, Setting::minutes(seed));
    world.live();
    let broken = invariants::broken(&world, &invariants::OF_A_STORM);
    let after_lease = world.beginnings.iter().filter(|begun| begun.after_lease).count();
    Run { seed, story: world.story(), broken, faults: world.faults, after_lease }
}

/// Of a small machine; a run itself has one thread.
fn on_both_cores<T: Send>(seeds: Vec<u64>, run: fn(u64) -> T) -> Vec<T> {
    let (odd, even): (Vec<u64>, Vec<u64>) = seeds.into_iter().partition(|seed| *seed % 2 == 1);
    let all = |seeds: Vec<u64>| seeds.into_iter().map(run).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| all(odd));
        let mut runs = all(even);
        runs.extend(other.join().unwrap());
        runs
    })
}

#[test]
fn every_invariant_holds_through_faults_and_after_them() {
    let seeds: Vec<u64> = match number("QONNECT_SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("QONNECT_SIMULATION_SEEDS").unwrap_or(SEEDS)).collect(),
    };
    let mut met: BTreeMap<Fault, usize> = BTreeMap::new();
    let mut failed = Vec::new();
    let runs = on_both_cores(seeds.clone(), run);
    let after_lease: usize = runs.iter().map(|run| run.after_lease).sum();
    for Run { seed, faults, broken, story, .. } in runs {
        let number: usize = faults.values().sum();
        assert!(number >= FAULTS_MIN, "seed {seed} met {number} faults only: {faults:?}");
        for (fault, times) in faults {
            *met.entry(fault).or_default() += times;
        }
        if !broken.is_empty() {
            eprintln!("{story}");
            eprintln!("seed {seed}:\n  {}", broken.join("\n  "));
            eprintln!(
                "again: QONNECT_SIMULATION_SEED={seed} cargo test -p qonnect-tests --test simulation -- --nocapture"
            );
            failed.push(seed);
        }
    }
    println!("{} seeds, faults that happened: {met:?}; {after_lease} began after a lease", seeds.len());
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
    if seeds.len() > 1 {
        let missing: Vec<_> = Fault::OF_A_STORM.iter().filter(|fault| !met.contains_key(fault)).collect();
        assert!(missing.is_empty(), "faults that never happened: {missing:?}");
        assert!(after_lease > 0, "nothing began elsewhere after a lease");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let stories = [run(7).story, run(7).story];
    assert_eq!(stories[0], stories[1]);
}
