//! What a plan takes for granted: signals that have ended, and defaults that stand in for what nobody says.

use std::collections::BTreeSet;

use jiff::Timestamp;
use qonnect_schema::documents::application::{Constraints, Objectives};
use qonnect_schema::documents::cluster::DeclaredNode;
use qonnect_schema::documents::snapshot::Node;
use qonnect_schema::revision::Revision;
use qonnect_schema::{Cluster, SnapshotSpec};

use super::signals::Current;

/// How many clusters or regions a note names.
const NAMED_MAX: usize = 3;

/// One sentence each, for people; nothing is said of what no application weighs or limits.
pub(super) fn notes(revision: &Revision, snapshot: &SnapshotSpec) -> Vec<String> {
    let signals = Current::at(snapshot.now, &revision.signals);
    let defaults = &revision.fleet.defaults;
    let mut notes = silent(revision, snapshot.now);
    let clusters = || revision.clusters.values();
    let mut note = |what: &str, missing: BTreeSet<&str>, default: String| {
        if !missing.is_empty() {
            notes.push(format!("{what} {}: {default} of the fleet's defaults counts", named(&missing)));
        }
    };
    let names = |unknown: &dyn Fn(&Cluster) -> bool| -> BTreeSet<&str> {
        clusters().filter(|cluster| unknown(cluster)).map(Cluster::name).collect()
    };
    if weighs(revision, |objectives| objectives.cost, |limits| limits.max_cost_per_hour.is_some()) {
        let unknown = |cluster: &Cluster| {
            !signals.prices.contains_key(cluster.name())
                && cluster.spec.defaults.price.is_none()
                && nodes(cluster, snapshot).iter().any(|node| node.price.is_none())
        };
        note("nobody says what a node costs on", names(&unknown), format!("{} per hour", defaults.price.0));
    }
    let carbon =
        weighs(revision, |objectives| objectives.carbon, |limits| limits.max_carbon_per_hour.is_some());
    if carbon || weighs(revision, |objectives| objectives.energy, |limits| limits.max_power.is_some()) {
        let unknown = |cluster: &Cluster| {
            !signals.power.contains_key(cluster.name())
                && signals.processor(cluster).is_none()
                && cluster.spec.defaults.energy.is_none()
                && nodes(cluster, snapshot).iter().any(|node| node.energy.is_none())
        };
        let default = format!("{} kWh per vCPU-hour", defaults.energy.0);
        note("nobody says what a vCPU burns on", names(&unknown), default);
    }
    if sends(revision) {
        let unknown = |cluster: &Cluster| {
            let said = |name: &str| signals.egress_price.contains_key(name);
            !said(cluster.name())
                && cluster.spec.egress.price.is_none()
                && !cluster.spec.region.as_deref().is_some_and(said)
        };
        let default = format!("{} per GB", defaults.egress.price.0);
        note("nobody says the price of what leaves", names(&unknown), default);
        let unknown = |cluster: &Cluster| {
            let said = |name: &str| signals.egress_energy.contains_key(name);
            !said(cluster.name())
                && cluster.spec.egress.energy.is_none()
                && !cluster.spec.region.as_deref().is_some_and(said)
        };
        let default = format!("{} kWh per GB", defaults.egress.energy);
        note("nobody says what a network burns for what leaves", names(&unknown), default);
    }
    if carbon {
        let unknown = |cluster: &Cluster| !signals.pue.contains_key(cluster.name());
        note("nobody says the PUE of", names(&unknown), defaults.pue.to_string());
        let region = |cluster: &'_ Cluster| cluster.spec.region.clone().unwrap_or_default();
        let regions: BTreeSet<String> = clusters()
            .map(region)
            .filter(|region| !signals.intensity.contains_key(region.as_str()))
            .collect();
        let regions = regions
            .iter()
            .map(|region| if region.is_empty() { "clusters without a region" } else { region.as_str() });
        let default = format!("{} gCO2e/kWh", defaults.grid_intensity);
        note("nobody says the grid intensity of", regions.collect(), default);
    }
    notes
}

/// Documents that do not count at this moment.
fn silent(revision: &Revision, now: Timestamp) -> Vec<String> {
    let signals = revision.signals.iter();
    signals
        .filter_map(|(path, signals)| match signals.spec.valid_until {
            Some(until) if until <= now => {
                Some(format!("{path} ended at {until}: what else is known of the same counts"))
            }
            _ if signals.spec.time > now => {
                Some(format!("{path} counts from {} on, and not yet", signals.spec.time))
            }
            _ => None,
        })
        .collect()
}

fn weighs(revision: &Revision, weight: fn(&Objectives) -> f64, limit: fn(&Constraints) -> bool) -> bool {
    let mut specs = revision.applications.values().map(|source| &source.application.spec);
    specs.any(|spec| weight(&spec.objectives) > 0.0 || limit(&spec.constraints))
}

/// Whether a component says what it sends to another, or has to copy.
fn sends(revision: &Revision) -> bool {
    let mut components =
        revision.applications.values().flat_map(|source| &source.application.spec.components);
    components.any(|component| {
        let mut traffic = component.depends_on.iter().filter_map(|dependency| dependency.traffic);
        component.state.is_some() || traffic.any(|traffic| traffic.sends.0 + traffic.receives.0 > 0)
    })
}

fn nodes(cluster: &Cluster, snapshot: &SnapshotSpec) -> Vec<Node> {
    let reported = snapshot.clusters.get(cluster.name()).and_then(|state| state.nodes.clone());
    reported.unwrap_or_else(|| cluster.spec.nodes.iter().flat_map(DeclaredNode::nodes).collect())
}

/// `a, b, c and 4 more`.
fn named(names: &BTreeSet<&str>) -> String {
    let first: Vec<&str> = names.iter().copied().take(NAMED_MAX).collect();
    match names.len().saturating_sub(NAMED_MAX) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
