//! When the clock alone changes something.

use jiff::Timestamp;
use qonnect_schema::SnapshotSpec;
use qonnect_schema::documents::placement::ComponentPlacement;
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::revision::Revision;

use super::budget::{after, hour_after};
use crate::placement::{maintenance, patience_ends};

/// The next such moment: a phase ends, a move may be tried again, something has stayed or failed for long enough, a
/// cluster has been back or lost for long enough, its maintenance begins or ends.
pub fn next_deadline(snapshot: &SnapshotSpec, revision: &Revision) -> Option<Timestamp> {
    let moves = &revision.fleet.moves;
    let components = || {
        snapshot.placements.iter().flat_map(|(name, placement)| {
            placement.spec.components.values().map(move |component| (name.as_str(), component))
        })
    };
    let of_components = components().flat_map(|(name, component)| {
        let phase = component.moving.as_ref().map(|moving| moving.deadline);
        let again = component.gave_up.as_ref().map(|gave_up| gave_up.until);
        let stayed = component.arrived.map(|arrived| after(arrived.at, moves.residence));
        [phase, again, stayed, given_up(snapshot, revision, name, component)]
    });
    let improved = components().flat_map(|(_, component)| &component.improved);
    let hour_later = improved.map(|at| Some(hour_after(*at)));
    let of_clusters = snapshot.clusters.values().flat_map(|state: &ClusterState| {
        let failing = state.failing.values().map(|since| Some(patience_ends(*since, moves)));
        failing.chain([state.back.map(|back| after(back, moves.failback_after))])
    });
    let of_fleet = maintenance::next_change(snapshot.now, &revision.fleet);
    let all = of_components.chain(hour_later).chain(of_clusters).chain([of_fleet]).flatten();
    all.filter(|at| *at > snapshot.now).min()
}

/// When the application no longer waits for its lost cluster.
fn given_up(
    snapshot: &SnapshotSpec,
    revision: &Revision,
    application: &str,
    component: &ComponentPlacement,
) -> Option<Timestamp> {
    let wait = revision.applications.get(application)?.application.spec.failover_after?;
    let state = snapshot.clusters.get(component.cluster.as_deref()?)?;
    (state.status == ClusterStatus::Lost).then(|| after(state.since, wait))
}
