//! What every plan obeys, written anew without the planner's code.

use super::*;

/// What the placed pods request of each cluster, and the largest pod on it.
fn loads(world: &World, places: &Places) -> BTreeMap<String, (u64, u64, u64)> {
    let mut loads: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for ((application, component), cluster) in places {
        let Some(cluster) = cluster else { continue };
        let load = loads.entry(cluster.clone()).or_default();
        for group in &placement::requests(&world.revision.applications[application])[component] {
            let PodCount::Replicas(count) = group.count else { continue };
            load.0 += group.pod.cpu.0 * u64::from(count);
            load.1 += group.pod.memory.0 * u64::from(count);
            load.2 = load.2.max(group.pod.cpu.0);
        }
    }
    loads
}

pub(super) fn within_capacity(world: &World, places: &Places) -> Result<(), TestCaseError> {
    for (cluster, (cpu, memory, largest)) in loads(world, places) {
        let node = &world.revision.clusters[&cluster].spec.nodes[0];
        let nodes = u64::from(node.count);
        prop_assert!(cpu <= node.cpu.0 * nodes, "{cluster}: {cpu}m of CPU");
        prop_assert!(memory <= node.memory.0 * nodes, "{cluster}: {memory} bytes");
        prop_assert!(largest <= node.cpu.0, "{cluster}: a pod of {largest}m");
    }
    Ok(())
}

/// The hard filters, written anew: what is new obeys them all, and so does what moves.
pub(super) fn obeys_filters(world: &World, before: &Places, after: &Places) -> Result<(), TestCaseError> {
    for ((application, component), place) in after {
        let key = (application.clone(), component.clone());
        let Some(place) = place.as_ref().filter(|place| before.get(&key) != Some(&Some((*place).clone())))
        else {
            continue;
        };
        let spec = &world.revision.applications[application].application.spec;
        let component = spec.components.iter().find(|known| known.name == *component).unwrap();
        let cluster = &world.revision.clusters[place].spec;
        let region = cluster.region.as_ref().unwrap();
        prop_assert!(component.tiers.contains(&cluster.tier), "tier");
        prop_assert!(component.regions.is_empty() || component.regions.contains(region), "region");
        prop_assert!(!cluster.cordon && !cluster.drain, "cordon");
        let status = world.snapshot.clusters[place].status;
        prop_assert!(matches!(status, ClusterStatus::Unknown | ClusterStatus::Ready), "lease");
    }
    Ok(())
}

/// Between regions it takes 40 ms, inside one 2 ms, and limits are at 10 ms.
pub(super) fn obeys_latency(world: &World, places: &Places) -> Result<(), TestCaseError> {
    let region = |application: &String, component: &String| {
        let place = places[&(application.clone(), component.clone())].as_ref()?;
        Some((place, world.revision.clusters[place].spec.region.as_ref()?))
    };
    for (application, source) in &world.revision.applications {
        for component in &source.application.spec.components {
            for dependency in component.depends_on.iter().filter(|call| call.max_latency.is_some()) {
                let ends = (region(application, &component.name), region(application, &dependency.component));
                if let (Some((from, here)), Some((to, there))) = ends {
                    prop_assert!(here == there, "{application}: {from} to {to}");
                }
            }
        }
    }
    Ok(())
}

/// What is placed is with whom it must be with, and apart from whom it must be apart from.
pub(super) fn obeys_bonds(world: &World, places: &Places) -> Result<(), TestCaseError> {
    for (application, source) in &world.revision.applications {
        let place = |component: &str| {
            let place = places[&(application.clone(), component.to_owned())].as_ref()?;
            Some((place, world.revision.clusters[place].spec.region.as_ref()?))
        };
        for component in &source.application.spec.components {
            let Some((here, region)) = place(&component.name) else { continue };
            for (there, _) in component.colocate.iter().filter_map(|other| place(other)) {
                prop_assert!(here == there, "{application}: {here} and {there} are to be one");
            }
            for separation in &component.separate {
                let Some((there, other_region)) = place(&separation.from) else { continue };
                prop_assert!(here != there, "{application}: two on {here}");
                prop_assert!(
                    separation.by == "cluster" || region != other_region,
                    "{application}: two in {region}"
                );
            }
        }
    }
    Ok(())
}
