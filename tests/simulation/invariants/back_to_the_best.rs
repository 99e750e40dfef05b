//! A while after the last fault everything runs where a plan from nothing wants it, as far as moves pay.

use std::collections::{BTreeMap, BTreeSet};

use qonnect_core::placement::{self, Plan};
use qonnect_schema::SnapshotSpec;
use qonnect_schema::revision::Revision;

use crate::world::{Part, Phase, World};

/// What a search may leave on the table where it starts from what stands: of the whole.
const SEARCH_SHARE: f64 = 0.01;

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
    let stands = placement::plan(&still, &snapshot);
    let wanted = placement::plan(&part.revision, &snapshot);
    if let Some(name) = differing(&stands, &wanted).next() {
        return Err(format!("{name} would be better off elsewhere, and stays at {} ms", part.until));
    }
    let empty = SnapshotSpec { placements: BTreeMap::new(), ..snapshot };
    let best = placement::plan(&part.revision, &empty);
    let moves = differing(&stands, &best).count() as f64;
    let (costs, least) = (value(&stands), value(&best));
    match costs <= least * (1.0 + SEARCH_SHARE) + part.revision.fleet.moves.price * moves {
        true => Ok(()),
        false => Err(format!(
            "at {} ms what runs costs {costs:.3}, the best {least:.3}, {moves} moves from there",
            part.until
        )),
    }
}

/// What a plan adds to the objective function.
fn value(plan: &Plan) -> f64 {
    let components = plan.applications.values().flat_map(|plan| plan.components.values());
    components.filter_map(|placed| Some(placed.score.as_ref()?.total)).sum::<i64>() as f64 / 1e6
}

/// What one plan has elsewhere than another.
fn differing<'a>(plan: &'a Plan, other: &'a Plan) -> impl Iterator<Item = String> + 'a {
    let components = plan.applications.iter().flat_map(|(application, plan)| {
        plan.components.iter().map(move |(name, placed)| (application, name, &placed.cluster))
    });
    let there = |application: &String, name: &String| {
        Some(&other.applications.get(application)?.components.get(name)?.cluster)
    };
    let elsewhere =
        components.filter(move |(application, name, cluster)| there(application, name) != Some(*cluster));
    elsewhere.map(|(application, name, _)| format!("{application}/{name}"))
}
