//! Constant input moves nothing, nor does one that trembles by less than a move costs, whoever leads.

use crate::world::branch::Decision;
use crate::world::{Phase, World};

pub(crate) fn check(world: &World) -> Result<(), String> {
    let decisions = world.decisions();
    for part in world.parts.iter().filter(|part| matches!(part.phase, Phase::Constant | Phase::Trembling)) {
        let within = |at: u64| part.from < at && at <= part.until;
        let mut before: Option<&Decision<'_>> = None;
        for decision in &decisions {
            let other = before.is_none_or(|before| places(before) != places(decision));
            if within(decision.at) && other {
                let (id, at) = (decision.id, decision.at);
                return Err(format!("{id} moves something at {at} ms: {:?}", decision.commit.message));
            }
            before = Some(decision);
        }
        let began = world.beginnings.iter().find(|began| within(began.at)).map(|began| &began.id);
        let ended = world.endings.iter().find(|ended| within(ended.at)).map(|ended| &ended.id);
        if let Some(id) = began.or(ended) {
            return Err(format!("{id} begins or ends while the input is {:?}", part.phase));
        }
    }
    Ok(())
}

fn places<'a>(decision: &'a Decision<'_>) -> Vec<(&'a str, &'a str, Option<&'a str>, bool)> {
    let components = decision.components();
    components.map(|(a, c, placed)| (a, c, placed.cluster.as_deref(), placed.moving.is_some())).collect()
}
