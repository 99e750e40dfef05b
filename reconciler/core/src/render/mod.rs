//! Turns one component on one cluster into the files that its agent applies.
//!
//! Same input, same bytes: one object a file, numbered in the order in which its author wrote them.

use std::collections::BTreeMap;
use std::sync::Arc;

use qonnect_schema::documents::application::{Component, MoveStrategy, OnLost};
use qonnect_schema::layout::{LEASED, NAMESPACE, READY_WITHIN, RUNS_ONCE, label};
use qonnect_schema::revision::ApplicationSource;
use qonnect_schema::{Cluster, yaml};
use serde_json::{Value, json};

mod endpoint;
mod object;
mod substitute;

pub use endpoint::{Endpoint, endpoint, exposed_service};

/// What the strings of a component's manifests may refer to.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub cluster: &'a Cluster,
    pub source: &'a ApplicationSource,
    /// Where this cluster reaches the components of the same application.
    pub endpoints: &'a BTreeMap<&'a str, Endpoint>,
    /// The cluster-scoped kinds that `fleet.yaml` lists.
    pub cluster_scoped: &'a [String],
}

/// The files of one component, by name.
pub fn component(component: &Component, context: &Context<'_>) -> BTreeMap<String, Arc<[u8]>> {
    let written = context.source.manifests.get(&component.name).map_or(&[][..], Vec::as_slice);
    let mut objects: Vec<Value> = written.iter().map(|manifest| manifest.object.clone()).collect();
    objects.extend(exposed_service(component, written));
    // Two digits, or as many as keep the order of names the order of numbers.
    let digits = objects.len().saturating_sub(1).to_string().len().max(2);
    let mut files = BTreeMap::new();
    for (number, mut object) in objects.into_iter().enumerate() {
        substitute::strings(&mut object, component, context);
        object::place(&mut object, context);
        object::label(&mut object, context.source.application.name(), &component.name);
        if component.strategy == MoveStrategy::Recreate {
            object::annotate(&mut object, RUNS_ONCE);
        }
        if component.on_lost == OnLost::AfterLease {
            object::annotate(&mut object, LEASED);
        }
        if let Some(limit) = component.ready_within
            && object["metadata"]["annotations"][READY_WITHIN].is_null()
        {
            object::annotate(&mut object, (READY_WITHIN, &limit.to_string()));
        }
        files.insert(format!("{number:0digits$}-{}.yaml", object::file_name(&object)), bytes(&object));
    }
    files
}

/// The namespace of an application. It names no application, since several may share it.
pub fn namespace(source: &ApplicationSource) -> (String, Arc<[u8]>) {
    let object = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": source.namespace(), "labels": { label::MANAGED_BY: label::QONNECT } },
    });
    (NAMESPACE.into(), bytes(&object))
}

fn bytes(object: &Value) -> Arc<[u8]> {
    yaml::to_string(object).expect("a JSON value with text for keys has a YAML form").into_bytes().into()
}

#[cfg(test)]
mod tests;
