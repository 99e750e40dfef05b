//! Nothing fails over from a cluster that nobody had to miss: one that only flaps keeps what it has.

use qonnect_schema::documents::placement::Cause;

use crate::world::World;

/// From the loss to the commit: a Git server that hangs, and what came before it in line.
const PUBLISHED_WITHIN_MS: u64 = 20 * 60_000;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let lost_after = world.spec.revision().fleet.lease.lost_after.0;
    let decisions = world.decisions();
    for pair in decisions.windows(2).filter(|pair| !pair[0].meddled && !pair[1].meddled) {
        let [before, after] = [&pair[0], &pair[1]];
        for (application, name, placed) in after.components() {
            let Some(was) = before.component(application, name) else { continue };
            let fresh = placed.arrived.filter(|arrived| Some(*arrived) != was.arrived);
            let Some(from) =
                was.cluster.as_ref().filter(|_| fresh.is_some_and(|a| a.cause == Cause::FailedOver))
            else {
                continue;
            };
            let agent = world.agents.iter().find(|agent| agent.cluster == *from);
            let silent = agent.is_some_and(|agent| {
                let mut silences = agent.silences.iter();
                silences.any(|silence| {
                    silence.from + lost_after <= after.at.min(silence.until)
                        && after.at <= silence.until + PUBLISHED_WITHIN_MS
                })
            });
            if !silent {
                let (id, at) = (after.id, after.at);
                return Err(format!(
                    "{application}/{name} leaves {from} in {id}, at {at} ms: it was never silent"
                ));
            }
        }
    }
    Ok(())
}
