//! Where the figures of a score come from: a signal, the nodes, a document, or a default that stands in.

use std::collections::BTreeSet;

use qonnect_schema::documents::application::Strategy;
use qonnect_schema::documents::cluster::{DeclaredNode, EgressRates};
use qonnect_schema::documents::signals::Egress;
use qonnect_schema::documents::snapshot::Node;
use qonnect_schema::revision::Revision;
use qonnect_schema::{Cluster, SignalsSpec, SnapshotSpec};

use super::ApplicationPlan;
use super::signals::valid;

/// What stands in for what nobody else says.
const FLEET: &str = "the fleet's defaults";

/// Names the source of each term of each chosen cluster, for people who ask.
pub(super) fn name(
    plan: &mut ApplicationPlan,
    revision: &Revision,
    snapshot: &SnapshotSpec,
    application: &str,
) {
    // Points of ranks come from all nodes at once.
    if plan.strategy != Strategy::Optimal {
        return;
    }
    let sources = Sources { revision, snapshot };
    let calls = calls(plan, revision, application);
    let home = |component: &str| plan.components.get(component)?.cluster.clone();
    let named: Vec<(String, Vec<String>)> = plan
        .components
        .iter()
        .filter_map(|(component, placement)| {
            let here = revision.clusters.get(placement.cluster.as_ref()?)?;
            let others = calls.iter().filter_map(|(caller, callee)| match component {
                _ if component == caller => home(callee),
                _ if component == callee => home(caller),
                _ => None,
            });
            let others: BTreeSet<String> = others.filter(|other| other != here.name()).collect();
            let there: Vec<&Cluster> =
                others.iter().filter_map(|other| revision.clusters.get(other)).collect();
            let terms = placement.score.iter().flat_map(|score| &score.terms);
            Some((component.clone(), terms.map(|term| sources.of(&term.name, here, &there)).collect()))
        })
        .collect();
    for (component, sources) in named {
        let score = plan.components.get_mut(&component).and_then(|placement| placement.score.as_mut());
        let terms = score.into_iter().flat_map(|score| &mut score.terms);
        terms.zip(sources).for_each(|(term, source)| term.source = source.into());
    }
}

/// Who calls whom, by name.
fn calls(plan: &ApplicationPlan, revision: &Revision, application: &str) -> Vec<(String, String)> {
    let Some(source) = plan.divided.as_ref().or_else(|| revision.applications.get(application)) else {
        return Vec::new();
    };
    let components = source.application.spec.components.iter();
    let calls = components.flat_map(|caller| {
        caller.depends_on.iter().map(|callee| (caller.name.clone(), callee.component.clone()))
    });
    calls.collect()
}

struct Sources<'a> {
    revision: &'a Revision,
    snapshot: &'a SnapshotSpec,
}

impl Sources<'_> {
    fn of(&self, term: &str, here: &Cluster, there: &[&Cluster]) -> String {
        match term {
            "cost" => self.price(here),
            "energy" => self.energy(here),
            "carbon" => {
                let (energy, pue, grid) = (self.energy(here), self.pue(here), self.grid(here));
                format!("energy: {energy}; PUE: {pue}; grid: {grid}")
            }
            "performance" => {
                let rates = here.spec.defaults.bandwidth.is_some();
                format!("bandwidth: {}", self.rated(here, |node| node.bandwidth.is_some(), rates))
            }
            "communication" => each(there, |other| self.round_trip(here, other)),
            "egress" => {
                self.leaving(here, there, |rates| rates.price.is_some(), |egress| egress.price.is_some())
            }
            "network energy" => self.burning(here, there),
            "network carbon" => {
                let ends: Vec<_> = std::iter::once(here).chain(there.iter().copied()).collect();
                format!("{}; grid: {}", self.burning(here, there), each(&ends, |end| self.grid(end)))
            }
            _ => "moves of the fleet".into(),
        }
    }

    /// The newest valid document of signals that says it.
    fn signal(&self, says: impl Fn(&SignalsSpec) -> bool) -> Option<String> {
        let newest_first = valid(self.snapshot.now, &self.revision.signals).into_iter().rev();
        let mut saying = newest_first.filter(|(_, signals)| says(&signals.spec));
        saying.next().map(|(path, signals)| format!("{path} ({})", signals.spec.source))
    }

    fn price(&self, cluster: &Cluster) -> String {
        let said = self.signal(|spec| spec.prices.iter().any(|price| price.cluster == cluster.name()));
        let rates = cluster.spec.defaults.price.is_some();
        said.unwrap_or_else(|| self.rated(cluster, |node| node.price.is_some(), rates))
    }

    fn energy(&self, cluster: &Cluster) -> String {
        let family = cluster.spec.processor.as_deref();
        let power = self.signal(|spec| spec.power_models.iter().any(|model| model.cluster == cluster.name()));
        let processor =
            || self.signal(|spec| spec.processors.iter().any(|one| Some(one.family.as_str()) == family));
        let rates = cluster.spec.defaults.energy.is_some();
        power.or_else(processor).unwrap_or_else(|| self.rated(cluster, |node| node.energy.is_some(), rates))
    }

    fn pue(&self, cluster: &Cluster) -> String {
        let said = self.signal(|spec| spec.pue.iter().any(|pue| pue.cluster == cluster.name()));
        said.unwrap_or_else(|| FLEET.into())
    }

    fn grid(&self, cluster: &Cluster) -> String {
        let region = cluster.spec.region.as_deref();
        let said =
            self.signal(|spec| spec.grid_intensity.iter().any(|grid| Some(grid.region.as_str()) == region));
        said.unwrap_or_else(|| FLEET.into())
    }

    /// What the nodes say themselves, and what counts for the others.
    fn rated(&self, cluster: &Cluster, says: impl Fn(&Node) -> bool, document: bool) -> String {
        let state = self.snapshot.clusters.get(cluster.name());
        let reported = state.and_then(|state| state.nodes.as_ref());
        let nodes: Vec<Node> = match reported {
            Some(nodes) => nodes.clone(),
            None => cluster.spec.nodes.iter().flat_map(DeclaredNode::nodes).collect(),
        };
        let own = if reported.is_some() { "labels of its nodes" } else { "its document's nodes" };
        let rest = if document { "its document's defaults" } else { FLEET };
        match nodes.iter().filter(|node| says(node)).count() {
            0 => rest.into(),
            all if all == nodes.len() => own.into(),
            some => format!("{own} for {some} of {}, {rest} for the others", nodes.len()),
        }
    }

    fn burning(&self, here: &Cluster, there: &[&Cluster]) -> String {
        self.leaving(here, there, |rates| rates.energy.is_some(), |egress| egress.energy.is_some())
    }

    /// For both ends, who says what leaves there.
    fn leaving(
        &self,
        here: &Cluster,
        there: &[&Cluster],
        own: fn(&EgressRates) -> bool,
        says: fn(&Egress) -> bool,
    ) -> String {
        let ends: Vec<_> = std::iter::once(here).chain(there.iter().copied()).collect();
        let signal = |from: &str| {
            self.signal(|spec| spec.egress.iter().any(|egress| egress.from == from && says(egress)))
        };
        each(&ends, |end| {
            let document = || own(&end.spec.egress).then(|| "its document".to_owned());
            let region = || signal(end.spec.region.as_deref()?);
            signal(end.name()).or_else(document).or_else(region).unwrap_or_else(|| FLEET.into())
        })
    }

    /// In the order in which planning asks.
    fn round_trip(&self, a: &Cluster, b: &Cluster) -> String {
        let between = |one: &str, other: &str| {
            self.signal(|spec| {
                spec.round_trips.iter().any(|trip| {
                    trip.between.iter().any(|end| end == one) && trip.between.iter().any(|end| end == other)
                })
            })
        };
        let measured = |from: &Cluster, to: &Cluster| {
            let state = self.snapshot.clusters.get(from.name());
            state.is_some_and(|state| state.measured.round_trips.contains_key(to.name()))
        };
        let named = |from: &Cluster, to: &Cluster| from.spec.latency.clusters.contains_key(to.name());
        let toward = |from: &Cluster, to: &Cluster| {
            to.spec.region.as_ref().is_some_and(|region| from.spec.latency.regions.contains_key(region))
        };
        if let Some(signal) = between(a.name(), b.name()) {
            return signal;
        }
        if measured(a, b) || measured(b, a) {
            return "measured by their agents".into();
        }
        if named(a, b) || named(b, a) {
            return "their documents".into();
        }
        let regions = a.spec.region.as_deref().zip(b.spec.region.as_deref());
        let signal = regions.filter(|(a, b)| a != b).and_then(|(a, b)| between(a, b));
        let documents = (toward(a, b) || toward(b, a)).then(|| "their documents, by region".to_owned());
        signal.or(documents).unwrap_or_else(|| FLEET.into())
    }
}

/// One source where all have the same, else one for each cluster.
fn each(clusters: &[&Cluster], source: impl Fn(&Cluster) -> String) -> String {
    let all: Vec<(String, &str)> = clusters.iter().map(|cluster| (source(cluster), cluster.name())).collect();
    let different: BTreeSet<&str> = all.iter().map(|(source, _)| source.as_str()).collect();
    match different.len() {
        0 => "no other cluster".into(),
        1 => different.into_iter().collect(),
        _ => all.iter().map(|(source, name)| format!("{name}: {source}")).collect::<Vec<_>>().join("; "),
    }
}
