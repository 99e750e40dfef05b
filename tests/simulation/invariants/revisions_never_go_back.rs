//! People only add commits here: a later decision carries out the same revision as the one before, or a newer one.

use crate::world::World;

pub(crate) fn check(world: &World) -> Result<(), String> {
    for landing in &world.git.landings {
        let history = world.git.history(landing.commit.as_deref());
        let revisions: Vec<_> = history
            .filter_map(|(id, commit)| {
                let revision = commit.trailers()?.revision;
                Some((revision.strip_prefix("spec-")?.parse::<u32>().ok()?, id.to_owned()))
            })
            .collect();
        // The tip comes first.
        if let Some(pair) = revisions.windows(2).find(|pair| pair[0].0 < pair[1].0) {
            return Err(format!("{pair:?}, at {} ms", landing.at));
        }
    }
    Ok(())
}
