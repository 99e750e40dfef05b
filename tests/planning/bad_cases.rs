//! A search for instances on which plans are bad, by mutation of the frozen ones.
//!
//! The reference needs no solver: the same instance under other names is searched in another way, and the best of
//! several is a plan that exists. What `make soak` finds joins the set at once, as files in `tests/planning/optima/found`
//! with that value; `regenerate.py --prove` gives them their optima, and whoever ran it commits both.

use qonnect_core::placement::Planner;
use qonnect_tests::dice::Dice;
use qonnect_tests::optima::{Instance, Set};

/// How many mutations `make test` tries, which writes nothing; `make soak` sets more.
const ROUNDS: u64 = 8;

/// How many mutations are made of one instance, each of the worst so far.
const LINEAGE: u64 = 20;

/// How many of the worst are kept: each takes a part of a second in every later test.
const KEPT_MAX: usize = 8;

/// Under how many other names each is planned.
const NAMES: usize = 4;

/// What is written down, and what fails: a plan so far from one that is known to exist.
const KEPT_PCT: f64 = 3.0;
const WORST_PCT_MAX: f64 = 12.0;

#[test]
fn no_mutation_has_a_plan_far_above_one_that_exists() {
    let soak = std::env::var("QONNECT_BAD_CASES").ok();
    let rounds = soak.as_ref().map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let drawn = Set::Drawn.read();
    let mut dice = Dice(rounds);
    let mut found = Vec::new();
    for _ in 0..rounds.div_ceil(LINEAGE) {
        let (_, first) = &drawn[dice.pick(drawn.len())];
        found.extend(worst_of(first, rounds.min(LINEAGE), &mut dice));
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let overall = found.first().map_or(0.0, |(gap, _)| *gap);
    found.retain(|(gap, _)| *gap > KEPT_PCT);
    println!("worst of {rounds} mutations: {overall:.3} %, {} above {KEPT_PCT} %", found.len());
    if soak.is_some() {
        found.iter().take(KEPT_MAX).for_each(|(_, instance)| keep(instance));
    }
    assert!(overall <= WORST_PCT_MAX, "{overall} %");
}

/// The worst of some mutations, each made of the worst before it, with its gap.
fn worst_of(first: &Instance, mutations: u64, dice: &mut Dice) -> Option<(f64, Instance)> {
    let mut worst: Option<(f64, Instance)> = None;
    for _ in 0..mutations {
        let parent = worst.as_ref().map_or(first, |(_, instance)| instance);
        let child = parent.mutated(dice);
        let found = compared(child, dice);
        let gap = worst.as_ref().map_or(0.0, |(gap, _)| *gap);
        worst = found.filter(|found| found.0 >= gap).or(worst);
    }
    worst
}

/// By how many per cent the plan is above the best of the same under other names, which is noted as known; `None`
/// where not all find a place.
fn compared(mut instance: Instance, dice: &mut Dice) -> Option<(f64, Instance)> {
    let ours = value(&instance)?;
    let others = (0..NAMES).filter_map(|_| value(&instance.renamed(dice)));
    (instance.optimum, instance.known) = (None, Some(others.min()?.min(ours)));
    Some((instance.gap_pct(ours), instance))
}

fn value(instance: &Instance) -> Option<i64> {
    let (revision, snapshot) = instance.world();
    Instance::value(&mut Planner::new(&revision, &snapshot))
}

/// Under the next free number.
fn keep(instance: &Instance) {
    let folder = Set::Found.folder();
    std::fs::create_dir_all(&folder).unwrap();
    let known = Set::Found.read();
    let mut names = (0..).map(|number| format!("{number:03}"));
    let name = names.find(|name| known.iter().all(|(other, _)| other != name)).expect("numbers do not end");
    let text = serde_json::to_string(instance).unwrap() + "\n";
    std::fs::write(folder.join(name).with_extension("json"), text).unwrap();
}
