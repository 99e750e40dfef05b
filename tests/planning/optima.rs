//! How far plans are from the best: of small instances with the optima that HiGHS proved, and of large ones with the best
//! that is known.
//!
//! `tests/planning/optima/regenerate.py` draws and solves them from the documented objective function, without
//! the planner's code: a plan below an optimum means that one of the two reads the function wrongly.

use qonnect_core::placement::{Planner, Quality};
use qonnect_tests::optima::{Instance, Set};

/// Per cent above the optimum: of the median, and of the worst, which is one where what is full hides a way round.
const MEDIAN_PCT_MAX: f64 = 0.5;
const WORST_PCT_MAX: f64 = 3.0;

/// What the search for bad cases has found may be worse, but not without end.
const FOUND_PCT_MAX: f64 = 12.0;

/// Above the best that is known, which only long runs come by.
const LARGE_PCT_MAX: f64 = 1.0;

/// By how many per cent the plan of an instance is above the best.
fn gap_pct(name: &str, instance: &Instance) -> f64 {
    let (revision, snapshot) = instance.world();
    let mut planner = Planner::new(&revision, &snapshot);
    let value = Instance::value(&mut planner).unwrap_or_else(|| panic!("{name}: not everything has a place"));
    let Quality { bound, .. } = planner.quality();
    assert!(bound <= instance.best(), "{name}: the bound {bound} is above a plan that exists");
    if let Some(optimum) = instance.optimum {
        // HiGHS takes a value for whole within a tolerance.
        assert!(value >= optimum - 20, "{name}: {value} is below the optimum {optimum}");
    }
    instance.gap_pct(value)
}

/// The gaps of some instances, the worst last.
fn gaps<'i>(instances: &[&'i (String, Instance)]) -> Vec<(f64, &'i str)> {
    let gap = |(name, instance): &&'i (String, Instance)| (gap_pct(name, instance), name.as_str());
    let mut gaps: Vec<_> = instances.iter().map(gap).collect();
    gaps.sort_by(|a, b| a.0.total_cmp(&b.0));
    gaps
}

#[test]
fn plans_are_near_the_optimum_and_no_bound_is_above_it() {
    let drawn = Set::Drawn.read();
    assert!(drawn.iter().all(|(_, instance)| instance.optimum.is_some()), "one is not proved");
    let (traffic, plain): (Vec<_>, Vec<_>) = drawn.iter().partition(|(_, instance)| instance.has_traffic());
    assert!(plain.len() >= 60 && traffic.len() >= 12, "{} and {}", plain.len(), traffic.len());
    let (plain, traffic) = (gaps(&plain), gaps(&traffic));
    let (median, worst) = (plain[plain.len() / 2].0, [&plain, &traffic].map(|gaps| gaps[gaps.len() - 1].0));
    println!(
        "gap to the optimum: median {median:.3} %, worst {:.3} %, with traffic {:.3} %",
        worst[0], worst[1]
    );
    assert!(median <= MEDIAN_PCT_MAX, "median {median} %: {plain:?}");
    assert!(worst[0].max(worst[1]) <= WORST_PCT_MAX, "{plain:?}, with traffic {traffic:?}");
}

#[test]
fn plans_of_what_was_found_to_be_bad_are_not_far_above_the_best() {
    for (name, instance) in Set::Found.read() {
        let gap = gap_pct(&name, &instance);
        assert!(gap <= FOUND_PCT_MAX, "found/{name}: {gap} %");
    }
}

/// With `QONNECT_LONG_RUN` long runs of the planner look for better plans of the large ones first, and write them down.
fn look_longer() {
    const SEEDS: u64 = 4;
    for (name, mut instance) in Set::Large.read() {
        let (revision, snapshot) = instance.world();
        let values = (0..SEEDS).map(|seed| Instance::value(&mut Planner::long(&revision, &snapshot, seed)));
        let least = values.flatten().chain(instance.known).min();
        println!("{name}: {:?} was known, {least:?} is", instance.known);
        if instance.optimum.is_none() && least != instance.known {
            instance.known = least;
            let text = serde_json::to_string(&instance).unwrap() + "\n";
            std::fs::write(Set::Large.folder().join(name).with_extension("json"), text).unwrap();
        }
    }
}

#[test]
fn large_plans_are_near_the_best_that_is_known() {
    if std::env::var_os("QONNECT_LONG_RUN").is_some() {
        look_longer();
    }
    let large = Set::Large.read();
    assert!(large.len() >= 4, "{}", large.len());
    for (name, instance) in large {
        let gap = gap_pct(&name, &instance);
        println!("{name}: {gap:.3} % above the best that is known");
        assert!(gap <= LARGE_PCT_MAX, "{name}: {gap} %");
    }
}
