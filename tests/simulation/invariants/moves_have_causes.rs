//! A component changes its cluster only after people changed something, or a cluster did.

use std::collections::BTreeMap;

use qonnect_core::knowledge::{Answer, Change};
use qonnect_schema::documents::snapshot::{ClusterStatus, Node};

use crate::world::World;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let mut places: BTreeMap<(String, String), Option<String>> = BTreeMap::new();
    let mut statuses: BTreeMap<String, ClusterStatus> = BTreeMap::new();
    let mut nodes: BTreeMap<String, Option<Vec<Node>>> = BTreeMap::new();
    let (mut revision, mut caused) = (String::new(), true);
    for entry in world.group.log.iter().filter(|entry| entry.answer == Answer::Done) {
        match &entry.command.change {
            Change::Status { clusters } => {
                caused |= clusters.iter().any(|(name, status)| statuses.get(name) != Some(status));
                statuses.extend(clusters.clone());
            }
            Change::Register { cluster, .. } => {
                caused |=
                    statuses.insert(cluster.clone(), ClusterStatus::Ready) != Some(ClusterStatus::Ready);
            }
            Change::Report { cluster, report } => {
                caused |= nodes.insert(cluster.clone(), report.nodes.clone()).as_ref() != Some(&report.nodes);
            }
            Change::Forget { .. } | Change::Deployed { .. } | Change::Brake { .. } | Change::ReleaseBrake => {
                caused = true
            }
            Change::Intent(intent) => {
                let new_revision = !intent.revision.is_empty() && intent.revision != revision;
                let mut moves = Vec::new();
                for (application, placement) in &intent.placements {
                    let components = placement.iter().flat_map(|placement| &placement.spec.components);
                    for (component, placed) in components {
                        let id = (application.clone(), component.clone());
                        let before = places.insert(id.clone(), placed.cluster.clone());
                        if before.is_some_and(|before| before != placed.cluster) {
                            moves.push(id);
                        }
                    }
                }
                if !moves.is_empty() && !caused && !new_revision {
                    return Err(format!("{moves:?} in {}, at {} ms", intent.commit, entry.at));
                }
                if !intent.revision.is_empty() {
                    revision.clone_from(&intent.revision);
                    // A commit that is lost is decided again: its cause still counts.
                    caused = false;
                }
            }
            Change::Outcome { .. } => caused = true,
            _ => {}
        }
    }
    Ok(())
}
