//! The release of each cluster: written anew when its folder changes, and only then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_schema::documents::placement::MovePhase;
use qonnect_schema::documents::release::{Mark, ReleasedApplication, Removal, RemovalCause};
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::revision::ApplicationSource;
use qonnect_schema::{Release, ReleaseSpec, layout};

use super::deployed::under;
use super::{AllCopies, Input, callees_first, document};

/// Components, by application and name.
type Ids<'a> = BTreeSet<(&'a str, &'a str)>;

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
    let (mut orders, placed) = (orders(input, copies), placed(input));
    let known = input.deployed.releases.keys().chain(input.releases.keys());
    // Branch and Knowledge Base may both be younger than what an agent has accepted, or still holds.
    let holds = |state: &ClusterState| !state.mark.is_unset() || !state.components.is_empty();
    let reported = input.snapshot.clusters.iter().filter(|(_, state)| holds(state));
    let reported = reported.map(|(cluster, _)| cluster);
    let clusters: BTreeSet<String> = known.chain(orders.keys()).chain(reported).cloned().collect();
    let (mut new, nothing) = (BTreeMap::new(), BTreeSet::new());
    for cluster in clusters {
        let order = orders.remove(&cluster).unwrap_or_default();
        let path = layout::release(&cluster);
        let placed = placed.get(cluster.as_str()).unwrap_or(&nothing);
        let bytes = match release(input, (&cluster, placed), order, intent, tree) {
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
    (cluster, placed): (&str, &Ids<'_>),
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
        hint.is_some_and(|hint| hint.generation == before.generation && hint.digest == before.digest)
            && !outruns(input, cluster, before)
    });
    let same = trusted.is_some_and(|before| {
        before.order == order
            && before.decommissioned == decommissioned
            && files().eq(deployed)
            && !leaves_unlisted(input, (cluster, placed), before)
    });
    if same {
        return None;
    }
    let digest = layout::digest(files().map(|(path, bytes)| (&path[folder.len()..], &**bytes)));
    Some(ReleaseSpec {
        generation: next_generation(input, cluster),
        epoch: input.epoch,
        revision: input.revision.commit.clone(),
        removals: removals(input, (cluster, placed), before, &order, intent),
        order,
        digest,
        decommissioned,
    })
}

/// Something is known to leave and reported to be there still, and a release that was restored has forgotten it.
fn leaves_unlisted(input: &Input<'_>, (cluster, placed): (&str, &Ids<'_>), before: &ReleaseSpec) -> bool {
    let here: Ids<'_> = components(&before.order).collect();
    let listed: Ids<'_> = before.removals.iter().map(|one| (&*one.application, &*one.component)).collect();
    let leaves = |id: &(&str, &str)| !here.contains(id) && !listed.contains(id);
    reported(input, cluster).any(|id| placed.contains(&id) && leaves(&id))
        || stays_behind(input, cluster).any(|id| leaves(&id))
}

/// What the agent holds of releases that the leads have published, each of which they know: what of it is nowhere in
/// the newest decision has left on purpose, even if a branch that was set back shows neither its coming nor its going.
fn stays_behind<'a>(input: &Input<'a>, cluster: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let published = input.releases.get(cluster).map_or(0, |hint| hint.generation);
    let known = mark(input, cluster).is_some_and(|mark| !mark.is_unset() && mark.generation <= published);
    let frozen = input.frozen;
    reported(input, cluster).filter(move |id| known && !frozen.contains(id.0))
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
    (cluster, placed): (&str, &Ids<'_>),
    before: Option<&ReleaseSpec>,
    order: &[ReleasedApplication],
    intent: &str,
) -> Vec<Removal> {
    let Some(before) = before else { return unlisted(input, (cluster, placed), order, intent) };
    let here: Ids<'_> = components(order).collect();
    let open = before.removals.iter().filter(|removal| {
        let id = (removal.application.as_str(), removal.component.as_str());
        !here.contains(&id) && !reported_gone(input, cluster, before.generation, id)
    });
    let known = components(&before.order).chain(placed.iter().copied()).chain(stays_behind(input, cluster));
    let left: BTreeSet<_> = known.filter(|id| !here.contains(id)).collect();
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

/// By cluster, what was published to be there, whether or not a branch that was set back still shows it.
fn placed<'a>(input: &Input<'a>) -> BTreeMap<&'a str, Ids<'a>> {
    let mut placed: BTreeMap<&str, Ids<'_>> = BTreeMap::new();
    let applications = input.snapshot.placements.iter().filter(|(name, _)| !input.frozen.contains(*name));
    for (application, placement) in applications {
        for (component, placement) in &placement.spec.components {
            let moving = placement.moving.as_ref();
            let leaves = moving.is_some_and(|moving| moving.phase == MovePhase::Leaving);
            let at = placement.cluster.as_deref().filter(|_| !leaves);
            for cluster in at.into_iter().chain(moving.map(|moving| &*moving.from)) {
                placed.entry(cluster).or_default().insert((application, component));
            }
        }
    }
    placed
}

/// What the release before would have listed, where it is lost or unreadable: else it would stay for ever.
/// Applications that are held keep what they have.
fn unlisted(
    input: &Input<'_>,
    (cluster, placed): (&str, &Ids<'_>),
    order: &[ReleasedApplication],
    intent: &str,
) -> Vec<Removal> {
    let here: Ids<'_> = components(order).collect();
    let there = reported(input, cluster).filter(|id| !input.frozen.contains(id.0));
    let left = there.chain(placed.iter().copied()).filter(|id| !here.contains(id));
    left.map(|id| removal(input, id, intent)).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What the agent holds.
fn reported<'a>(input: &Input<'a>, cluster: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let components = input.snapshot.clusters.get(cluster).into_iter().flat_map(|state| &state.components);
    components.map(|status| (status.application.as_str(), status.component.as_str()))
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
                depends_on: callees(source, &components),
                components,
            };
            orders.entry(cluster.into()).or_default().push(application);
        }
    }
    frozen(input, &mut orders);
    orders
}

/// By caller, its callees among the components of one cluster.
fn callees(source: &ApplicationSource, here: &[String]) -> BTreeMap<String, Vec<String>> {
    let callers =
        source.application.spec.components.iter().filter(|component| here.contains(&component.name));
    let callees = callers.map(|caller| {
        let all = caller.depends_on.iter().map(|dependency| dependency.component.clone());
        (caller.name.clone(), all.filter(|callee| here.contains(callee)).collect::<Vec<_>>())
    });
    callees.filter(|(_, callees)| !callees.is_empty()).collect()
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
