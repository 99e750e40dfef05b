//! Lists for readers, made of the Knowledge Base and of the revision that counts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use qonnect_core::audit;
use qonnect_core::knowledge::Knowledge;
use qonnect_core::placement::UnderWay;
use qonnect_schema::api::{
    ApplicationView, ClusterView, Decision, Event, NodeView, PlacementView, RevisionRecord, StateHash,
};
use qonnect_schema::documents::cluster::DeclaredNode;
use qonnect_schema::documents::placement::ComponentPlacement;
use qonnect_schema::documents::snapshot::{Brake, ClusterState, ComponentStatus, Health, Node, Resources};
use qonnect_schema::revision::{ApplicationSource, Revision};
use qonnect_schema::{ClusterSpec, layout};

pub(super) fn clusters(knowledge: &Knowledge, revision: Option<&Revision>) -> Vec<ClusterView> {
    let unheard = ClusterState::default();
    let under_way = revision.map(|revision| UnderWay::at(knowledge.now, &revision.fleet));
    let view = |name: &str| {
        let spec = spec(revision, name);
        let cluster = revision.and_then(|revision| revision.clusters.get(name));
        let state = knowledge.clusters.get(name).map_or(&unheard, |state| state);
        let nodes = nodes_of(spec, state);
        ClusterView {
            name: name.into(),
            tier: spec.map(|spec| spec.tier.clone()).unwrap_or_default(),
            region: spec.and_then(|spec| spec.region.clone()),
            status: state.status,
            since: state.since,
            cordon: spec.is_some_and(|spec| spec.cordon || spec.drain || spec.fenced),
            fenced: spec.is_some_and(|spec| spec.fenced),
            maintenance: under_way.as_ref().zip(cluster).and_then(|(all, cluster)| all.until(cluster)),
            nodes: u32::try_from(nodes.len()).unwrap_or(u32::MAX),
            capacity: nodes.iter().map(free).fold(Resources::default(), |sum, one| sum.plus(&one)),
            components: count(state.components.iter()),
            components_ready: match state.stale() {
                None => count(state.components.iter().filter(|status| status.health == Health::Ready)),
                Some(_) => 0,
            },
            wanted: knowledge.releases.get(name).cloned(),
            applied: state.release.clone(),
            stalled: knowledge.stalled.get(name).cloned().unwrap_or_default(),
            agent_version: state.agent_version.clone(),
            kubernetes_version: state.kubernetes_version.clone(),
        }
    };
    names(knowledge, revision).into_iter().map(view).collect()
}

pub(super) fn nodes(knowledge: &Knowledge, revision: Option<&Revision>) -> Vec<NodeView> {
    let unheard = ClusterState::default();
    let of = |cluster: &str| {
        let state = knowledge.clusters.get(cluster).map_or(&unheard, |state| state);
        let view = |node: Node| {
            let usage = state.measured.usage.get(&node.name).copied();
            NodeView { cluster: cluster.into(), reported: state.nodes.is_some(), node, usage }
        };
        nodes_of(spec(revision, cluster), state).into_iter().map(view).collect::<Vec<_>>()
    };
    names(knowledge, revision).into_iter().flat_map(of).collect()
}

pub(super) fn applications(knowledge: &Knowledge, revision: Option<&Revision>) -> Vec<ApplicationView> {
    let Some(revision) = revision else { return Vec::new() };
    let statuses = statuses(knowledge);
    let view = |(name, source): (&String, &std::sync::Arc<ApplicationSource>)| {
        let spec = &source.application.spec;
        let placement = knowledge.placements.get(name);
        let placed = || placement.into_iter().flat_map(|placement| &placement.spec.components);
        // What is on several clusters is as well as the worst of its parts.
        let health = |component: &str| {
            let parts = placed().filter(|(part, _)| layout::whole(part) == component);
            let health = |(part, placed): (&String, &ComponentPlacement)| {
                let status = statuses.get(&(placed.cluster.as_deref()?, name.as_str(), part.as_str()));
                // Placed, but not reported yet: on its way.
                Some(status.map_or(Health::Reconciling, |status| status.health))
            };
            parts.filter_map(health).max()
        };
        let stale = |component: &str| {
            let parts = placed().filter(|(part, _)| layout::whole(part) == component);
            parts.filter_map(|(_, placed)| silent_since(knowledge, placed)).min()
        };
        let healths: Vec<_> =
            spec.components.iter().filter_map(|component| health(&component.name)).collect();
        let ready = |component: &str| health(component) == Some(Health::Ready) && stale(component).is_none();
        ApplicationView {
            name: name.clone(),
            namespace: source.namespace().into(),
            objectives: spec.objectives,
            components: count(spec.components.iter()),
            components_ready: count(spec.components.iter().filter(|component| ready(&component.name))),
            stale: spec.components.iter().filter_map(|component| stale(&component.name)).min(),
            health: healths.iter().max().copied(),
            commit: source.commit.clone(),
            held: source.commit != revision.commit,
            suspended: spec.suspend,
            ran_before: knowledge.ran_before(name).cloned().unwrap_or_default(),
        }
    };
    revision.applications.iter().map(view).collect()
}

pub(super) fn placements(knowledge: &Knowledge, _: Option<&Revision>) -> Vec<PlacementView> {
    let statuses = statuses(knowledge);
    let mut views = Vec::new();
    for (application, placement) in &*knowledge.placements {
        for (component, placed) in &placement.spec.components {
            let status = placed
                .cluster
                .as_deref()
                .and_then(|cluster| statuses.get(&(cluster, application.as_str(), component.as_str())));
            views.push(PlacementView {
                application: application.clone(),
                component: component.clone(),
                cluster: placed.cluster.clone(),
                moving: placed.moving.clone(),
                arrived: placed.arrived,
                stranded: placed.stranded,
                status: status.map(|status| ComponentStatus::clone(status)),
                stale: status.and_then(|_| silent_since(knowledge, placed)),
                score: placed.score.clone(),
                others: placed.others.clone(),
                revision: placement.spec.revision.clone(),
            });
        }
    }
    views
}

pub(super) fn revisions(knowledge: &Knowledge, _: Option<&Revision>) -> Vec<RevisionRecord> {
    knowledge.revisions.iter().map(|record| RevisionRecord::clone(record)).collect()
}

pub(super) fn hashes(knowledge: &Knowledge, _: Option<&Revision>) -> Vec<StateHash> {
    knowledge.hashes().map(|(index, hash)| StateHash { index: *index, hash: hash.clone() }).collect()
}

pub(super) fn decisions(knowledge: &Knowledge, _: Option<&Revision>) -> Vec<Decision> {
    audit::decisions(knowledge)
}

pub(super) fn brakes(knowledge: &Knowledge, _: Option<&Revision>) -> Vec<Brake> {
    knowledge.brake.iter().map(|brake| Brake::clone(brake)).collect()
}

pub(super) fn events(knowledge: &Knowledge, _: Option<&Revision>) -> Vec<Event> {
    knowledge.events.iter().map(|event| Event::clone(event)).collect()
}

/// By cluster, application and component.
type Statuses<'a> = BTreeMap<(&'a str, &'a str, &'a str), &'a ComponentStatus>;

fn statuses(knowledge: &Knowledge) -> Statuses<'_> {
    let mut statuses = Statuses::new();
    for (cluster, state) in &*knowledge.clusters {
        for status in &state.components {
            statuses.insert((cluster, &status.application, &status.component), status);
        }
    }
    statuses
}

/// Since when the cluster of a component is silent.
fn silent_since(knowledge: &Knowledge, placed: &ComponentPlacement) -> Option<Timestamp> {
    knowledge.clusters.get(placed.cluster.as_deref()?)?.stale()
}

fn names<'a>(knowledge: &'a Knowledge, revision: Option<&'a Revision>) -> BTreeSet<&'a str> {
    let wanted = revision.into_iter().flat_map(|revision| revision.clusters.keys());
    wanted.chain(knowledge.clusters.keys()).map(String::as_str).collect()
}

fn spec<'a>(revision: Option<&'a Revision>, cluster: &str) -> Option<&'a ClusterSpec> {
    Some(&revision?.clusters.get(cluster)?.spec)
}

/// What the agent reported; before that, what the document declares.
fn nodes_of(spec: Option<&ClusterSpec>, state: &ClusterState) -> Vec<Node> {
    match &state.nodes {
        Some(nodes) => nodes.clone(),
        None => spec.into_iter().flat_map(|spec| &spec.nodes).flat_map(DeclaredNode::nodes).collect(),
    }
}

/// What a node that takes pods leaves to us.
fn free(node: &Node) -> Resources {
    match node.ready && !node.unschedulable {
        true => node.allocatable.minus(&node.foreign),
        false => Resources::default(),
    }
}

fn count(items: impl Iterator) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use qonnect_schema::documents::placement::PlacementSpec;
    use qonnect_schema::documents::snapshot::ClusterStatus;
    use qonnect_schema::{Application, ApplicationSpec, Placement};
    use serde_json::json;

    use super::*;

    /// A component that was Ready on a cluster when that was last heard.
    fn knowledge(status: ClusterStatus) -> Knowledge {
        let web = json!({
            "application": "shop", "component": "web", "generation": 1, "health": "Ready", "objects": 1,
        });
        let state = ClusterState {
            status,
            since: Timestamp::UNIX_EPOCH,
            components: vec![serde_json::from_value(web).unwrap()],
            ..Default::default()
        };
        let placed = ComponentPlacement { cluster: Some("fog".into()), ..Default::default() };
        let spec = PlacementSpec { components: [("web".into(), placed)].into(), ..Default::default() };
        let mut knowledge = Knowledge::default();
        knowledge.clusters = Arc::new([("fog".into(), Arc::new(state))].into());
        knowledge.placements = Arc::new([("shop".into(), Arc::new(Placement::new("shop", spec)))].into());
        knowledge
    }

    fn revision() -> Revision {
        let component = json!({"name": "web", "manifests": ["web.yaml"]});
        let components = vec![serde_json::from_value(component).unwrap()];
        let application = Application::new("shop", ApplicationSpec { components, ..Default::default() });
        let source = ApplicationSource { commit: "c".into(), application, manifests: Arc::default() };
        Revision {
            commit: "c".into(),
            time: Timestamp::UNIX_EPOCH,
            fleet: Default::default(),
            clusters: BTreeMap::new(),
            signals: BTreeMap::new(),
            applications: [("shop".into(), Arc::new(source))].into(),
        }
    }

    #[test]
    fn what_a_silent_cluster_said_is_stale_and_never_counted_as_ready() {
        let revision = revision();
        for (status, stale) in [
            (ClusterStatus::Ready, None),
            (ClusterStatus::Suspect, Some(Timestamp::UNIX_EPOCH)),
            (ClusterStatus::Lost, Some(Timestamp::UNIX_EPOCH)),
        ] {
            let knowledge = knowledge(status);
            let ready = u32::from(stale.is_none());
            let cluster = &clusters(&knowledge, Some(&revision))[0];
            assert_eq!((cluster.components_ready, cluster.components), (ready, 1), "{status:?}");
            let application = &applications(&knowledge, Some(&revision))[0];
            assert_eq!((application.components_ready, application.stale), (ready, stale), "{status:?}");
            let placement = &placements(&knowledge, Some(&revision))[0];
            assert_eq!(placement.stale, stale, "{status:?}");
            assert_eq!(placement.status.as_ref().unwrap().health, Health::Ready, "what it said is kept");
        }
    }
}
