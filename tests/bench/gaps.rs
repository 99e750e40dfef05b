//! How far plans are from the best: to proved optima for small fleets, to the plan's own bound for larger ones.

use std::sync::Arc;

use qonnect_core::placement::Planner;
use qonnect_schema::documents::application::Strategy;
use qonnect_schema::revision::Revision;
use qonnect_tests::optima::{COUNT, Instance, WITHOUT_TRAFFIC};

use crate::figures::Figures;
use crate::scale;

/// Components and clusters of the larger ones.
const LARGE: [(usize, usize); 4] = [(60, 20), (120, 20), (200, 40), (300, 50)];

pub(crate) fn measure(figures: &mut Figures) {
    small(figures);
    large(figures);
}

fn small(figures: &mut Figures) {
    let names = [
        "gap_small_median_pct",
        "gap_small_worst_pct",
        "gap_borda_median_pct",
        "gap_greedy_median_pct",
        "gap_traffic_worst_pct",
    ];
    if !figures.wants(&names) {
        return;
    }
    let (mut ours, mut borda, mut greedy, mut traffic) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..COUNT {
        let instance = Instance::read(number);
        let (mut revision, snapshot) = instance.world();
        let gap = |mut planner: Planner, gaps: &mut Vec<f64>| {
            let plan = planner.plan();
            let mut placed = plan.applications.values().flat_map(|app| app.components.values());
            // A plan that leaves something out is cheaper and no better.
            let complete = placed.all(|component| component.cluster.is_some());
            let gap = instance.gap_pct(planner.quality().value);
            gaps.push(if complete { gap } else { f64::INFINITY });
        };
        if number >= WITHOUT_TRAFFIC {
            gap(Planner::new(&revision, &snapshot), &mut traffic);
            continue;
        }
        gap(Planner::new(&revision, &snapshot), &mut ours);
        gap(Planner::first(&revision, &snapshot), &mut greedy);
        ranked(&mut revision);
        gap(Planner::new(&revision, &snapshot), &mut borda);
    }
    figures.add(names[0], median(&mut ours), "%");
    figures.add(names[1], ours[ours.len() - 1], "%");
    figures.add(names[2], median(&mut borda), "%");
    figures.add(names[3], median(&mut greedy), "%");
    figures.add(names[4], traffic.into_iter().fold(0.0, f64::max), "%");
}

/// Without dependencies, where the bound is near the optimum.
fn large(figures: &mut Figures) {
    const NAME: &str = "gap_large_worst_pct";
    if !figures.wants(&[NAME]) {
        return;
    }
    let gaps = LARGE.map(|(components, clusters)| {
        let (mut revision, snapshot) = scale::world(components, clusters);
        for source in revision.applications.values_mut() {
            let spec = &mut Arc::make_mut(source).application.spec;
            spec.components.iter_mut().for_each(|component| component.depends_on.clear());
        }
        Planner::new(&revision, &snapshot).quality().gap_pct()
    });
    figures.add(NAME, gaps.into_iter().fold(0.0, f64::max), "%");
}

fn ranked(revision: &mut Revision) {
    for source in revision.applications.values_mut() {
        Arc::make_mut(source).application.spec.strategy = Strategy::Borda;
    }
}

fn median(gaps: &mut [f64]) -> f64 {
    gaps.sort_by(f64::total_cmp);
    gaps[gaps.len() / 2]
}
