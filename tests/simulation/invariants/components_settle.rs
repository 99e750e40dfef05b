//! After healing the newest revision counts, every decision is published and carried out, and nothing else runs.

use std::collections::BTreeSet;

use qonnect_schema::layout::whole;

use crate::world::World;
use crate::world::agent::runs;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let knowledge = &world.group.knowledge;
    let newest = world.spec.newest();
    let good = knowledge.good.as_ref().map(|good| good.commit.as_str());
    if good != Some(&newest) {
        return Err(format!(
            "{newest} is the newest revision, {good:?} counts; blocked: {:?}",
            knowledge.blocked
        ));
    }
    let mut wanted = BTreeSet::new();
    for (application, placement) in &*knowledge.placements {
        for (component, placed) in &placement.spec.components {
            if let Some(moving) = &placed.moving {
                return Err(format!("{application}/{component} still moves from {}", moving.from));
            }
            let Some(cluster) = &placed.cluster else {
                return Err(format!("{application}/{component} has no cluster"));
            };
            wanted.insert((cluster.clone(), application.clone(), whole(component).to_owned()));
        }
    }
    let applications: BTreeSet<_> = knowledge.placements.keys().cloned().collect();
    if applications != *world.spec.applications() {
        return Err(format!("{applications:?} are placed, {:?} are wanted", world.spec.applications()));
    }
    let mut found = BTreeSet::new();
    for agent in &world.agents {
        let deployments = agent.objects.iter().filter(|(id, _)| id.kind == "Deployment");
        if let Some((id, _)) = deployments.clone().find(|(_, object)| !runs(object)) {
            return Err(format!("{id} on {} is at zero", agent.cluster));
        }
        found.extend(
            deployments.map(|(id, _)| (agent.cluster.clone(), id.namespace.clone(), id.name.clone())),
        );
        let release = knowledge.releases.get(&agent.cluster).map_or(0, |release| release.generation);
        if release != agent.mark.generation {
            return Err(format!(
                "{} is at generation {}, the newest is {release}",
                agent.cluster, agent.mark.generation
            ));
        }
    }
    match found == wanted {
        true => Ok(()),
        false => Err(format!("{found:?} run, {wanted:?} are decided")),
    }
}
