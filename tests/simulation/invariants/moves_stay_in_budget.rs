//! What begins to move finds room in every budget of `fleet.yaml`, as the deploy branch shows it: beside what is under
//! way, and beside what began within the hour before to be better off, whatever became of that. What turns to another
//! cluster on the way finds room there.
//!
//! What moves together and is larger than a budget begins where nothing else uses it. A Git server that went back to an
//! older backup has forgotten what began since, as a person can by hand: from there on it is counted anew. What people
//! take out of the repository takes its share of the hour along.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use qonnect_schema::documents::application::MoveStrategy;
use qonnect_schema::documents::placement::{Cause, ComponentPlacement};
use qonnect_schema::layout::whole;

use crate::world::World;
use crate::world::branch::Decision;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Application, name and where it is.
type Moving<'a> = (&'a str, &'a str, &'a ComponentPlacement);

pub(crate) fn check(world: &World) -> Result<(), String> {
    let moves = world.spec.revision().fleet.moves;
    // When what began, to be better off.
    let mut hour: Vec<(Timestamp, String, String)> = Vec::new();
    for pair in world.decisions().windows(2) {
        let [before, after] = [&pair[0], &pair[1]];
        if before.meddled || after.meddled {
            hour.clear();
            continue;
        }
        let moving = after.components().filter(|(_, _, placed)| placed.moving.is_some());
        let (began, others): (Vec<_>, Vec<_>) = moving.partition(|moving| begins(before, moving));
        let limits = |(application, _, placed): &Moving<'_>| {
            let (to, from) =
                (placed.cluster.clone(), placed.moving.as_ref().map(|moving| moving.from.clone()));
            let clusters = [to, from].into_iter().flatten().map(|one| (one, moves.in_flight.cluster));
            let application = (format!("application {application}"), moves.in_flight.application);
            let all = [("the fleet".to_owned(), moves.in_flight.fleet), application];
            all.into_iter().chain(clusters).collect::<Vec<_>>()
        };
        let mut used: BTreeMap<String, (u32, usize, Vec<&Moving<'_>>)> = BTreeMap::new();
        for (moving, begins) in
            began.iter().map(|one| (one, true)).chain(others.iter().map(|one| (one, false)))
        {
            for (place, limit) in limits(moving) {
                let begins = begins || turns_to(before, moving, &place);
                let (known, under_way, new) = used.entry(place).or_default();
                *known = limit;
                match begins {
                    true => new.push(moving),
                    false => *under_way += 1,
                }
            }
        }
        for (place, (limit, under_way, new)) in used {
            fits(world, under_way, &new, limit)
                .map_err(|why| format!("at {} ms, {place}: {why}", after.at))?;
        }
        let improved: Vec<&Moving<'_>> = began.iter().filter(|(_, _, placed)| improves(placed)).collect();
        hour.retain(|(_, application, name)| after.component(application, name).is_some());
        let Some(decided) = improved.iter().filter_map(|(_, _, placed)| Some(placed.arrived?.at)).max()
        else {
            continue;
        };
        hour.retain(|(at, _, _)| at.duration_until(decided) < HOUR);
        fits(world, hour.len(), &improved, moves.per_hour)
            .map_err(|why| format!("at {} ms, to be better off within an hour: {why}", after.at))?;
        hour.extend(
            improved.iter().map(|(application, name, _)| (decided, (*application).into(), (*name).into())),
        );
    }
    Ok(())
}

fn begins(before: &Decision<'_>, (application, name, _): &Moving<'_>) -> bool {
    before.component(application, name).is_some_and(|before| before.moving.is_none())
}

/// Whether what is under way goes there, and went elsewhere before; on its way back it has been counted there already.
fn turns_to(before: &Decision<'_>, (application, name, placed): &Moving<'_>, cluster: &str) -> bool {
    placed.cluster.as_deref() == Some(cluster)
        && before.component(application, name).is_some_and(|before| {
            let from = before.moving.as_ref().map(|moving| moving.from.as_str());
            from.is_some() && from != Some(cluster) && before.cluster != placed.cluster
        })
}

fn improves(placed: &ComponentPlacement) -> bool {
    placed.arrived.is_some_and(|arrived| arrived.cause == Cause::Improved)
}

fn fits(world: &World, used: usize, new: &[&Moving<'_>], limit: u32) -> Result<(), String> {
    let room = used + new.len() <= limit as usize;
    match new.is_empty() || room || (used == 0 && go_together(world, new)) {
        true => Ok(()),
        false => Err(format!("{} begin beside {used}, {limit} allowed", new.len())),
    }
}

/// Whether they are one group: wishes of one application, or a single one.
fn go_together(world: &World, new: &[&Moving<'_>]) -> bool {
    let cause = |placed: &ComponentPlacement| placed.arrived.map(|arrived| arrived.cause);
    let (application, _, first) = new[0];
    let waits = matches!(cause(first), Some(Cause::Improved | Cause::Asked));
    let mut others = new[1..].iter();
    let alike = others.all(|(other, _, placed)| other == application && cause(placed) == cause(first));
    new.len() == 1 || (waits && alike && !new.iter().any(|(_, name, _)| is_kept(world, application, name)))
}

/// What must stay available goes by itself.
fn is_kept(world: &World, application: &str, name: &str) -> bool {
    let source = world.spec.source(application);
    let mut components = source.into_iter().flat_map(|source| &source.application.spec.components);
    components.any(|one| {
        one.name == whole(name) && one.min_available.is_some() && one.strategy == MoveStrategy::Recreate
    })
}
