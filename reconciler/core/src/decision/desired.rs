//! The files that should stand on the deploy branch.

use std::collections::BTreeMap;
use std::sync::Arc;

use qonnect_schema::documents::application::Component;
use qonnect_schema::revision::ApplicationSource;
use qonnect_schema::{Placement, layout};

use super::rendered::{Files, Rendered};
use super::{AllCopies, Input, component_folder, document};
use crate::render::{self, Context, Endpoint};
use crate::rollout::Copies;

type Tree = BTreeMap<String, Arc<[u8]>>;

/// The rendered objects of every cluster.
pub(super) fn files(input: &Input<'_>, copies: &AllCopies, rendered: &mut Rendered) -> Tree {
    rendered.fit(input.revision, copies);
    let mut tree = frozen(input);
    for (name, source) in &input.revision.applications {
        if let Some(copies) = copies.get(name) {
            let files = rendered.files(source, copies, || application(input, source, copies));
            tree.extend(files.iter().cloned());
        }
    }
    tree
}

fn application(input: &Input<'_>, source: &ApplicationSource, copies: &BTreeMap<String, Copies>) -> Files {
    let mut all = Files::new();
    let name = source.application.name();
    let mut by_cluster: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for component in &source.application.spec.components {
        for cluster in copies.get(&component.name).into_iter().flat_map(|copies| &copies.on) {
            by_cluster.entry(cluster).or_default().push(component);
        }
    }
    for (cluster, components) in by_cluster {
        let Some(target) = input.revision.clusters.get(cluster) else { continue };
        let endpoints = endpoints(input, source, copies, cluster);
        let context = Context {
            cluster: target,
            source,
            endpoints: &endpoints,
            cluster_scoped: &input.revision.fleet.cluster_scoped,
        };
        let (file, bytes) = render::namespace(source);
        all.push((format!("{}/{name}/{file}", layout::cluster_folder(cluster)), bytes));
        for component in components {
            let folder = component_folder(cluster, name, &component.name);
            let files = render::component(component, &context).into_iter();
            all.extend(files.map(|(file, bytes)| (format!("{folder}/{file}"), bytes)));
        }
    }
    for (path, bytes) in &mut all {
        // What is kept takes no room twice.
        if let Some(deployed) = input.deployed.files.get(path).filter(|deployed| *deployed == bytes) {
            *bytes = deployed.clone();
        }
    }
    all
}

/// Where `cluster` reaches each component. One that runs nowhere keeps the name of its Service, so that its
/// callers start.
fn endpoints<'a>(
    input: &Input<'_>,
    source: &'a ApplicationSource,
    copies: &BTreeMap<String, Copies>,
    cluster: &str,
) -> BTreeMap<&'a str, Endpoint> {
    let used = |callee: &Component| copies.get(&callee.name).map(|copies| copies.callers_use.as_str());
    let endpoint = |callee: &Component| {
        let elsewhere =
            used(callee).filter(|used| *used != cluster).and_then(|used| input.revision.clusters.get(used));
        let manifests = source.manifests.get(&callee.name).map_or(&[][..], Vec::as_slice);
        render::endpoint(callee, manifests, elsewhere)
    };
    let components = &source.application.spec.components;
    let mut endpoints: BTreeMap<&str, Endpoint> =
        components.iter().map(|callee| (callee.name.as_str(), endpoint(callee))).collect();
    // Of what is on all clusters, the part beside the caller is called, else the first.
    let beside = |callee: &&Component| used(callee) == Some(cluster);
    for callee in components.iter().filter(beside).chain(components) {
        endpoints.entry(layout::whole(&callee.name)).or_insert_with(|| endpoint(callee));
    }
    endpoints
}

/// What is deployed of applications whose source cannot be read.
fn frozen(input: &Input<'_>) -> Tree {
    if input.frozen.is_empty() {
        return Tree::new();
    }
    let application = |path: &str| path.split('/').nth(2).map(str::to_owned);
    let files = input.deployed.files.iter().filter(|(path, _)| {
        path.starts_with(layout::CLUSTERS)
            && application(path).is_some_and(|name| input.frozen.contains(&name))
    });
    files.map(|(path, bytes)| (path.clone(), bytes.clone())).collect()
}

/// The `Placement` of each application: written anew where its decision changed, as it was elsewhere.
pub(super) fn placements(input: &Input<'_>, changed: &BTreeMap<String, Option<Placement>>, tree: &mut Tree) {
    for (name, placement) in changed {
        if let Some(placement) = placement {
            tree.insert(layout::placement(name), document(placement));
        }
    }
    for (name, placement) in &input.snapshot.placements {
        if changed.contains_key(name) {
            continue;
        }
        let path = layout::placement(name);
        let written = input.deployed.files.get(&path).filter(|_| !input.deployed.foreign).cloned();
        tree.insert(path, written.unwrap_or_else(|| document(placement)));
    }
}
