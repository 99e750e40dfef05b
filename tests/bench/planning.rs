//! How long planning takes: a whole fleet from nothing, one changed application, one application after another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use qonnect_core::placement::{self, Planner, Touched};
use qonnect_schema::SnapshotSpec;
use qonnect_schema::documents::application::Strategy;
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::revision::Revision;
use qonnect_schema::validate;

use crate::figures::{Figures, median, ms};
use crate::fleet;
use crate::scale::{self, COMPONENTS_EACH, Dice};

pub(crate) fn measure(figures: &mut Figures) {
    bookinfos(figures);
    growth(figures);
    whole(figures);
    changes(figures);
}

/// One Bookinfo for every nine clusters like those of the example.
fn bookinfos(figures: &mut Figures) {
    for clusters in [9, 100, 1000] {
        let name = format!("plan_full_{clusters}_ms");
        if !figures.wants(&[&name]) {
            continue;
        }
        let tree = fleet::tree(&fleet::grown(clusters, clusters / 9));
        let revision = validate::repository(&tree, "", Timestamp::UNIX_EPOCH).revision;
        let ready = ClusterState { status: ClusterStatus::Ready, ..ClusterState::default() };
        let states = revision.clusters.keys().map(|name| (name.clone(), ready.clone())).collect();
        let snapshot = SnapshotSpec { clusters: states, ..SnapshotSpec::default() };
        let time = median(|| all_placed(&revision, &snapshot));
        figures.add(&name, ms(time), "ms");
    }
}

/// How planning grows with components, with a tenth as many clusters: 1 is linear.
fn growth(figures: &mut Figures) {
    if !figures.wants(&["plan_growth_exponent"]) {
        return;
    }
    let mut point = |components: usize| {
        let clusters = components / 10;
        let (revision, snapshot) = scale::world(components, clusters);
        let time = median(|| drop(placement::plan(&revision, &snapshot)));
        // The smallest are annealed as a whole, the others are not: the slope alone would hide it.
        figures.add(&format!("plan_growth_{components}x{clusters}_ms"), ms(time), "ms");
        ((components as f64).ln(), time.as_secs_f64().ln())
    };
    let points = [100, 1_000, 10_000].map(&mut point);
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let slope = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>()
        / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>();
    figures.add("plan_growth_exponent", slope, "");
}

/// 10,000 components on 1,000 clusters of ten nodes each, and the same with the ranks of the paper.
fn whole(figures: &mut Figures) {
    if !figures.wants(&["plan_full_10000x1000_ms", "plan_peak_rss_mib"]) {
        return;
    }
    let (mut revision, snapshot) = scale::world(10_000, 1_000);
    all_placed(&revision, &snapshot);
    // Before the baseline, which needs more.
    figures.add("plan_peak_rss_mib", peak_rss_mib(), "MiB");
    if !figures.wants(&["plan_full_10000x1000_ms"]) {
        return;
    }
    let time = median(|| drop(placement::plan(&revision, &snapshot)));
    for source in revision.applications.values_mut() {
        Arc::make_mut(source).application.spec.strategy = Strategy::Borda;
    }
    let start = Instant::now();
    drop(placement::plan(&revision, &snapshot));
    figures.add_compared("plan_full_10000x1000_ms", ms(time), "ms", ms(start.elapsed()));
}

/// A thousand changes of one application each on the loaded fleet, then five hundred new ones.
fn changes(figures: &mut Figures) {
    if !figures.wants(&["plan_incremental_p50_ms", "plan_incremental_p99_ms", "placements_per_s"]) {
        return;
    }
    let (mut revision, snapshot) = scale::world(10_000, 1_000);
    let mut planner = Planner::new(&revision, &snapshot);
    let mut dice = Dice(99);
    let names: Vec<String> = revision.applications.keys().cloned().collect();
    let mut change = |name: &str| {
        let source = Arc::new(scale::application(name, &mut dice));
        revision.applications.insert(name.to_owned(), source);
        let touched = Touched { applications: BTreeSet::from([name.to_owned()]), ..Touched::default() };
        let start = Instant::now();
        let planned = planner.replan(&revision, &snapshot, &touched);
        let time = start.elapsed();
        let own = planned[name].as_ref().expect("it is in the revision");
        assert!(own.components.values().all(|placed| placed.cluster.is_some()), "{name} has no place");
        time
    };
    let mut times: Vec<_> = (0..1000).map(|at| change(&names[at * 7 % names.len()])).collect();
    figures.add_percentiles("plan_incremental", &mut times);
    const NEW: usize = 500;
    let time: std::time::Duration = (0..NEW).map(|number| change(&format!("new-{number}"))).sum();
    figures.add("placements_per_s", (NEW * COMPONENTS_EACH) as f64 / time.as_secs_f64(), "1/s");
}

fn all_placed(revision: &Revision, snapshot: &SnapshotSpec) {
    let plan = placement::plan(revision, snapshot);
    let mut components = plan.applications.values().flat_map(|app| app.components.values());
    assert!(components.all(|component| component.cluster.is_some()), "not everything found a place");
}

/// What this process has needed at the most, fleet and applications included.
fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells it");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kib / 1024.0
}
