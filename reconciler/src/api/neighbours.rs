//! To which other clusters an agent measures the round trip.

use std::collections::{BTreeMap, BTreeSet};

use qonnect_core::knowledge::Knowledge;
use qonnect_schema::Cluster;
use qonnect_schema::api::Neighbours;

/// An agent asks each of them once a minute; more would only say more about clusters that do not speak to each other.
const NEIGHBOURS_MAX: usize = 16;
/// Where the ingress of a cluster most likely listens. One that refuses answers as well.
const PORT: u16 = 443;

/// Those that share an application with it, then those that follow it in the order of names: so that each is measured
/// by somebody. Only places that the fleet names are among them.
pub(super) fn neighbours(
    cluster: &str,
    fleet: &BTreeMap<String, Cluster>,
    knowledge: &Knowledge,
) -> Neighbours {
    let mut shared = BTreeSet::new();
    for placement in knowledge.placements.values() {
        let places = placement.spec.components.values().filter_map(|component| component.cluster.as_deref());
        let places: BTreeSet<&str> = places.collect();
        if places.contains(cluster) {
            shared.extend(places);
        }
    }
    let names = || fleet.keys().map(String::as_str);
    let following = names().filter(|name| *name > cluster).chain(names().filter(|name| *name < cluster));
    let place = |name: &str| {
        let ingress = fleet.get(name)?.spec.ingress.as_ref()?;
        let (address, port) = (&ingress.address, ingress.port.unwrap_or(PORT));
        // An address of IPv6 has colons itself.
        Some(if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") })
    };
    let mut neighbours = Neighbours::default();
    for name in shared.iter().copied().filter(|name| *name != cluster).chain(following) {
        if neighbours.clusters.len() == NEIGHBOURS_MAX {
            break;
        }
        neighbours.clusters.extend(place(name).map(|place| (name.to_owned(), place)));
    }
    neighbours
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use qonnect_schema::Placement;
    use qonnect_schema::documents::cluster::{ClusterSpec, Ingress};
    use qonnect_schema::documents::placement::{ComponentPlacement, PlacementSpec};

    use super::*;

    fn fleet(names: &[String]) -> BTreeMap<String, Cluster> {
        let cluster = |name: &String| {
            let ingress = Some(Ingress { address: format!("{name}.example"), port: None });
            (name.clone(), Cluster::new(name, ClusterSpec { ingress, ..Default::default() }))
        };
        names.iter().map(cluster).collect()
    }

    fn placed(clusters: &[&str]) -> Placement {
        let component = |cluster: &&str| {
            let placed = ComponentPlacement { cluster: Some((*cluster).into()), ..Default::default() };
            (format!("on-{cluster}"), placed)
        };
        let components = clusters.iter().map(component).collect();
        Placement::new("shop", PlacementSpec { components, ..Default::default() })
    }

    #[test]
    fn clusters_that_share_an_application_come_first_and_then_those_that_follow() {
        let names: Vec<String> = (10..60).map(|at| format!("c{at}")).collect();
        let mut knowledge = Knowledge::default();
        let placements = [("shop".to_owned(), Arc::new(placed(&["c12", "c50"])))];
        knowledge.placements = Arc::new(placements.into());
        let found = neighbours("c50", &fleet(&names), &knowledge).clusters;
        assert_eq!(found.len(), NEIGHBOURS_MAX);
        assert_eq!(found["c12"], "c12.example:443");
        assert!(found.contains_key("c51") && found.contains_key("c10") && !found.contains_key("c50"));
        assert!(!found.contains_key("c49"));
    }

    #[test]
    fn a_cluster_is_reached_where_the_fleet_says_or_not_at_all() {
        let mut fleet = fleet(&["a".into(), "b".into(), "c".into()]);
        fleet.get_mut("b").unwrap().spec.ingress = None;
        let place = Ingress { address: "2001:db8::1".into(), port: Some(8443) };
        fleet.get_mut("c").unwrap().spec.ingress = Some(place);
        let found = neighbours("a", &fleet, &Knowledge::default()).clusters;
        assert_eq!(found, [("c".to_owned(), "[2001:db8::1]:8443".to_owned())].into());
    }
}
