//! Replaces `${…}` inside strings; what comes in is never read as YAML again.

use qonnect_schema::substitution::{Piece, Variable, pieces};
use serde_json::Value;

use super::Context;

pub(super) fn strings(value: &mut Value, context: &Context<'_>) {
    match value {
        Value::String(text) => {
            if text.contains("${") {
                *text = replaced(text, context);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strings(item, context)),
        Value::Object(fields) => fields.values_mut().for_each(|field| strings(field, context)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A name without a value stays as it was written: checking has refused it, and nothing better is known here.
fn replaced(text: &str, context: &Context<'_>) -> String {
    let mut result = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => result.push_str(text),
            Piece::Unknown(name) => result.push_str(&format!("${{{name}}}")),
            Piece::Variable(variable) => match value(variable, context) {
                Some(value) => result.push_str(&value),
                None => result.push_str(&format!("${{{}}}", name(variable))),
            },
        }
    }
    result
}

fn value(variable: Variable<'_>, context: &Context<'_>) -> Option<String> {
    match variable {
        Variable::ClusterName => Some(context.cluster.name().into()),
        Variable::ClusterRegion => Some(context.cluster.spec.region.clone().unwrap_or_default()),
        Variable::ClusterTier => Some(context.cluster.spec.tier.clone()),
        Variable::ComponentHost(component) => Some(context.endpoints.get(component)?.host.clone()),
        Variable::ComponentPort(component) => Some(context.endpoints.get(component)?.port?.to_string()),
    }
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
