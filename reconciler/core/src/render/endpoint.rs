//! Where a component is reached: by its Service in the same cluster, by a node port from any other.

use qonnect_schema::documents::application::Component;
use qonnect_schema::manifest::{Manifest, ObjectId};
use qonnect_schema::{Cluster, layout};
use serde_json::{Value, json};

/// What `${component.<name>.host}` and `${component.<name>.port}` become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    /// Absent if the component has no Service that names one.
    pub port: Option<u64>,
}

/// Where callers on another cluster than `elsewhere`, or on the same one if it is `None`, reach a component.
///
/// Without an ingress address or an exposed port there is no way from outside: the name of the Service is kept,
/// so that callers start and wait for it.
pub fn endpoint(callee: &Component, manifests: &[Manifest], elsewhere: Option<&Cluster>) -> Endpoint {
    let outside = elsewhere.and_then(|cluster| {
        let host = cluster.spec.ingress.as_ref()?.address.clone();
        Some(Endpoint { host, port: Some(callee.expose.as_ref()?.node_port.into()) })
    });
    outside.unwrap_or_else(|| inside(callee, manifests))
}

fn inside(callee: &Component, manifests: &[Manifest]) -> Endpoint {
    let named = callee.expose.as_ref().and_then(|expose| service(manifests, Some(&expose.service)));
    match named.or_else(|| service(manifests, None)) {
        Some(service) => Endpoint {
            host: service
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .unwrap_or(layout::whole(&callee.name))
                .into(),
            port: service.pointer("/spec/ports/0/port").and_then(Value::as_u64),
        },
        None => Endpoint { host: layout::whole(&callee.name).into(), port: None },
    }
}

fn service<'a>(manifests: &'a [Manifest], name: Option<&str>) -> Option<&'a Value> {
    manifests.iter().map(|manifest| &manifest.object).find(|object| {
        ObjectId::of(object).is_some_and(|id| {
            id.group.is_empty() && id.kind == "Service" && name.is_none_or(|name| name == id.name)
        })
    })
}

/// Longest name of a Service, a DNS label.
const NAME_CHARS_MAX: usize = 63;
const SUFFIX: &str = "-qonnect";

/// The Service `<service>-qonnect`, which other clusters reach: the first port of `expose.service`, its target
/// and its selector, on `expose.nodePort`.
pub fn exposed_service(component: &Component, manifests: &[Manifest]) -> Option<Value> {
    let expose = component.expose.as_ref()?;
    let service = service(manifests, Some(&expose.service))?;
    let mut port = service.pointer("/spec/ports/0")?.clone();
    port.as_object_mut()?.insert("nodePort".into(), expose.node_port.into());
    let stem = expose.service.get(..NAME_CHARS_MAX - SUFFIX.len()).unwrap_or(&expose.service);
    let mut copy = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": format!("{}{SUFFIX}", stem.trim_end_matches('-')) },
        "spec": { "type": "NodePort", "ports": [port] },
    });
    for field in ["selector", "publishNotReadyAddresses", "sessionAffinity", "ipFamilies", "ipFamilyPolicy"] {
        if let Some(value) = service["spec"].get(field) {
            copy["spec"][field] = value.clone();
        }
    }
    Some(copy)
}
