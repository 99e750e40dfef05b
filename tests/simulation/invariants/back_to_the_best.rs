//! A while after the last fault everything runs where a plan from nothing wants it, as far as moves pay.

use std::collections::{BTreeMap, BTreeSet};

use qonnect_core::placement::{self, Plan};
use qonnect_schema::SnapshotSpec;
use qonnect_schema::revision::Revision;

use crate::world::{Part, Phase, World};

/// What a search may leave on the table where it starts from what stands: of the whole.
const SEARCH_SHARE: f64 = 0.02;

pub(crate) fn check(world: &World) -> Result<(), String> {
    world.parts.iter().filter(|part| part.phase == Phase::Healing).try_for_each(healed)
}

fn healed(part: &Part) -> Result<(), String> {
    let snapshot = part.knowledge.snapshot();
    let mut decided = BTreeSet::new();
    for (application, placement) in &snapshot.placements {
        for (name, placed) in &placement.spec.components {
            let Some(cluster) =
                placed.cluster.clone().filter(|_| placed.moving.is_none() && !placed.stranded)
            else {
                return Err(format!("{application}/{name} is on its way, or nowhere, at {} ms", part.until));
            };
            decided.insert((cluster, application.clone(), qonnect_schema::layout::whole(name).to_owned()));
        }
    }
    if decided != part.runs {
        let (missing, more) = (decided.difference(&part.runs), part.runs.difference(&decided));
        let (missing, more): (Vec<_>, Vec<_>) = (missing.collect(), more.collect());
        return Err(format!("at {} ms {missing:?} do not run, and {more:?} should not", part.until));
    }
    // As it stands, and as it would be if nothing stood.
    let mut still = Revision::clone(&part.revision);
    still.fleet.moves.price = 1e6;
    let (stands, count) = value(&placement::plan(&still, &snapshot));
    let empty = SnapshotSpec { placements: BTreeMap::new(), ..snapshot };
    let (best, _) = value(&placement::plan(&part.revision, &empty));
    let allowed = best * (1.0 + SEARCH_SHARE) + part.revision.fleet.moves.price * count as f64;
    match stands <= allowed {
        true => Ok(()),
        false => Err(format!("at {} ms what runs costs {stands:.3}, the best {best:.3}", part.until)),
    }
}

/// What a plan adds to the objective function, and how many components it has.
fn value(plan: &Plan) -> (f64, usize) {
    let components = plan.applications.values().flat_map(|plan| plan.components.values());
    let scores: Vec<i64> = components.filter_map(|placed| Some(placed.score.as_ref()?.total)).collect();
    (scores.iter().sum::<i64>() as f64 / 1e6, scores.len())
}
