//! What the components of an application say of each other and of the fleet.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::{Findings, Origin};
use super::fleet::{Declared, escape};
use super::words::{did_you_mean, quoted};
use super::{bonds, division};
use crate::Cluster;
use crate::documents::application::{
    Application, ClusterSelector, Component, FIELDS, LabelOperator, LabelRequirement, TolerationOperator,
};
use crate::layout;

/// Namespaces that Kubernetes keeps for itself.
const SYSTEM_NAMESPACES: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

pub(super) fn check(
    application: &Application,
    fleet: &Declared,
    origin: Origin<'_>,
    findings: &mut Findings,
) {
    let spec = &application.spec;
    let weights = spec.objectives;
    if [weights.energy, weights.cost, weights.performance, weights.carbon].iter().all(|weight| *weight == 0.0)
    {
        findings
            .error(origin, "no-objective", "/spec/objectives", "all objectives are zero")
            .help("give at least one of `energy`, `cost`, `performance` and `carbon` a weight up to 1");
    }
    let namespace = spec.namespace.as_deref().unwrap_or(application.name());
    if SYSTEM_NAMESPACES.contains(&namespace) {
        let message = format!("the namespace `{namespace}` belongs to Kubernetes");
        findings.error(origin, "system-namespace", "/spec/namespace", message).help("choose another one");
    }
    for (index, region) in spec.constraints.regions.iter().enumerate() {
        let pointer = format!("/spec/constraints/regions/{index}");
        fleet.expect_known("region", region, &fleet.regions(), origin, pointer, findings);
    }
    let names: BTreeSet<&str> = spec.components.iter().map(|component| component.name.as_str()).collect();
    let mut seen = BTreeSet::new();
    for (index, component) in spec.components.iter().enumerate() {
        if !seen.insert(component.name.as_str()) {
            let message = format!("a second component is called `{}`", component.name);
            findings.error(origin, "duplicate-name", format!("/spec/components/{index}/name"), message);
        }
        dependencies(index, component, &names, origin, findings);
        tolerations(index, component, origin, findings);
        let before = findings.len();
        clusters(index, component, fleet, origin, findings);
        if findings.len() == before && fleet.complete {
            some_cluster(index, component, fleet, origin, findings);
        }
    }
    bonds::check(&spec.components, fleet, origin, findings);
    division::check(&spec.components, fleet, origin, findings);
    pins(&spec.pin, &names, fleet, origin, findings);
    cycles(&spec.components, origin, findings);
}

fn pins(
    pins: &BTreeMap<String, String>,
    names: &BTreeSet<&str>,
    fleet: &Declared,
    origin: Origin<'_>,
    findings: &mut Findings,
) {
    for (component, cluster) in pins {
        let pointer = format!("/spec/pin/{}", escape(component));
        if !names.contains(layout::whole(component)) && !findings.is_repaired(origin.file, names_components) {
            let message = format!("this application has no component {}", quoted(component));
            findings.error(origin, "unknown-component", pointer, message);
        } else {
            fleet.expect_cluster(cluster, origin, pointer, findings);
        }
    }
}

fn dependencies(
    index: usize,
    component: &Component,
    names: &BTreeSet<&str>,
    origin: Origin<'_>,
    findings: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    for (at, dependency) in component.depends_on.iter().enumerate() {
        let pointer = format!("/spec/components/{index}/dependsOn/{at}/component");
        let name = dependency.component.as_str();
        if name == component.name {
            findings.error(origin, "dependency-cycle", pointer, format!("`{name}` depends on itself"));
        } else if !names.contains(name) && !findings.is_repaired(origin.file, names_components) {
            let message = format!("this application has no component {}", quoted(name));
            let finding = findings.error(origin, "unknown-component", pointer, message);
            if let Some(help) = did_you_mean(name, names.iter().copied()) {
                finding.help(help);
            }
        } else if !seen.insert(name) {
            findings.error(origin, "duplicate-name", pointer, format!("`{name}` stands here twice"));
        }
    }
}

/// Whether the names of components depend on what stands at this pointer.
pub(super) fn names_components(pointer: &str) -> bool {
    match pointer.strip_prefix("/spec/components") {
        // The list, a component, or its name.
        Some(below) => below.split('/').nth(2).is_none_or(|field| field == "name"),
        None => "/spec".starts_with(pointer),
    }
}

/// As Kubernetes checks them.
fn tolerations(index: usize, component: &Component, origin: Origin<'_>, findings: &mut Findings) {
    for (at, toleration) in component.tolerations.iter().enumerate() {
        let pointer = format!("/spec/components/{index}/tolerations/{at}");
        let exists = toleration.operator == TolerationOperator::Exists;
        if exists && toleration.value.is_some() {
            let message = "with `operator: Exists` there is no value";
            findings.error(origin, "invalid-value", format!("{pointer}/value"), message);
        }
        if !exists && toleration.key.is_none() {
            findings
                .error(origin, "missing-field", pointer, "a toleration without a key accepts nothing")
                .help("give it a `key`, or write `operator: Exists` to accept every taint");
        }
    }
}

/// Warns of tiers and regions that no cluster has, and refuses selectors that cannot be meant.
fn clusters(
    index: usize,
    component: &Component,
    fleet: &Declared,
    origin: Origin<'_>,
    findings: &mut Findings,
) {
    for (at, tier) in component.tiers.iter().enumerate() {
        let pointer = format!("/spec/components/{index}/tiers/{at}");
        fleet.expect_known("tier", tier, &fleet.tiers(), origin, pointer, findings);
    }
    for (at, region) in component.regions.iter().enumerate() {
        let pointer = format!("/spec/components/{index}/regions/{at}");
        fleet.expect_known("region", region, &fleet.regions(), origin, pointer, findings);
    }
    let selector = &component.cluster_selector;
    let labels = selector.match_expressions.iter().enumerate().map(|one| ("matchExpressions", one));
    let fields = selector.match_fields.iter().enumerate().map(|one| ("matchFields", one));
    for (list, (at, requirement)) in labels.chain(fields) {
        let pointer = format!("/spec/components/{index}/clusterSelector/{list}/{at}");
        if list == "matchFields" && !FIELDS.contains(&requirement.key.as_str()) {
            let message = format!("a cluster cannot be selected by the field {}", quoted(&requirement.key));
            let known = format!("there are `{}`", FIELDS.join("`, `"));
            findings.error(origin, "unknown-field", format!("{pointer}/key"), message).help(known);
        }
        let wants_values = matches!(requirement.operator, LabelOperator::In | LabelOperator::NotIn);
        if wants_values == requirement.values.is_empty() {
            let rule = if wants_values { "needs at least one of" } else { "has no" };
            let message = format!("the operator `{:?}` {rule} `values`", requirement.operator);
            findings.error(origin, "invalid-value", pointer, message);
        }
    }
}

fn some_cluster(
    index: usize,
    component: &Component,
    fleet: &Declared,
    origin: Origin<'_>,
    findings: &mut Findings,
) {
    if !fleet.clusters.is_empty() && !fleet.clusters.values().any(|cluster| fits(component, cluster)) {
        let message = format!("no cluster fits the tiers, regions and selector of `{}`", component.name);
        findings
            .warning(origin, "no-cluster-fits", format!("/spec/components/{index}/name"), message)
            .help("it stays unplaced until such a cluster joins the fleet");
    }
}

/// Whether a cluster has the tier, the region and the labels that a component asks for.
pub(super) fn fits(component: &Component, cluster: &Cluster) -> bool {
    let allows = |list: &[String], name: &str| list.is_empty() || list.iter().any(|allowed| allowed == name);
    allows(&component.tiers, &cluster.spec.tier)
        && allows(&component.regions, cluster.spec.region.as_deref().unwrap_or_default())
        && selects(&component.cluster_selector, cluster)
}

fn selects(selector: &ClusterSelector, cluster: &Cluster) -> bool {
    let says = |key: &str| match key {
        "metadata.name" | "qonnect.io/cluster" => Some(cluster.name()),
        "spec.tier" | "qonnect.io/tier" => Some(cluster.spec.tier.as_str()),
        "spec.region" | "qonnect.io/region" => cluster.spec.region.as_deref(),
        key => cluster.metadata.labels.get(key).map(String::as_str),
    };
    let meets = |requirement: &LabelRequirement| {
        let value = says(&requirement.key);
        let listed = value.is_some_and(|value| requirement.values.iter().any(|one| one == value));
        match requirement.operator {
            LabelOperator::In => listed,
            LabelOperator::NotIn => !listed,
            LabelOperator::Exists => value.is_some(),
            LabelOperator::DoesNotExist => value.is_none(),
        }
    };
    selector.match_labels.iter().all(|(key, value)| says(key) == Some(value))
        && selector.match_expressions.iter().chain(&selector.match_fields).all(meets)
}

/// Reports one cycle of every knot of dependencies.
fn cycles(components: &[Component], origin: Origin<'_>, findings: &mut Findings) {
    let index: BTreeMap<&str, usize> =
        components.iter().enumerate().map(|(index, component)| (component.name.as_str(), index)).collect();
    let callees = |at: usize| {
        let names = components[at].depends_on.iter().map(|dependency| dependency.component.as_str());
        names
            .enumerate()
            .filter_map(|(edge, name)| Some((edge, *index.get(name)?)))
            .filter(move |(_, to)| *to != at)
    };
    let mut state = vec![State::New; components.len()];
    for start in 0..components.len() {
        // Depth first without recursion: a chain may be as long as a document allows.
        let mut path = vec![(start, callees(start).collect::<Vec<_>>())];
        if state[start] != State::New {
            continue;
        }
        state[start] = State::OnPath;
        while let Some((at, rest)) = path.last_mut() {
            let at = *at;
            match rest.pop() {
                None => {
                    state[at] = State::Done;
                    path.pop();
                }
                Some((_, to)) if state[to] == State::New => {
                    state[to] = State::OnPath;
                    path.push((to, callees(to).collect()));
                }
                Some((edge, to)) if state[to] == State::OnPath => {
                    let from = path.iter().position(|(step, _)| *step == to).unwrap_or_default();
                    let names: Vec<_> =
                        path[from..].iter().map(|(step, _)| components[*step].name.as_str()).collect();
                    let message = format!("a cycle: {} → {}", names.join(" → "), components[to].name);
                    let pointer = format!("/spec/components/{at}/dependsOn/{edge}/component");
                    findings
                        .error(origin, "dependency-cycle", pointer, message)
                        .help("callees are applied first, so that one of these cannot be a dependency");
                }
                Some(_) => {}
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    OnPath,
    Done,
}
