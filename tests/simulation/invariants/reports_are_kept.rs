//! A report that an agent was acknowledged stays, until a later one replaces it or every disk is lost.

use qonnect_core::knowledge::{Change, Knowledge};

use crate::world::World;

pub(crate) fn check(world: &World) -> Result<(), String> {
    // As after a restart: the log alone, from its beginning.
    let mut knowledge = Knowledge::default();
    for (at, entry) in world.group.log.iter().enumerate() {
        let answer = knowledge.apply(at as u64 + 1, &entry.command);
        if answer != entry.answer {
            return Err(format!("entry {at} was answered {:?} and is now {answer:?}", entry.answer));
        }
    }
    if knowledge.hash() != world.group.knowledge.hash() {
        return Err("the same log has given another state".into());
    }
    let since = world.group.rebuilt.unwrap_or_default();
    for agent in &world.agents {
        let forgotten = |change: &Change| matches!(change, Change::Forget { clusters } if clusters.contains(&agent.cluster));
        let forgotten = world.group.log.iter().rposition(|entry| forgotten(&entry.command.change));
        let since = forgotten.map_or(since, |at| world.group.log[at].at.max(since));
        let Some(&(at, incarnation, seq)) = agent.acknowledged.iter().rev().find(|(at, ..)| *at > since)
        else {
            continue;
        };
        let known = knowledge.clusters.get(&agent.cluster).map(|state| (state.incarnation, state.seq));
        if known.is_none_or(|known| known < (incarnation, seq)) {
            return Err(format!(
                "{} was acknowledged report {incarnation}/{seq} at {at} ms, and {known:?} is known",
                agent.cluster
            ));
        }
    }
    Ok(())
}
