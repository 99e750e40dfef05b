//! A month of noisy prices: how much moves, and what it costs not to follow every twitch.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use qonnect_core::placement;
use qonnect_core::rollout::{self, World};
use qonnect_schema::documents::fleet::{InFlight, Moves};
use qonnect_schema::documents::placement::PlacementSpec;
use qonnect_schema::documents::signals::{Price, SignalsSpec};
use qonnect_schema::revision::Revision;
use qonnect_schema::units::{Money, Span};
use qonnect_schema::{Placement, Signals, SnapshotSpec};

use crate::figures::Figures;
use crate::scale::{self, Dice};

const HOURS: usize = 30 * 24;
const COMPONENTS: usize = 50;
const CLUSTERS: usize = 9;

pub(crate) fn measure(figures: &mut Figures) {
    if !figures.wants(&["noisy_month_moves", "noisy_month_regret_pct"]) {
        return;
    }
    let calm = month(Moves::default());
    let restless = month(Moves {
        price: 0.0,
        residence: Span(0),
        per_hour: u32::MAX,
        in_flight: InFlight { fleet: u32::MAX, cluster: u32::MAX, application: u32::MAX },
        ..Moves::default()
    });
    figures.add_compared("noisy_month_moves", calm.moves as f64, "", restless.moves as f64);
    // Whoever follows every price at once, and moves for nothing, pays the least.
    let regret = (calm.cost / restless.cost - 1.0) * 100.0;
    figures.add("noisy_month_regret_pct", regret, "%");
}

struct Month {
    moves: usize,
    /// The objective function, summed over the hours, without what moves add to it.
    cost: f64,
}

fn month(moves: Moves) -> Month {
    let (mut revision, mut snapshot) = scale::world(COMPONENTS, CLUSTERS);
    for source in revision.applications.values_mut() {
        let spec = &mut std::sync::Arc::make_mut(source).application.spec;
        spec.objectives =
            qonnect_schema::documents::application::Objectives { cost: 1.0, ..Default::default() };
    }
    revision.fleet.moves = moves;
    snapshot.now = "2026-01-01T00:00:00Z".parse().expect("it is a time");
    let mut dice = Dice(11);
    let mut levels: BTreeMap<String, f64> =
        revision.clusters.keys().map(|name| (name.clone(), 1.0)).collect();
    let mut month = Month { moves: 0, cost: 0.0 };
    for _ in 0..HOURS {
        // A walk around one, with noise of a tenth on top.
        for level in levels.values_mut() {
            let step = (dice.roll(2_001) as f64 / 1_000.0 - 1.0) * 0.05;
            *level = (*level + step + (1.0 - *level) * 0.02).clamp(0.2, 3.0);
        }
        price(&mut revision, &levels, snapshot.now, &mut dice);
        month.moves += hour(&revision, &mut snapshot);
        month.cost += value(&revision, &snapshot);
        snapshot.now = snapshot.now.checked_add(SignedDuration::from_hours(1)).expect("it is a time");
    }
    month
}

fn price(revision: &mut Revision, levels: &BTreeMap<String, f64>, now: Timestamp, dice: &mut Dice) {
    let noisy = |(cluster, level): (&String, &f64)| {
        let noise = 1.0 + (dice.roll(2_001) as f64 / 1_000.0 - 1.0) * 0.1;
        Price { cluster: cluster.clone(), price: Money(level * noise) }
    };
    let spec = SignalsSpec {
        source: "the bench".into(),
        time: now,
        prices: levels.iter().map(noisy).collect(),
        ..SignalsSpec::default()
    };
    revision.signals.insert("signals/prices.yaml".into(), Signals::new("prices", spec));
}

/// Plans, and lets every move that starts end within the hour.
fn hour(revision: &Revision, snapshot: &mut SnapshotSpec) -> usize {
    let plan = placement::plan(revision, snapshot);
    let world = World { revision, plan: &plan, snapshot, releases: &BTreeMap::new() };
    let mut moves = 0;
    let mut placements = BTreeMap::new();
    for (name, components) in rollout::roll_out(&world) {
        let source = &revision.applications[&name];
        let settled = components.into_iter().map(|(component, progress)| {
            let mut placement = progress.placement;
            moves += usize::from(placement.moving.take().is_some());
            (component, placement)
        });
        let components = settled.collect();
        let spec = PlacementSpec { asked: rollout::asked(source), components, ..PlacementSpec::default() };
        placements.insert(name.clone(), Placement::new(name, spec));
    }
    snapshot.placements = placements;
    moves
}

/// What stands adds to the objective function at the prices of now.
fn value(revision: &Revision, snapshot: &SnapshotSpec) -> f64 {
    // Nothing is better off elsewhere than where a component stays whose every move costs more than it can gain.
    let mut still = revision.clone();
    still.fleet.moves.price = 1e6;
    let plan = placement::plan(&still, snapshot);
    let components = plan.applications.values().flat_map(|plan| plan.components.values());
    let scores = components.filter_map(|component| component.score.as_ref());
    scores.map(|score| score.total as f64 / 1e6).sum()
}
