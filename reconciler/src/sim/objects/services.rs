//! Addresses and node ports of Services.

use serde_json::{Value, json};

use super::Write;
use crate::sim::ports::{NODE_PORTS, Ports};
use crate::sim::status::{Cause, Status};

/// Gives a Service the address and the node ports that it needs, and takes back those that it gave up.
pub(super) fn allocate(
    ports: &mut Ports,
    write: &Write,
    live: Option<&Value>,
    service: &mut Value,
) -> Result<(), Status> {
    if !write.kind.is("", "Service") {
        return Ok(());
    }
    let invalid = |cause| {
        Status::invalid(&write.kind, service["metadata"]["name"].as_str().unwrap_or_default(), vec![cause])
    };
    if let Some(cause) = clash(ports, live, service) {
        return Err(invalid(cause));
    }
    if let Some(live) = live {
        ports.release(live);
    }
    let spec = &mut service["spec"];
    if spec["type"] == "ExternalName" {
        return Ok(());
    }
    let asked = spec["clusterIP"].as_str().filter(|address| !address.is_empty()).map(str::to_owned);
    if asked.as_deref() != Some("None") {
        let address = ports.take_address(asked.as_deref()).or(asked).unwrap_or_default();
        spec["clusterIP"] = address.into();
    }
    if spec.get("clusterIPs").is_none() {
        spec["clusterIPs"] = json!([spec["clusterIP"]]);
    }
    let exposed = spec["type"] == "NodePort" || spec["type"] == "LoadBalancer";
    let list = || spec["ports"].as_array().into_iter().flatten();
    let protocol = |port: &Value| port["protocol"].as_str().unwrap_or("TCP").to_owned();
    // Asked ones first, so that no other port of this Service takes them.
    for port in list().filter(|_| exposed) {
        if let Some(number) = port["nodePort"].as_u64().filter(|number| *number != 0) {
            ports.take_port(number, &protocol(port));
        }
    }
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        if exposed && port["nodePort"].as_u64().unwrap_or(0) == 0 {
            port["nodePort"] = ports.take_any_port(&protocol(port)).into();
        }
    }
    Ok(())
}

/// A node port that is out of range, or that another Service holds.
fn clash(ports: &Ports, live: Option<&Value>, service: &Value) -> Option<Cause> {
    let held = |number: u64| {
        let list = live.and_then(|live| live["spec"]["ports"].as_array());
        list.into_iter().flatten().any(|port| port["nodePort"] == number)
    };
    let list = service["spec"]["ports"].as_array().into_iter().flatten().enumerate();
    list.filter_map(|(at, port)| Some((at, port, port["nodePort"].as_u64().filter(|number| *number != 0)?)))
        .find_map(|(at, port, number)| {
            let field = format!("spec.ports[{at}].nodePort");
            if !NODE_PORTS.contains(&number) {
                let why = "provided port is not in the valid range. The range of valid ports is 30000-32767";
                return Some(Cause::invalid(field, &port["nodePort"], why));
            }
            let taken = !ports.is_free(number, port["protocol"].as_str().unwrap_or("TCP")) && !held(number);
            taken.then(|| Cause::invalid(field, &port["nodePort"], "provided port is already allocated"))
        })
}
