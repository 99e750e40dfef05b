//! Replaces `${…}` inside strings; what comes in is never read as YAML again.

use qonnect_schema::documents::application::Component;
use qonnect_schema::layout;
use qonnect_schema::substitution::{Piece, Variable, pieces};
use serde_json::Value;

use super::{Context, Endpoint};

pub(super) fn strings(value: &mut Value, caller: &Component, context: &Context<'_>) {
    match value {
        Value::String(text) => {
            if text.contains("${") {
                *text = replaced(text, caller, context);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strings(item, caller, context)),
        Value::Object(fields) => fields.values_mut().for_each(|field| strings(field, caller, context)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A name without a value stays as it was written: checking has refused it, and nothing better is known here.
fn replaced(text: &str, caller: &Component, context: &Context<'_>) -> String {
    let mut result = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => result.push_str(text),
            Piece::Unknown(name) => result.push_str(&format!("${{{name}}}")),
            Piece::Variable(variable) => match value(variable, caller, context) {
                Some(value) => result.push_str(&value),
                None => result.push_str(&format!("${{{}}}", name(variable))),
            },
        }
    }
    result
}

fn value(variable: Variable<'_>, caller: &Component, context: &Context<'_>) -> Option<String> {
    match variable {
        Variable::ClusterName => Some(context.cluster.name().into()),
        Variable::ClusterRegion => Some(context.cluster.spec.region.clone().unwrap_or_default()),
        Variable::ClusterTier => Some(context.cluster.spec.tier.clone()),
        Variable::ComponentHost(component) => Some(endpoint(component, caller, context)?.host.clone()),
        Variable::ComponentPort(component) => Some(endpoint(component, caller, context)?.port?.to_string()),
    }
}

/// Where the caller reaches a component: the part of it that it is or calls, if that is divided.
fn endpoint<'a>(component: &str, caller: &Component, context: &Context<'a>) -> Option<&'a Endpoint> {
    let called = caller.depends_on.iter().map(|dependency| &dependency.component).chain([&caller.name]);
    let part = called.map(String::as_str).find(|name| layout::whole(name) == component);
    context.endpoints.get(part.unwrap_or(component))
}

fn name(variable: Variable<'_>) -> String {
    match variable {
        Variable::ClusterName => "cluster.name".into(),
        Variable::ClusterRegion => "cluster.region".into(),
        Variable::ClusterTier => "cluster.tier".into(),
        Variable::ComponentHost(component) => format!("component.{component}.host"),
        Variable::ComponentPort(component) => format!("component.{component}.port"),
    }
}
