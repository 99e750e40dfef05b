//! Once a barrier stands, nobody of an older epoch publishes, as long as the server keeps what it has taken.

use crate::world::World;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let mut highest = None;
    for landing in &world.git.landings {
        let Some(commit) = landing.commit.as_ref().map(|id| &world.git.commits[id]) else {
            highest = None;
            continue;
        };
        if landing.meddled {
            // A server that goes back takes its barriers back.
            let history = world.git.history(landing.commit.as_deref());
            highest = history.filter_map(|(_, commit)| Some(commit.trailers()?.epoch)).max();
            continue;
        }
        let Some(trailers) = commit.trailers() else { continue };
        if highest.is_some_and(|highest| trailers.epoch < highest) {
            return Err(format!("{} after {highest:?}, at {} ms", trailers.epoch, landing.at));
        }
        highest = highest.max(Some(trailers.epoch));
    }
    Ok(())
}
