//! What begins to move finds room in every budget of `fleet.yaml`, as the deploy branch shows it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use qonnect_schema::documents::placement::Cause;

use crate::world::World;
use crate::world::branch::Decision;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let moves = world.spec.revision().fleet.moves;
    let decisions = world.decisions();
    for pair in decisions.windows(2).filter(|pair| !pair[0].meddled && !pair[1].meddled) {
        let [before, after] = [&pair[0], &pair[1]];
        let mut used: BTreeMap<&str, u32> = BTreeMap::new();
        let mut began = Vec::new();
        for (application, name, placed) in after.components() {
            let Some(moving) = &placed.moving else { continue };
            let places =
                ["the fleet", application, placed.cluster.as_deref().unwrap_or_default(), &moving.from];
            for place in places {
                *used.entry(place).or_default() += 1;
            }
            if before.component(application, name).is_some_and(|before| before.moving.is_none()) {
                began.extend(places.into_iter().zip([
                    moves.in_flight.fleet,
                    moves.in_flight.application,
                    moves.in_flight.cluster,
                    moves.in_flight.cluster,
                ]));
            }
        }
        if let Some((place, limit)) = began.into_iter().find(|(place, limit)| used[place] > *limit) {
            return Err(format!("at {} ms {} moves, {limit} allowed: {place}", after.at, used[place]));
        }
    }
    decisions.iter().try_for_each(|decision| hourly(decision, moves.per_hour as usize))
}

/// What went somewhere within an hour to be better off, and is still there.
fn hourly(decision: &Decision<'_>, limit: usize) -> Result<(), String> {
    let arrivals = || decision.components().filter_map(|(_, _, placed)| placed.arrived);
    let newest = arrivals().map(|arrived| arrived.at).max();
    let hour_ago = newest.and_then(|newest| newest.checked_sub(SignedDuration::from_hours(1)).ok());
    let improved =
        arrivals().filter(|arrived| arrived.cause == Cause::Improved && Some(arrived.at) > hour_ago);
    match improved.count() {
        count if count > limit => {
            Err(format!("at {} ms {count} are better off within an hour, {limit} allowed", decision.at))
        }
        _ => Ok(()),
    }
}
