//! What must not run twice never does, whichever clusters are silent.
//!
//! Two things are left to people: an application that was taken out of the repository and put back counts as new,
//! and leads that have lost every disk know nothing of what runs.

use crate::world::World;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let stores =
        world.beginnings.iter().filter(|begun| begun.id.kind == "Deployment" && begun.id.name == "store");
    for begun in stores.filter(|begun| begun.on.len() > 1 && !begun.rebuilt) {
        let application = &begun.id.namespace;
        if !world.spec.was_taken_out(application) {
            let (on, at) = (begun.on.join(" and "), begun.at);
            return Err(format!(
                "at {at} ms {application}/store begins on {} and runs on {on}",
                begun.cluster
            ));
        }
    }
    Ok(())
}
