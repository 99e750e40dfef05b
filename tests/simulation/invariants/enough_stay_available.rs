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
    for ending in &world.endings {
        let Some((least, left)) = moved(world, &decisions, ending) else { continue };
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

/// On how many others it must run, and when it was decided that it leaves; `None` if it was no move.
fn moved(world: &World, decisions: &[Decision<'_>], ending: &Ending) -> Option<(usize, u64)> {
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
    if leaves && was_down(world, after, application, part, &ending.cluster) {
        return None;
    }
    (leaves || was.moving.is_some()).then_some((least, after.at))
}

/// Whether what the decision was planned on had it that the part works on, or failed, at something there.
fn was_down(world: &World, decision: &Decision<'_>, application: &str, part: &str, cluster: &str) -> bool {
    let planned_on = decision.commit.trailers().map_or(0, |trailers| trailers.kb_index);
    let mut known = Knowledge::default();
    for (index, entry) in (1..=planned_on).zip(&world.group.log) {
        known.apply(index, &entry.command);
    }
    let statuses = known.clusters.get(cluster).map(|state| state.components.clone()).unwrap_or_default();
    statuses.iter().any(|status| {
        status.application == application
            && status.component == part
            && matches!(status.health, Health::Reconciling | Health::Stalled)
    })
}
