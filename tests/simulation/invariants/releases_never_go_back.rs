//! What an agent accepts never decreases, in epoch or in generation.

use crate::world::World;

pub(crate) fn check(world: &World) -> Result<(), String> {
    for agent in &world.agents {
        let older = agent.accepted.windows(2).find(|pair| {
            pair[1].epoch < pair[0].epoch
                || pair[1].generation < pair[0].generation
                || (pair[1].generation == pair[0].generation && pair[1].digest != pair[0].digest)
        });
        if let Some(pair) = older {
            return Err(format!("{}: {pair:?}", agent.cluster));
        }
    }
    Ok(())
}
