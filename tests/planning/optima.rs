//! How far plans are from the best: sixty instances with the optima that HiGHS proved.
//!
//! `tests/planning/optima/regenerate.py` draws and solves them from the documented objective function, without
//! the planner's code: a plan below an optimum means that one of the two reads the function wrongly.

use qonnect_core::placement::{Planner, Quality};
use qonnect_tests::optima::{COUNT, Instance};

/// Per cent above the optimum: of the median, and of the worst, which is one where what is full hides a way round.
const MEDIAN_PCT_MAX: f64 = 0.5;
const WORST_PCT_MAX: f64 = 3.0;

#[test]
fn plans_are_near_the_optimum_and_no_bound_is_above_it() {
    let (mut gaps, mut incomplete) = (Vec::new(), Vec::new());
    for number in 0..COUNT {
        let instance = Instance::read(number);
        let (revision, snapshot) = instance.world();
        let mut planner = Planner::new(&revision, &snapshot);
        let plan = planner.plan();
        let mut components = plan.applications.values().flat_map(|app| app.components.values());
        if !components.all(|placed| placed.cluster.is_some()) {
            incomplete.push(number);
            continue;
        }
        let Quality { value, bound } = planner.quality();
        let optimum = instance.optimum;
        assert!(bound <= optimum, "{number}: the bound {bound} is above the optimum {optimum}");
        // HiGHS takes a value for whole within a tolerance.
        assert!(value >= optimum - 20, "{number}: {value} is below the optimum {optimum}");
        gaps.push(instance.gap_pct(value));
    }
    gaps.sort_by(f64::total_cmp);
    let (median, worst) = (gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    println!("gap to the optimum: median {median:.3} %, worst {worst:.3} %, without a place: {incomplete:?}");
    assert!(median <= MEDIAN_PCT_MAX, "median {median} %: {gaps:?}");
    assert!(incomplete.is_empty(), "not everything has a place: {incomplete:?}");
    assert!(worst <= WORST_PCT_MAX, "worst {worst} %: {gaps:?}");
}
