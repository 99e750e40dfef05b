//! What has a cluster keeps one, and what people never took out is never gone, whatever they break.

use crate::world::World;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let decisions = world.decisions();
    for pair in decisions.windows(2).filter(|pair| !pair[0].meddled && !pair[1].meddled) {
        let [before, after] = [&pair[0], &pair[1]];
        for (application, name, was) in before.components() {
            let Some(cluster) = was.cluster.as_deref() else { continue };
            if world.spec.was_taken_out(application) {
                continue;
            }
            let is = after.component(application, name).and_then(|placed| placed.cluster.as_deref());
            if is.is_none() {
                let (id, at) = (after.id, after.at);
                return Err(format!(
                    "{application}/{name} was on {cluster} and is nowhere in {id}, at {at} ms"
                ));
            }
        }
    }
    Ok(())
}
