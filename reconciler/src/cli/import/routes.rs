//! The way from one tier into another: an address, a port and a path of an Ingress, as a component that is called.

use serde_json::Value;

use super::parts::Part;
use super::swarmchestrate::TIERS;

/// A path of an Ingress.
pub(super) struct Route {
    tier: String,
    /// What its pattern begins with, up to where it means more than itself.
    prefix: String,
    service: String,
    /// The Service gets only what follows the prefix.
    stripped: bool,
}

/// Another tier's address, in a ConfigMap, and the value beside it that says port and path.
struct Address {
    object: usize,
    host: String,
    port: Option<String>,
    tier: &'static str,
}

pub(super) fn of(tier: &str, ingress: &Value) -> Vec<Route> {
    let rewrites = &ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/rewrite-target"];
    let rules = ingress["spec"]["rules"].as_array().into_iter().flatten();
    let paths = rules.filter_map(|rule| rule["http"]["paths"].as_array()).flatten();
    let route = |path: &Value| {
        let pattern = path["path"].as_str()?;
        let literal =
            pattern.find(['(', '[', '.', '*', '?', '|', '\\']).map_or(pattern, |end| &pattern[..end]);
        Some(Route {
            tier: tier.into(),
            prefix: literal.trim_end_matches('/').into(),
            service: path["backend"]["service"]["name"].as_str()?.into(),
            stripped: rewrites.is_string(),
        })
    };
    paths.filter_map(route).collect()
}

/// Writes components in place of addresses.
pub(super) fn follow(parts: &mut [Part], routes: &[Route], notes: &mut Vec<String>) {
    for caller in 0..parts.len() {
        for address in addresses(&parts[caller]) {
            let data = &parts[caller].objects[address.object]["data"];
            let said = address.port.as_ref().and_then(|key| data[key].as_str()).map(str::to_owned);
            let Some((callee, service, rest)) = callee(parts, routes, address.tier, said.as_deref()) else {
                notes.push(format!(
                    "{}: `{}` is the address of a cluster in the tier {}, and nothing says which component is meant; \
                     write ${{component.NAME.host}} and ${{component.NAME.port}}, and add NAME to dependsOn",
                    parts[caller].name, address.host, address.tier
                ));
                continue;
            };
            let name = parts[callee].name.clone();
            parts[callee].exposed.get_or_insert(service);
            let data = &mut parts[caller].objects[address.object]["data"];
            data[&address.host] = format!("${{component.{name}.host}}").into();
            match &address.port {
                Some(key) => data[key] = format!("${{component.{name}.port}}{rest}").into(),
                None => notes.push(format!(
                    "{}: who reads `{}` has to call the port ${{component.{name}.port}}",
                    parts[caller].name, address.host
                )),
            }
            parts[caller].calls.insert(name);
        }
    }
}

fn addresses(part: &Part) -> Vec<Address> {
    let mut found = Vec::new();
    for (object, value) in part.objects.iter().enumerate().filter(|(_, object)| object["kind"] == "ConfigMap")
    {
        let Some(data) = value["data"].as_object() else { continue };
        let texts: Vec<(&String, &str)> =
            data.iter().filter_map(|(key, value)| Some((key, value.as_str()?))).collect();
        for (host, text) in &texts {
            let tier =
                TIERS.into_iter().find(|tier| *text == format!("[{}_CLUSTER_IP]", tier.to_uppercase()));
            let Some(tier) = tier else { continue };
            // `DETAILS_HOSTNAME` goes with `DETAILS_SERVICE_PORT`: the longest beginning that two names share.
            let ports = texts.iter().filter(|(_, text)| port_and_path(text).is_some());
            let port =
                ports.max_by_key(|(key, _)| shared(host, key)).filter(|(key, _)| shared(host, key) > 0);
            found.push(Address {
                object,
                host: (*host).clone(),
                port: port.map(|(key, _)| (*key).clone()),
                tier,
            });
        }
    }
    found
}

/// `80/shop/orders`: what callers put behind the address.
fn port_and_path(text: &str) -> Option<&str> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let path = &text[digits..];
    (digits > 0 && (path.is_empty() || path.starts_with('/'))).then_some(path)
}

fn shared(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(one, other)| one == other).count()
}

/// Who answers in a tier, by which Service, and what is left of the path.
fn callee(
    parts: &[Part],
    routes: &[Route],
    tier: &str,
    said: Option<&str>,
) -> Option<(usize, String, String)> {
    let path = said.and_then(port_and_path).unwrap_or_default();
    let leads = |route: &&Route| {
        let rest = path.strip_prefix(&route.prefix);
        route.tier == tier && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let holds =
        |service: &str| parts.iter().position(|part| part.tier == tier && part.holds_service(service));
    if let Some(route) = routes.iter().filter(leads).max_by_key(|route| route.prefix.len()) {
        let rest = if route.stripped { &path[route.prefix.len()..] } else { path };
        return Some((holds(&route.service)?, route.service.clone(), rest.into()));
    }
    // A tier with one Service leaves no choice.
    let mut services = routes.iter().filter(|route| route.tier == tier).map(|route| &route.service);
    let service = services.next()?;
    services.all(|other| other == service).then_some(())?;
    Some((holds(service)?, service.clone(), path.into()))
}
