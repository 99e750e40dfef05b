//! Nothing fails over from a cluster that nobody had to miss: one that only flaps keeps what it has.
//!
//! Each failover is judged where the branch shows it first: what people take back is brought back as it was decided.

use std::collections::BTreeSet;

use qonnect_schema::documents::placement::Cause;

use crate::world::World;

/// From the loss to the commit: a Git server that hangs, and what came before it in line.
const PUBLISHED_WITHIN_MS: u64 = 20 * 60_000;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let lost_after = world.spec.revision().fleet.lease.lost_after.0;
    let decisions = world.decisions();
    let mut seen = BTreeSet::new();
    for (position, after) in decisions.iter().enumerate() {
        let before = position.checked_sub(1).map(|before| &decisions[before]);
        let before = before.filter(|before| !before.meddled && !after.meddled);
        for (application, name, placed) in after.components() {
            let failed_over = placed.arrived.filter(|arrived| arrived.cause == Cause::FailedOver);
            if failed_over.is_none_or(|arrived| !seen.insert((application, name, arrived.at))) {
                continue;
            }
            let was = before.and_then(|before| before.component(application, name));
            let Some(from) = was.and_then(|was| was.cluster.as_ref()) else { continue };
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
