//! How far plans are from the best: seventy-two instances with the optima that HiGHS proved.
//!
//! `tests/planning/optima/regenerate.py` draws and solves them from the documented objective function, without
//! the planner's code: a plan below an optimum means that one of the two reads the function wrongly.

use qonnect_core::placement::{Planner, Quality};
use qonnect_tests::optima::{COUNT, Instance, WITHOUT_TRAFFIC};

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
        gaps.push((instance.gap_pct(value), number));
    }
    gaps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let median = gaps[gaps.len() / 2].0;
    let worst = |with_traffic: bool| {
        let of_these = gaps.iter().filter(|(_, number)| (*number >= WITHOUT_TRAFFIC) == with_traffic);
        of_these.map(|(gap, _)| *gap).fold(0.0, f64::max)
    };
    let (plain, traffic) = (worst(false), worst(true));
    println!("gap to the optimum: median {median:.3} %, worst {plain:.3} %, with traffic {traffic:.3} %");
    assert!(median <= MEDIAN_PCT_MAX, "median {median} %: {gaps:?}");
    assert!(incomplete.is_empty(), "not everything has a place: {incomplete:?}");
    assert!(plain.max(traffic) <= WORST_PCT_MAX, "worst {plain} %, with traffic {traffic} %: {gaps:?}");
}
