//! Lists for readers, made of the Knowledge Base and of the revision that counts.

use std::collections::{BTreeMap, BTreeSet};

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
            cordon: spec.is_some_and(|spec| spec.cordon || spec.drain),
            maintenance: under_way.as_ref().zip(cluster).and_then(|(all, cluster)| all.until(cluster)),
            nodes: u32::try_from(nodes.len()).unwrap_or(u32::MAX),
            capacity: nodes.iter().map(free).fold(Resources::default(), |sum, one| sum.plus(&one)),
            components: count(state.components.iter()),
            components_ready: count(state.components.iter().filter(|status| status.health == Health::Ready)),
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
        let view = |node| NodeView { cluster: cluster.into(), reported: state.nodes.is_some(), node };
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
        let healths: Vec<_> =
            spec.components.iter().filter_map(|component| health(&component.name)).collect();
        ApplicationView {
            name: name.clone(),
            namespace: source.namespace().into(),
            objectives: spec.objectives,
            components: count(spec.components.iter()),
            components_ready: count(healths.iter().filter(|health| **health == Health::Ready)),
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
