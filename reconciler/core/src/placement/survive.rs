//! What would be missing if a cluster or a region were lost.

use std::collections::{BTreeMap, BTreeSet};

use qonnect_schema::SnapshotSpec;
use qonnect_schema::revision::Revision;
use serde::Serialize;

use super::what_if::{lose, settled};
use super::{Plan, plan};

/// What is lost at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    Cluster,
    Region,
}

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

/// The loss of each cluster or region that something is placed on, the worst first: one plan for each.
pub fn survive(revision: &Revision, snapshot: &SnapshotSpec, domain: Domain) -> Vec<Loss> {
    let planned = plan(revision, snapshot);
    let before = placed(&planned);
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
    let settled = settled(snapshot, &planned);
    let loss = |(name, clusters): (&str, BTreeSet<String>)| {
        let components = before.values().filter(|cluster| clusters.contains(*cluster)).count();
        if components == 0 {
            return None;
        }
        let (mut revision, mut snapshot) = (revision.clone(), settled.clone());
        lose(&clusters, &mut revision, &mut snapshot);
        let after = plan(&revision, &snapshot);
        let runs = placed(&after);
        let known = |cluster: &String| revision.clusters.contains_key(cluster);
        let missing = before.keys().filter(|component| !runs.get(*component).is_some_and(known));
        Some(Loss { lost: name.into(), components, missing: missing.cloned().collect() })
    };
    let mut losses: Vec<Loss> = domains.into_iter().filter_map(loss).collect();
    losses.sort_by_key(|loss| std::cmp::Reverse(loss.missing.len()));
    losses
}

/// The cluster of each `application/component` that has one.
fn placed(plan: &Plan) -> BTreeMap<String, String> {
    let components = plan.applications.iter().flat_map(|(name, application)| {
        application.components.iter().map(move |(component, placed)| (format!("{name}/{component}"), placed))
    });
    components.filter_map(|(name, placed)| Some((name, placed.cluster.clone()?))).collect()
}
