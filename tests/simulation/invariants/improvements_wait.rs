//! What only would be better off has been where it is for its residence, and goes to no cluster that was lost lately.

use std::collections::BTreeMap;

use jiff::Timestamp;
use qonnect_core::knowledge::{Answer, Change};
use qonnect_schema::documents::placement::Cause;
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::units::Span;

use crate::world::World;

/// A word of a cluster stands in the log this much later than it was said, at most.
const LOGGED_WITHIN_MS: u64 = 60_000;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let moves = world.spec.revision().fleet.moves;
    let returns = returns(world);
    for pair in world.decisions().windows(2).filter(|pair| !pair[0].meddled && !pair[1].meddled) {
        for (application, name, placed) in pair[1].components() {
            let Some(was) = pair[0].component(application, name).filter(|was| was.moving.is_none()) else {
                continue;
            };
            let improved = placed.arrived.filter(|arrived| arrived.cause == Cause::Improved);
            let Some(decided) = improved.filter(|_| placed.moving.is_some()).map(|arrived| arrived.at) else {
                continue;
            };
            let what = || format!("{application}/{name} at {} ms", pair[1].at);
            if was.arrived.is_some_and(|arrived| is_within(arrived.at, decided, moves.residence)) {
                return Err(format!("{} has just come to {:?}", what(), was.cluster));
            }
            let to = placed.cluster.as_deref().unwrap_or_default();
            let wait = Span(moves.failback_after.0.saturating_sub(LOGGED_WITHIN_MS));
            let mut back = returns.get(to).into_iter().flatten();
            if back.any(|back| is_within(*back, decided, wait)) {
                return Err(format!("{} goes to {to}, which has just come back", what()));
            }
        }
    }
    Ok(())
}

/// Whether so long has not passed yet.
fn is_within(at: Timestamp, decided: Timestamp, span: Span) -> bool {
    let passed = decided.duration_since(at).as_millis();
    (0..i128::from(span.0)).contains(&passed)
}

/// When each cluster came back from being lost, as the log tells.
fn returns(world: &World) -> BTreeMap<String, Vec<Timestamp>> {
    let mut statuses: BTreeMap<&str, ClusterStatus> = BTreeMap::new();
    let mut returns: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    for entry in world.group.log.iter().filter(|entry| entry.answer == Answer::Done) {
        let edges: Vec<(&str, ClusterStatus)> = match &entry.command.change {
            Change::Status { clusters } => clusters.iter().map(|(name, to)| (name.as_str(), *to)).collect(),
            Change::Register { cluster, .. } => vec![(cluster, ClusterStatus::Ready)],
            _ => continue,
        };
        for (cluster, status) in edges {
            let before = statuses.insert(cluster, status);
            if (before, status) == (Some(ClusterStatus::Lost), ClusterStatus::Ready) {
                returns.entry(cluster.to_owned()).or_default().push(world.clock_at(entry.at));
            }
        }
    }
    returns
}
