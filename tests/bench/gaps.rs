//! How far plans are from the best: to proved optima for small fleets; for larger ones to the plan's own bound without
//! dependencies, and with them, where no bound is near, to the best that is known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use qonnect_core::placement::Planner;
use qonnect_schema::documents::application::Strategy;
use qonnect_schema::revision::Revision;
use qonnect_tests::optima::{Instance, Set};

use crate::figures::{Figures, ms};
use crate::scale;

/// Components and clusters of the larger ones.
const LARGE: [(usize, usize); 4] = [(60, 20), (120, 20), (200, 40), (300, 50)];

pub(crate) fn measure(figures: &mut Figures) {
    small(figures);
    large(figures);
    large_with_edges(figures);
}

fn small(figures: &mut Figures) {
    let names = [
        "gap_small_median_pct",
        "gap_small_worst_pct",
        "gap_borda_median_pct",
        "gap_greedy_median_pct",
        "gap_traffic_worst_pct",
        "gap_found_worst_pct",
        "small_slowest_ms",
    ];
    if !figures.wants(&names) {
        return;
    }
    let (mut ours, mut borda, mut greedy, mut traffic) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut slowest = Duration::ZERO;
    for (_, instance) in Set::Drawn.read() {
        let (mut revision, snapshot) = instance.world();
        let gap = |planner, gaps: &mut Vec<f64>| gaps.push(gap_pct(&instance, planner));
        let start = Instant::now();
        let mut planner = Planner::new(&revision, &snapshot);
        drop(planner.plan());
        slowest = slowest.max(start.elapsed());
        if instance.has_traffic() {
            gap(planner, &mut traffic);
            continue;
        }
        gap(planner, &mut ours);
        gap(Planner::first(&revision, &snapshot), &mut greedy);
        ranked(&mut revision);
        gap(Planner::new(&revision, &snapshot), &mut borda);
    }
    figures.add(names[0], median(&mut ours), "%");
    figures.add(names[1], ours[ours.len() - 1], "%");
    figures.add(names[2], median(&mut borda), "%");
    figures.add(names[3], median(&mut greedy), "%");
    figures.add(names[4], traffic.into_iter().fold(0.0, f64::max), "%");
    figures.add(names[5], worst(Set::Found), "%");
    figures.add(names[6], ms(slowest), "ms");
}

fn large_with_edges(figures: &mut Figures) {
    const NAME: &str = "gap_large_edges_worst_pct";
    if figures.wants(&[NAME]) {
        figures.add(NAME, worst(Set::Large), "%");
    }
}

fn worst(set: Set) -> f64 {
    let gaps = set.read().into_iter().map(|(_, instance)| {
        let (revision, snapshot) = instance.world();
        gap_pct(&instance, Planner::new(&revision, &snapshot))
    });
    gaps.fold(0.0, f64::max)
}

fn gap_pct(instance: &Instance, mut planner: Planner) -> f64 {
    Instance::value(&mut planner).map_or(f64::INFINITY, |value| instance.gap_pct(value))
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
