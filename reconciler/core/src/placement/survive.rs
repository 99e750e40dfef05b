//! What would be missing if a cluster or a region were lost.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use qonnect_schema::SnapshotSpec;
use qonnect_schema::documents::fleet::Domain;
use qonnect_schema::revision::Revision;
use serde::Serialize;

use super::what_if::{lose, settled};
use super::{Plan, plan};

/// One loss, and what then finds no place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Loss {
    pub lost: String,
    /// How many components are on it.
    pub components: usize,
    /// As `application/component`, those of them and of others that find no cluster.
    pub missing: Vec<String>,
}

/// How many of the largest losses are planned for a report: each takes as long as a plan.
const LARGEST_MAX: usize = 4;

/// The loss of each cluster or region that something is placed on, the worst first: one plan for each.
pub fn survive(revision: &Revision, snapshot: &SnapshotSpec, domain: Domain) -> Vec<Loss> {
    losses(revision, snapshot, &plan(revision, snapshot), domain, |_| true, usize::MAX)
}

/// The largest losses that documents want to survive, and what of that would have no place after all.
pub(super) fn required(revision: &Revision, snapshot: &SnapshotSpec, planned: &Plan) -> Vec<Loss> {
    let wants = |name: &str| {
        let own = revision.applications.get(name)?.application.spec.constraints.survive;
        own.or(revision.fleet.survive)
    };
    let domains: BTreeSet<Domain> = revision.applications.keys().filter_map(|name| wants(name)).collect();
    let each = domains.into_iter().flat_map(|domain| {
        losses(revision, snapshot, planned, domain, |name| wants(name) == Some(domain), LARGEST_MAX)
    });
    each.collect()
}

fn losses(
    revision: &Revision,
    snapshot: &SnapshotSpec,
    planned: &Plan,
    domain: Domain,
    counts: impl Fn(&str) -> bool,
    most: usize,
) -> Vec<Loss> {
    let mut before = placed(planned);
    before.retain(|component, _| component.split_once('/').is_some_and(|(name, _)| counts(name)));
    let mut domains: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, cluster) in &revision.clusters {
        let domain = match domain {
            Domain::Cluster => Some(name.as_str()),
            Domain::Region => cluster.spec.region.as_deref(),
        };
        if let Some(domain) = domain {
            domains.entry(domain).or_default().insert(name.clone());
        }
    }
    let components = |(_, clusters): &(&str, BTreeSet<String>)| {
        before.values().filter(|cluster| clusters.contains(*cluster)).count()
    };
    let mut largest: Vec<_> = domains.into_iter().map(|domain| (components(&domain), domain)).collect();
    largest.retain(|(components, _)| *components > 0);
    largest.sort_by_key(|(components, (name, _))| (Reverse(*components), *name));
    largest.truncate(most);
    let settled = settled(snapshot, planned);
    let loss = |(components, (name, clusters)): (usize, (&str, BTreeSet<String>))| {
        let (mut revision, mut snapshot) = (revision.clone(), settled.clone());
        lose(&clusters, &mut revision, &mut snapshot);
        let runs = placed(&plan(&revision, &snapshot));
        let known = |cluster: &String| revision.clusters.contains_key(cluster);
        let missing = before.keys().filter(|component| !runs.get(*component).is_some_and(known));
        Loss { lost: name.into(), components, missing: missing.cloned().collect() }
    };
    let mut losses: Vec<Loss> = largest.into_iter().map(loss).collect();
    losses.sort_by_key(|loss| (Reverse(loss.missing.len()), loss.lost.clone()));
    losses
}

/// The cluster of each `application/component` that has one.
fn placed(plan: &Plan) -> BTreeMap<String, String> {
    let components = plan.applications.iter().flat_map(|(name, application)| {
        application.components.iter().map(move |(component, placed)| (format!("{name}/{component}"), placed))
    });
    components.filter_map(|(name, placed)| Some((name, placed.cluster.clone()?))).collect()
}
