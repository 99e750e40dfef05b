//! What the cluster serves, in both forms that clients ask for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::sim::kinds::{Kind, Kinds, Version};

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const PART_VERBS: [&str; 3] = ["get", "patch", "update"];
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

pub(super) fn is_aggregated(accept: &str) -> bool {
    accept.contains("g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
}

pub(super) fn version() -> Value {
    let mut numbers = crate::sim::VERSION.trim_start_matches('v').split('.');
    json!({
        "major": numbers.next(), "minor": numbers.next(), "gitVersion": crate::sim::VERSION, "gitCommit": "",
        "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": "linux/arm64",
    })
}

pub(super) fn core() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

pub(super) fn paths(kinds: &Kinds) -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".into(), "/apis".into()];
    for (group, versions) in by_group(kinds).into_iter().filter(|(group, _)| !group.is_empty()) {
        paths.extend(versions.keys().map(|version| format!("/apis/{group}/{version}")));
        paths.push(format!("/apis/{group}"));
    }
    paths.extend(["/healthz", "/livez", "/readyz", "/version"].map(String::from));
    paths.sort();
    json!({"paths": paths})
}

type Served<'a> = Vec<(&'a Arc<Kind>, &'a Version)>;

/// Kinds by group and version.
fn by_group(kinds: &Kinds) -> BTreeMap<&str, BTreeMap<&str, Served<'_>>> {
    let mut groups: BTreeMap<&str, BTreeMap<&str, Served<'_>>> = BTreeMap::new();
    for (_, kind) in kinds.iter() {
        for version in &kind.versions {
            let versions = groups.entry(&kind.group).or_default();
            versions.entry(&version.name).or_default().push((kind, version));
        }
    }
    groups
}

pub(super) fn groups(kinds: &Kinds) -> Value {
    let groups = by_group(kinds).into_keys().filter(|group| !group.is_empty());
    let groups: Vec<_> = groups.filter_map(|group| self::group(kinds, group)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

pub(super) fn group(kinds: &Kinds, group: &str) -> Option<Value> {
    let versions = by_group(kinds).remove(group).filter(|_| !group.is_empty())?;
    let show = |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    let versions: Vec<_> = versions.keys().map(show).collect();
    let preferred = &versions[0];
    Some(json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": group, "versions": versions, "preferredVersion": preferred,
    }))
}

pub(super) fn resources(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let served = by_group(kinds).remove(group)?.remove(version)?;
    let mut resources = Vec::new();
    for (kind, version) in served {
        let name = &kind.plural;
        let mut resource = json!({
            "name": name, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": VERBS,
        });
        if !kind.short_names.is_empty() {
            resource["shortNames"] = json!(kind.short_names);
        }
        if !kind.categories.is_empty() {
            resource["categories"] = json!(kind.categories);
        }
        resources.push(resource);
        let part = |part: &str, shown: &str| {
            json!({
                "name": format!("{name}/{part}"), "singularName": "", "namespaced": kind.namespaced, "kind": shown,
                "verbs": PART_VERBS,
            })
        };
        if version.scale {
            let mut scale = part("scale", "Scale");
            scale["group"] = "autoscaling".into();
            scale["version"] = "v1".into();
            resources.push(scale);
        }
        if version.status {
            resources.push(part("status", &kind.kind));
        }
    }
    let slash = if group.is_empty() { "" } else { "/" };
    let group_version = format!("{group}{slash}{version}");
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
    }))
}

/// All groups in one document; `core` chooses the one without a name.
pub(super) fn aggregated(kinds: &Kinds, core: bool) -> Response {
    let groups = by_group(kinds).into_iter().filter(|(group, _)| group.is_empty() == core);
    let show = |(group, versions): (&str, BTreeMap<&str, Served<'_>>)| {
        let versions: Vec<_> = versions
            .into_iter()
            .map(|(version, served)| {
                let resources: Vec<_> =
                    served.into_iter().map(|(kind, version)| resource(kind, version)).collect();
                json!({"version": version, "freshness": "Current", "resources": resources})
            })
            .collect();
        let metadata = if core { json!({}) } else { json!({"name": group}) };
        json!({"metadata": metadata, "versions": versions})
    };
    let document = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": groups.map(show).collect::<Vec<_>>(),
    });
    ([(header::CONTENT_TYPE, AGGREGATED)], document.to_string()).into_response()
}

fn resource(kind: &Kind, version: &Version) -> Value {
    let own = json!({"group": kind.group, "version": version.name, "kind": kind.kind});
    let part =
        |name: &str, shown: &Value| json!({"subresource": name, "responseKind": shown, "verbs": PART_VERBS});
    let scale = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    let mut parts = Vec::new();
    parts.extend(version.scale.then(|| part("scale", &scale)));
    parts.extend(version.status.then(|| part("status", &own)));
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": own,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": VERBS,
    });
    for (field, list) in [
        ("shortNames", json!(kind.short_names)),
        ("categories", json!(kind.categories)),
        ("subresources", json!(parts)),
    ] {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            resource[field] = list;
        }
    }
    resource
}
