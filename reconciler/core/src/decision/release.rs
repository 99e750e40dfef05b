//! The release of each cluster: written anew when its folder changes, and only then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_schema::documents::release::{Mark, ReleasedApplication, Removal, RemovalCause};
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::{Release, ReleaseSpec, layout};

use super::deployed::under;
use super::{AllCopies, Input, callees_first, document};

/// What a draft makes of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRelease {
    pub generation: u64,
    pub digest: String,
}

/// Adds `release.yaml` of every cluster to the tree, and returns those that are new.
pub(super) fn releases(
    input: &Input<'_>,
    copies: &AllCopies,
    intent: &str,
    tree: &mut BTreeMap<String, Arc<[u8]>>,
) -> BTreeMap<String, NewRelease> {
    let mut orders = orders(input, copies);
    let known = input.deployed.releases.keys().chain(input.releases.keys());
    // Branch and Knowledge Base may both be younger than what an agent has accepted, or still holds.
    let holds = |state: &ClusterState| !state.mark.is_unset() || !state.components.is_empty();
    let reported = input.snapshot.clusters.iter().filter(|(_, state)| holds(state));
    let reported = reported.map(|(cluster, _)| cluster);
    let clusters: BTreeSet<String> = known.chain(orders.keys()).chain(reported).cloned().collect();
    let mut new = BTreeMap::new();
    for cluster in clusters {
        let order = orders.remove(&cluster).unwrap_or_default();
        let path = layout::release(&cluster);
        let bytes = match release(input, &cluster, order, intent, tree) {
            Some(spec) => {
                let release = NewRelease { generation: spec.generation, digest: spec.digest.clone() };
                new.insert(cluster.clone(), release);
                document(&Release::new(cluster, spec))
            }
            None => match input.deployed.files.get(&path) {
                Some(bytes) => bytes.clone(),
                None => continue,
            },
        };
        tree.insert(path, bytes);
    }
    new
}

/// The next release of one cluster, or `None` if nothing changes there.
fn release(
    input: &Input<'_>,
    cluster: &str,
    order: Vec<ReleasedApplication>,
    intent: &str,
    tree: &BTreeMap<String, Arc<[u8]>>,
) -> Option<ReleaseSpec> {
    let before = input.deployed.releases.get(cluster).map(|release| &release.spec);
    let decommissioned = !input.revision.clusters.contains_key(cluster);
    let folder = format!("{}/", layout::cluster_folder(cluster));
    let files = || under(tree, &folder);
    let deployed =
        under(&input.deployed.files, &folder).filter(|(path, _)| path[folder.len()..] != *layout::RELEASE);

    let trusted = before.filter(|before| {
        let hint = input.releases.get(cluster);
        hint.is_none_or(|hint| hint.generation == before.generation && hint.digest == before.digest)
            && !outruns(input, cluster, before)
    });
    let same = trusted.is_some_and(|before| {
        before.order == order && before.decommissioned == decommissioned && files().eq(deployed)
    });
    if same {
        return None;
    }
    let digest = layout::digest(files().map(|(path, bytes)| (&path[folder.len()..], &**bytes)));
    Some(ReleaseSpec {
        generation: next_generation(input, cluster),
        epoch: input.epoch,
        revision: input.revision.commit.clone(),
        removals: removals(input, cluster, before, &order, intent),
        order,
        digest,
        decommissioned,
    })
}

/// The agent remembers more than the branch, and would refuse what stands there.
fn outruns(input: &Input<'_>, cluster: &str, before: &ReleaseSpec) -> bool {
    let Some(mark) = mark(input, cluster) else { return false };
    // A release of an epoch below the agent's would be refused again: that needs a new era.
    let later = mark.epoch > before.epoch && input.epoch >= mark.epoch;
    mark.outruns(before.generation, &before.digest) || later
}

fn mark<'a>(input: &Input<'a>, cluster: &str) -> Option<&'a Mark> {
    Some(&input.snapshot.clusters.get(cluster)?.mark)
}

/// One more than anybody knows: agents refuse a decrease.
fn next_generation(input: &Input<'_>, cluster: &str) -> u64 {
    let branch = input.deployed.releases.get(cluster).map(|release| release.spec.generation);
    let knowledge = input.releases.get(cluster).map(|hint| hint.generation);
    let agent = mark(input, cluster).map(|mark| mark.generation);
    1 + branch.max(knowledge).max(agent).unwrap_or_default()
}

/// What left on purpose: now, or earlier and not yet reported gone.
fn removals(
    input: &Input<'_>,
    cluster: &str,
    before: Option<&ReleaseSpec>,
    order: &[ReleasedApplication],
    intent: &str,
) -> Vec<Removal> {
    let Some(before) = before else { return unlisted(input, cluster, order, intent) };
    let here: BTreeSet<(&str, &str)> = components(order).collect();
    let open = before.removals.iter().filter(|removal| {
        let id = (removal.application.as_str(), removal.component.as_str());
        !here.contains(&id) && !reported_gone(input, cluster, before.generation, id)
    });
    let left: BTreeSet<_> =
        components(&before.order).chain(placed(input, cluster)).filter(|id| !here.contains(id)).collect();
    let mut removals: Vec<_> = open.cloned().collect();
    let listed = |id: &(&str, &str)| {
        removals.iter().any(|removal| (removal.application.as_str(), removal.component.as_str()) == *id)
    };
    let left: Vec<_> =
        left.into_iter().filter(|id| !listed(id)).map(|id| removal(input, id, intent)).collect();
    removals.extend(left);
    removals.sort();
    removals
}

/// What was placed here and is reported from here, whether or not a branch that was set back still shows it.
fn placed<'a>(input: &Input<'a>, cluster: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let reported = input.snapshot.clusters.get(cluster).into_iter().flat_map(|state| &state.components);
    let placements = &input.snapshot.placements;
    let is_placed = move |application: &str, component: &str| {
        let placed = placements.get(application).and_then(|placed| placed.spec.components.get(component));
        placed.is_some_and(|placed| {
            let from = placed.moving.as_ref().map(|moving| moving.from.as_str());
            [placed.cluster.as_deref(), from].contains(&Some(cluster))
        })
    };
    let frozen = input.frozen;
    reported.map(|status| (status.application.as_str(), status.component.as_str())).filter(
        move |(application, component)| !frozen.contains(*application) && is_placed(application, component),
    )
}

/// What the agent holds beside the order, where the release before is lost or unreadable: else it would stay for
/// ever. Applications that are held keep what they have.
fn unlisted(input: &Input<'_>, cluster: &str, order: &[ReleasedApplication], intent: &str) -> Vec<Removal> {
    let here: BTreeSet<(&str, &str)> = components(order).collect();
    let reported = input.snapshot.clusters.get(cluster).into_iter().flat_map(|state| &state.components);
    let ids = reported.map(|status| (status.application.as_str(), status.component.as_str()));
    let left = ids.filter(|id| !here.contains(id) && !input.frozen.contains(id.0));
    left.map(|id| removal(input, id, intent)).collect::<BTreeSet<_>>().into_iter().collect()
}

fn removal(input: &Input<'_>, (application, component): (&str, &str), intent: &str) -> Removal {
    let cause = cause(input, application, component);
    Removal { application: application.into(), component: component.into(), cause, intent: intent.into() }
}

fn cause(input: &Input<'_>, application: &str, component: &str) -> RemovalCause {
    match input.revision.applications.get(application) {
        None => RemovalCause::ApplicationDeleted,
        Some(source) if source.application.spec.components.iter().all(|known| known.name != component) => {
            RemovalCause::ComponentDeleted
        }
        Some(_) => RemovalCause::Moved,
    }
}

/// The agent has applied the release that lists the removal, and holds no object of the component any more.
fn reported_gone(
    input: &Input<'_>,
    cluster: &str,
    generation: u64,
    (application, component): (&str, &str),
) -> bool {
    let Some(state) = input.snapshot.clusters.get(cluster) else { return false };
    let applied = state.release.as_ref().is_some_and(|release| release.generation >= generation);
    let held = state.components.iter().any(|s| s.application == application && s.component == component);
    applied && !held && state.status != ClusterStatus::Lost
}

fn components(order: &[ReleasedApplication]) -> impl Iterator<Item = (&str, &str)> {
    order
        .iter()
        .flat_map(|app| app.components.iter().map(|component| (app.application.as_str(), component.as_str())))
}

/// By cluster: its applications by name, the components of each callees first.
fn orders(input: &Input<'_>, copies: &AllCopies) -> BTreeMap<String, Vec<ReleasedApplication>> {
    let mut orders: BTreeMap<String, Vec<ReleasedApplication>> = BTreeMap::new();
    for (name, source) in &input.revision.applications {
        let Some(copies) = copies.get(name) else { continue };
        let mut here: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for component in callees_first(source) {
            for cluster in copies.get(component).into_iter().flat_map(|copies| &copies.on) {
                here.entry(cluster).or_default().push(component.into());
            }
        }
        for (cluster, components) in
            here.into_iter().filter(|(name, _)| input.revision.clusters.contains_key(*name))
        {
            let application = ReleasedApplication {
                application: name.clone(),
                namespace: source.namespace().into(),
                components,
            };
            orders.entry(cluster.into()).or_default().push(application);
        }
    }
    frozen(input, &mut orders);
    orders
}

/// Applications whose source cannot be read stay in the releases as they are.
fn frozen(input: &Input<'_>, orders: &mut BTreeMap<String, Vec<ReleasedApplication>>) {
    for (cluster, release) in input.deployed.releases.iter().filter(|_| !input.frozen.is_empty()) {
        let kept = release.spec.order.iter().filter(|app| input.frozen.contains(&app.application));
        let order = orders.entry(cluster.clone()).or_default();
        order.extend(kept.cloned());
        order.sort_by(|a, b| a.application.cmp(&b.application));
    }
}
