//! What leaves a cluster of its own accord runs elsewhere: on `minAvailable` other clusters where it goes before it
//! comes, on one other where it comes before it goes.
//!
//! The clusters tell who ran it at the moment of each deletion, Git whether it was a move. What its own cluster had said
//! that it was not Ready there, for it could not be applied say, nobody waits for.

use qonnect_core::knowledge::Knowledge;
use qonnect_core::rollout::copies;
use qonnect_schema::documents::application::MoveStrategy;
use qonnect_schema::documents::placement::{ComponentPlacement, MovePhase};
use qonnect_schema::documents::snapshot::Health;
use qonnect_schema::layout::whole;

use crate::world::World;
use crate::world::agent::Ending;
use crate::world::branch::Decision;

/// Whoever went off later than so long before the decision counted as Ready: `lostAfter`, a batch, a push.
const NOTICED_AFTER_MS: u64 = 120_000;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let decisions = world.decisions();
    let mut moves: Vec<Moved<'_>> =
        world.endings.iter().filter_map(|ending| moved(world, &decisions, ending)).collect();
    // In the order of what they were planned on: one replay of the log serves all.
    moves.sort_by_key(|moved| moved.planned_on);
    let (mut known, mut log) = (Knowledge::default(), (1..).zip(&world.group.log).peekable());
    for Moved { ending, part, least, left, leaves, planned_on } in moves {
        while let Some((index, entry)) = log.next_if(|(index, _)| *index <= planned_on) {
            known.apply(index, &entry.command);
        }
        if leaves && was_down(&known, ending, part) {
            continue;
        }
        let runs = |off_since: &Option<u64>| off_since.is_none_or(|since| since + NOTICED_AFTER_MS > left);
        let others = ending.others.iter().filter(|(_, off_since)| runs(off_since)).count();
        if others < least {
            let Ending { at, cluster, id, others } = ending;
            return Err(format!(
                "at {at} ms {id} leaves {cluster}, which was decided at {left} ms; others: {others:?}"
            ));
        }
    }
    Ok(())
}

/// What ended by a move.
struct Moved<'a> {
    ending: &'a Ending,
    part: &'a str,
    /// On how many others it must run.
    least: usize,
    /// When it was decided that it leaves.
    left: u64,
    /// Rather than that the move goes elsewhere.
    leaves: bool,
    /// The index of the log that the decision saw.
    planned_on: u64,
}

fn moved<'a>(world: &World, decisions: &'a [Decision<'_>], ending: &'a Ending) -> Option<Moved<'a>> {
    let (application, name) = (ending.id.namespace.as_str(), ending.id.name.as_str());
    let mut components = world.spec.source(application)?.application.spec.components.iter();
    let component = components.find(|component| component.name == name)?;
    let least = match component.strategy {
        MoveStrategy::MakeBeforeBreak => 1,
        MoveStrategy::Recreate => component.min_available.unwrap_or_default() as usize,
    };
    let there = |placed: &ComponentPlacement| {
        copies(placed).is_some_and(|copies| copies.on.contains(&ending.cluster))
    };
    let until = decisions.partition_point(|decision| decision.at <= ending.at);
    let pair = decisions[..until].windows(2).rev().find(|pair| {
        let had = |decision: &Decision<'_>| {
            decision
                .components()
                .any(|(a, part, placed)| a == application && whole(part) == name && there(placed))
        };
        had(&pair[0]) && !had(&pair[1])
    })?;
    let [before, after] = [&pair[0], &pair[1]];
    if before.meddled || after.meddled {
        return None;
    }
    let (_, part, was) = before
        .components()
        .find(|(a, part, placed)| *a == application && whole(part) == name && there(placed))?;
    let is = after.component(application, part)?;
    let leaves = is.moving.as_ref().is_some_and(|moving| moving.phase == MovePhase::Leaving);
    let planned_on = after.commit.trailers().map_or(0, |trailers| trailers.kb_index);
    let left = after.at;
    (leaves || was.moving.is_some()).then_some(Moved { ending, part, least, left, leaves, planned_on })
}

/// Whether it was known that the part works on, or failed, at something there.
fn was_down(known: &Knowledge, ending: &Ending, part: &str) -> bool {
    let mut statuses = known.clusters.get(&ending.cluster).into_iter().flat_map(|state| &state.components);
    statuses.any(|status| {
        status.application == ending.id.namespace
            && status.component == part
            && matches!(status.health, Health::Reconciling | Health::Stalled)
    })
}
