//! What counts as a failover leaves a cluster that was lost, was fenced or had left the fleet, and none while the brake
//! is on.

use std::collections::BTreeMap;

use qonnect_core::knowledge::{Answer, Change, Knowledge};
use qonnect_schema::documents::placement::Cause;
use qonnect_schema::documents::snapshot::{Brake, ClusterStatus};

use crate::world::World;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let mut knowledge = Knowledge::default();
    let mut before: BTreeMap<u64, Knowledge> = BTreeMap::new();
    for (position, entry) in world.group.log.iter().enumerate() {
        let index = position as u64 + 1;
        knowledge.apply(index, &entry.command);
        before.insert(index, knowledge.clone());
        let Change::Intent(intent) = &entry.command.change else { continue };
        if entry.answer != Answer::Done {
            continue;
        }
        // What it was planned on.
        let Some(known) = before.get(&intent.kb_index) else { continue };
        for (application, placement) in &intent.placements {
            let old = known.placements.get(application).map(|placement| &placement.spec.components);
            for (component, placed) in placement.iter().flat_map(|placement| &placement.spec.components) {
                let old = old.and_then(|old| old.get(component));
                let fresh =
                    placed.arrived.filter(|arrived| Some(*arrived) != old.and_then(|old| old.arrived));
                if fresh.is_none_or(|arrived| arrived.cause != Cause::FailedOver) {
                    continue;
                }
                let what = format!("{application}/{component} in {}, at {} ms", intent.commit, entry.at);
                if known.brake.as_deref().is_some_and(Brake::is_engaged) {
                    return Err(format!("{what}: the brake is on"));
                }
                let from = old.and_then(|old| old.cluster.as_ref());
                let state = from.and_then(|from| known.clusters.get(from));
                let fenced = from.is_some_and(|from| world.spec.is_fenced(&intent.revision, from));
                if !fenced && state.is_some_and(|state| state.status != ClusterStatus::Lost) {
                    return Err(format!("{what}: {from:?} is {:?}", state.map(|state| state.status)));
                }
            }
        }
    }
    Ok(())
}
