//! An application of the original QONNECT, as one of ours: what carries over, and what does not.
//!
//! ```text
//! application.yaml   metadata: {name, labels, qos: {energy, pricing, performance}}
//! one file a tier    Deployments, Services, ServiceAccounts, ConfigMaps, Ingresses
//! ```
//!
//! Its agents put the application's labels on every object, and the address of another tier's Ingress in place of
//! a ConfigMap's value `[FOG_CLUSTER_IP]`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, ensure};
use qonnect_schema::documents::application::{Component, Dependency, Expose, Objectives};
use qonnect_schema::validate::is_dns_label;
use qonnect_schema::yaml::{self, Limits};
use qonnect_schema::{Application, ApplicationSpec};
use serde_json::Value;

use super::parts::{Part, parts};
use super::routes;
use super::source::Source;

pub(super) const TIERS: [&str; 3] = ["cloud", "fog", "edge"];

/// Node ports of the whole range that Kubernetes gives out by default.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

/// Below it the original counts a weight as absent; where all are, as one each.
const WEIGHT_MIN: f64 = 0.1;

/// An application of ours.
pub(super) struct Imported {
    pub(super) name: String,
    /// By name within its folder.
    pub(super) files: BTreeMap<String, String>,
    /// What a person has to look at.
    pub(super) notes: Vec<String>,
}

impl Imported {
    pub(super) fn told(&self, folder: &Path) -> String {
        let mut text =
            format!("{}: {}\n", folder.display(), self.files.keys().cloned().collect::<Vec<_>>().join(", "));
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        text
    }
}

/// `taken` are the node ports of others in the fleet.
pub(super) fn import(
    application: &Source,
    tiers: &[(&str, Source)],
    taken: &BTreeSet<u16>,
) -> anyhow::Result<Imported> {
    let mut notes = Vec::new();
    let mut documents = objects(application)?;
    ensure!(documents.len() == 1, "{} holds {} documents; one is read", application.file, documents.len());
    let document = documents.remove(0);
    let name = named(application, &document)?;
    let labels = labels(&document);
    let objectives = objectives(application, &document, &mut notes)?;

    let (mut all, mut routes) = (Vec::new(), Vec::new());
    for (tier, source) in tiers {
        let stem = Path::new(&source.file).file_stem().and_then(|stem| stem.to_str()).unwrap_or(tier);
        let (ingresses, objects): (Vec<_>, Vec<_>) =
            objects(source)?.into_iter().partition(|object| object["kind"] == "Ingress");
        routes.extend(ingresses.iter().flat_map(|ingress| routes::of(tier, ingress)));
        all.extend(parts(tier, stem, objects));
    }
    ensure!(!all.is_empty(), "the tiers hold no objects");
    // They become names of files and folders.
    for taken in std::iter::once(&name).chain(all.iter().map(|part| &part.name)) {
        ensure!(
            is_dns_label(taken),
            "`{taken}` cannot be the name of an application or a component: lower case letters, digits and `-`, 63 at the most"
        );
    }
    rename_what_clashes(&mut all, &mut notes);
    routes::follow(&mut all, &routes, &mut notes);
    for part in &mut all {
        part.label(&labels);
        note_what_is_not_requested(part, &mut notes);
    }

    let mut ports = NODE_PORTS.filter(|port| !taken.contains(port));
    let components = all.iter().map(|part| component(part, &mut ports)).collect::<anyhow::Result<_>>()?;
    let spec = ApplicationSpec { objectives, components, ..Default::default() };
    let mut application = Application::new(&name, spec);
    application.metadata.labels = labels;
    let mut files = BTreeMap::from([("application.yaml".to_owned(), yaml::to_string(&application)?)]);
    for part in &all {
        let objects: Vec<String> = part.objects.iter().map(yaml::to_string).collect::<Result<_, _>>()?;
        files.insert(part.file(), objects.join("---\n"));
    }
    Ok(Imported { name, files, notes })
}

/// Its documents, each of which says what it is.
fn objects(source: &Source) -> anyhow::Result<Vec<Value>> {
    let documents = source.documents(&Limits::DEFAULT)?;
    let said = |document: &Value, pointer| {
        document.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
    };
    ensure!(
        documents.iter().all(|document| said(document, "/kind") && said(document, "/metadata/name")),
        "{} holds a document without `kind` or `metadata.name`",
        source.file
    );
    Ok(documents)
}

fn named(source: &Source, document: &Value) -> anyhow::Result<String> {
    ensure!(
        document["kind"] == "Application",
        "{} is of kind {}, not Application",
        source.file,
        document["kind"]
    );
    Ok(document["metadata"]["name"].as_str().unwrap_or_default().into())
}

fn labels(document: &Value) -> BTreeMap<String, String> {
    let labels = document["metadata"]["labels"].as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn objectives(source: &Source, document: &Value, notes: &mut Vec<String>) -> anyhow::Result<Objectives> {
    let mut weights = BTreeMap::from([("energy", 0.0), ("pricing", 0.0), ("performance", 0.0)]);
    for (name, value) in document["metadata"]["qos"].as_object().into_iter().flatten() {
        let Some(weight) = weights.get_mut(name.as_str()) else {
            notes.push(format!("`qos.{name}` is not known and not taken over"));
            continue;
        };
        let valid = value.as_f64().filter(|value| (0.0..=1.0).contains(value));
        *weight = valid
            .with_context(|| format!("{}: `qos.{name}` is {value}, not a number from 0 to 1", source.file))?;
    }
    if weights.values().all(|weight| *weight < WEIGHT_MIN) {
        notes.push(format!(
            "every weight is below {WEIGHT_MIN}, which the original counts as one each; so does this"
        ));
        weights.values_mut().for_each(|weight| *weight = 1.0);
    }
    Ok(Objectives {
        energy: weights["energy"],
        cost: weights["pricing"],
        performance: weights["performance"],
        ..Default::default()
    })
}

/// In the original each tier is a world of its own; here the components of an application share a namespace.
fn rename_what_clashes(parts: &mut [Part], notes: &mut Vec<String>) {
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for part in parts {
        if !names.insert(part.name.clone()) {
            let name = format!("{}-{}", part.name, part.tier);
            notes.push(format!("a second component is called {}; it becomes {name}", part.name));
            names.insert(name.clone());
            part.name = name;
        }
        for (kind, name) in part.identities() {
            if !seen.insert((kind.clone(), name.clone())) {
                let new = format!("{name}-{}", part.name);
                if part.rename(&kind, &name, &new) {
                    seen.insert((kind, new));
                } else {
                    notes.push(format!("{kind} {name} stands in two components; rename one of them"));
                }
            }
        }
    }
}

fn note_what_is_not_requested(part: &Part, notes: &mut Vec<String>) {
    if part.requests_nothing() {
        notes.push(format!(
            "{} requests no CPU or no memory: it counts as nothing when it is placed; add `resources.requests` in {}",
            part.name,
            part.file()
        ));
    }
}

fn component(part: &Part, ports: &mut impl Iterator<Item = u16>) -> anyhow::Result<Component> {
    let expose = match &part.exposed {
        Some(service) => {
            let node_port = ports.next().context("no node port is free in the fleet")?;
            Some(Expose { service: service.clone(), node_port })
        }
        None => None,
    };
    let depends_on =
        part.calls.iter().map(|callee| Dependency { component: callee.clone(), ..Dependency::default() });
    Ok(Component {
        name: part.name.clone(),
        manifests: vec![part.file()],
        tiers: vec![part.tier.clone()],
        depends_on: depends_on.collect(),
        expose,
        ..Default::default()
    })
}

#[cfg(test)]
mod tests;
