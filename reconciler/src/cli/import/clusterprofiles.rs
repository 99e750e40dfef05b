//! `ClusterProfile` objects (KEP-4322) as clusters of ours: what carries over, and what does not.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use qonnect_schema::Cluster;
use qonnect_schema::documents::ApiVersion;
use qonnect_schema::layout::CLUSTERS;
use qonnect_schema::validate::is_dns_label;
use qonnect_schema::yaml;
use serde_json::{Value, json};

use crate::cli::multicluster::{MANAGER_LABEL, REGION, TIER};

/// Files by their paths in the repository, and what a person has to look at.
#[derive(Debug, Default)]
pub(super) struct Imported {
    pub(super) files: BTreeMap<String, String>,
    pub(super) notes: Vec<String>,
}

/// `tier` is that of clusters that do not name one.
pub(super) fn import(documents: Vec<Value>, tier: Option<&str>) -> anyhow::Result<Imported> {
    let mut imported = Imported::default();
    let mut profiles = 0;
    for object in documents.into_iter().flat_map(items) {
        if object["kind"] != "ClusterProfile" {
            imported.notes.push(format!("a document of kind {} is not taken over", object["kind"]));
            continue;
        }
        profiles += 1;
        imported.take(&Profile { object }, tier)?;
    }
    ensure!(profiles > 0, "it holds no ClusterProfile; `kubectl get clusterprofiles -A -o yaml` writes them");
    Ok(imported)
}

/// Those of a list, or the object itself.
fn items(mut object: Value) -> Vec<Value> {
    match object["items"].take() {
        Value::Array(items) => items,
        _ => vec![object],
    }
}

impl Imported {
    fn take(&mut self, profile: &Profile, tier: Option<&str>) -> anyhow::Result<()> {
        let name = profile.name();
        if !is_dns_label(name) {
            self.notes.push(format!(
                "`{name}` cannot be the name of a cluster: lower case letters, digits and `-`"
            ));
            return Ok(());
        }
        let path = format!("{CLUSTERS}/{name}.yaml");
        if self.files.contains_key(&path) {
            let namespace = profile.text("/metadata/namespace").unwrap_or("default");
            self.notes.push(format!(
                "{name} of the namespace {namespace} is a second one of that name, and left out"
            ));
            return Ok(());
        }
        let tier = profile.property(TIER).or(tier);
        let tier = tier.with_context(|| {
            format!("{name} has no property {TIER}; say with --tier of which tier such clusters are")
        })?;
        self.files.insert(path, profile.document(tier)?);
        let lost = profile.lost();
        if !lost.is_empty() {
            self.notes.push(format!("{name}: {} not taken over", lost.join(", ")));
        }
        Ok(())
    }
}

struct Profile {
    object: Value,
}

impl Profile {
    fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.object.pointer(pointer)?.as_str()
    }

    fn labels(&self) -> BTreeMap<&str, &str> {
        let labels = self.object["metadata"]["labels"].as_object().into_iter().flatten();
        labels.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
    }

    fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        let properties = self.object["status"]["properties"].as_array().into_iter().flatten();
        properties.filter_map(|one| Some((one["name"].as_str()?, one["value"].as_str()?)))
    }

    /// What the cluster manager has observed, or what a person has put on the object.
    fn property(&self, name: &str) -> Option<&str> {
        let observed = self.properties().find(|(property, _)| *property == name).map(|(_, value)| value);
        observed.or_else(|| self.labels().get(name).copied())
    }

    fn document(&self, tier: &str) -> anyhow::Result<String> {
        let mut labels = self.labels();
        // It says who wrote the object, which is us from now on.
        labels.remove(MANAGER_LABEL);
        let mut document = json!({
            "apiVersion": ApiVersion::default(), "kind": Cluster::KIND,
            "metadata": {"name": self.name()}, "spec": {"tier": tier},
        });
        if !labels.is_empty() {
            document["metadata"]["labels"] = json!(labels);
        }
        if let Some(region) = self.property(REGION) {
            document["spec"]["region"] = json!(region);
        }
        Ok(yaml::to_string(&document)?)
    }

    /// What a cluster of ours does not say. Versions, capacity and health are left out: agents report them.
    fn lost(&self) -> Vec<String> {
        let known = [TIER, REGION];
        let properties: BTreeSet<_> = self.properties().map(|(name, _)| name).collect();
        let mut lost: Vec<_> = properties
            .into_iter()
            .filter(|name| !known.contains(name))
            .map(|name| format!("the property {name}"))
            .collect();
        for access in ["accessProviders", "credentialProviders"] {
            if self.object["status"][access].as_array().is_some_and(|providers| !providers.is_empty()) {
                lost.push(format!("{access}, since an agent in the cluster needs no way in,"));
            }
        }
        if let Some(shown) = self.text("/spec/displayName").filter(|shown| *shown != self.name()) {
            lost.push(format!("the display name {shown:?}"));
        }
        lost
    }
}
