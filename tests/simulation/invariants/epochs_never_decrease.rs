//! Epochs never decrease along the deploy branch, wherever it has ever stood.

use crate::world::World;

pub(crate) fn check(world: &World) -> Result<(), String> {
    for landing in &world.git.landings {
        let history = world.git.history(landing.commit.as_deref());
        let epochs: Vec<_> =
            history.filter_map(|(id, commit)| Some((commit.trailers()?.epoch, id.to_owned()))).collect();
        // The tip comes first.
        if let Some(pair) = epochs.windows(2).find(|pair| pair[0].0 < pair[1].0) {
            return Err(format!("{pair:?}, at {} ms", landing.at));
        }
    }
    Ok(())
}
