//! What components ask of each other's place: to be on one cluster, or to be apart.

use std::collections::{BTreeMap, BTreeSet};

use super::components::{fits, names_components};
use super::findings::{Findings, Origin};
use super::fleet::Declared;
use super::words::{did_you_mean, quoted};
use crate::documents::application::Component;

pub(super) fn check(components: &[Component], fleet: &Declared, origin: Origin<'_>, findings: &mut Findings) {
    let names: BTreeSet<&str> = components.iter().map(|component| component.name.as_str()).collect();
    let before = findings.len();
    for (index, component) in components.iter().enumerate() {
        let at = format!("/spec/components/{index}");
        let mut seen = BTreeSet::new();
        for (nth, name) in component.colocate.iter().enumerate() {
            let pointer = format!("{at}/colocate/{nth}");
            check_name(component, name, &names, origin, &pointer, findings);
            if !seen.insert(name) {
                findings.error(origin, "duplicate-name", pointer, format!("`{name}` stands here twice"));
            }
        }
        let mut seen = BTreeSet::new();
        for (nth, separation) in component.separate.iter().enumerate() {
            let pointer = format!("{at}/separate/{nth}");
            check_name(component, &separation.from, &names, origin, &format!("{pointer}/from"), findings);
            if !seen.insert((&separation.from, &separation.by)) {
                let message = format!("`{}` stands here twice", separation.from);
                findings.error(origin, "duplicate-name", format!("{pointer}/from"), message);
            }
            fleet.expect_label(&separation.by, origin, format!("{pointer}/by"), findings);
        }
    }
    if findings.len() == before {
        groups(components, fleet, origin, findings);
    }
}

fn check_name(
    component: &Component,
    name: &str,
    names: &BTreeSet<&str>,
    origin: Origin<'_>,
    pointer: &str,
    findings: &mut Findings,
) {
    if name == component.name {
        findings.error(origin, "invalid-value", pointer, format!("`{name}` names itself"));
    } else if !names.contains(name) && !findings.is_repaired(origin.file, names_components) {
        let message = format!("this application has no component {}", quoted(name));
        let finding = findings.error(origin, "unknown-component", pointer, message);
        if let Some(help) = did_you_mean(name, names.iter().copied()) {
            finding.help(help);
        }
    }
}

/// Finds groups that are to be apart from themselves, and those that no cluster fits as a whole.
fn groups(components: &[Component], fleet: &Declared, origin: Origin<'_>, findings: &mut Findings) {
    let position: BTreeMap<&str, usize> =
        components.iter().enumerate().map(|(at, component)| (component.name.as_str(), at)).collect();
    // The first of each group stands for it.
    let mut first: Vec<usize> = (0..components.len()).collect();
    for (at, component) in components.iter().enumerate() {
        for other in component.colocate.iter().filter_map(|name| position.get(name.as_str())) {
            let (a, b) = (first[at].min(first[*other]), first[at].max(first[*other]));
            first.iter_mut().filter(|one| **one == b).for_each(|one| *one = a);
        }
    }
    for (index, component) in components.iter().enumerate() {
        for (nth, separation) in component.separate.iter().enumerate() {
            let Some(other) = position.get(separation.from.as_str()) else { continue };
            if first[index] == first[*other] {
                let message = format!(
                    "`{}` must be on one cluster with `{}`, and apart from it",
                    component.name, separation.from
                );
                let pointer = format!("/spec/components/{index}/separate/{nth}/from");
                findings
                    .error(origin, "contradiction", pointer, message)
                    .help("drop `colocate` or `separate`");
            }
        }
        let group: Vec<&Component> =
            (0..components.len()).filter(|at| first[*at] == index).map(|at| &components[at]).collect();
        let fits_all =
            || fleet.clusters.values().any(|cluster| group.iter().all(|component| fits(component, cluster)));
        let each_fits =
            || group.iter().all(|component| fleet.clusters.values().any(|cluster| fits(component, cluster)));
        if group.len() > 1 && fleet.complete && each_fits() && !fits_all() {
            let names: Vec<_> = group.iter().map(|component| format!("`{}`", component.name)).collect();
            let message = format!("no cluster fits all of {}, which must be on one", names.join(", "));
            findings
                .warning(origin, "no-cluster-fits", format!("/spec/components/{index}/name"), message)
                .help("compare their tiers, regions and selectors");
        }
    }
}
