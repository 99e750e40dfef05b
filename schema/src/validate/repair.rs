//! Makes a document readable whose shape is wrong, so that the rest of it is checked, too.
//!
//! What is unknown goes or gets the name that was meant; what is optional and broken goes; what is needed gets a
//! stand-in. What is found at such a place afterwards would be about the repair, and is not reported.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use super::fleet::escape;
use super::words::nearest;

/// A text that nobody can mean: no name of ours and no path may be this.
pub(super) const STAND_IN: &str = "?";

/// One step towards a readable document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Repair {
    /// An unknown field of the map at this pointer, and what it was meant to be.
    Field { map: String, field: String, meant: Option<String> },
    /// A value that is missing or cannot be read.
    Value { pointer: String },
}

/// What mends an error. Values that are only out of range can be read as they are.
pub(super) fn of(error: &ValidationError<'_>, known: &[&str]) -> Vec<Repair> {
    let map = error.instance_path().as_str();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let meant = |field: &String| nearest(field, known.iter().copied()).map(String::from);
            let repair =
                |field: &String| Repair::Field { map: map.into(), field: field.clone(), meant: meant(field) };
            unexpected.iter().map(repair).collect()
        }
        ValidationErrorKind::Required { property } => {
            let property = escape(property.as_str().unwrap_or_default());
            vec![Repair::Value { pointer: format!("{map}/{property}") }]
        }
        ValidationErrorKind::Type { .. }
        | ValidationErrorKind::Enum { .. }
        | ValidationErrorKind::Constant { .. }
        | ValidationErrorKind::Format { .. } => vec![Repair::Value { pointer: map.into() }],
        _ => Vec::new(),
    }
}

impl Repair {
    /// Mends the document. Where a repair before it has changed the way to its place, nothing happens.
    ///
    /// Returns the place whose findings are of no use any more, and for a renamed field its pointer and the one
    /// that it has in the file.
    pub(super) fn apply(self, document: &mut Value, schema: &Value) -> Option<Repaired> {
        match self {
            Self::Field { map, field, meant } => {
                let fields = document.pointer_mut(&map)?.as_object_mut()?;
                let value = fields.remove(&field)?;
                let name = meant.filter(|name| !fields.contains_key(name))?;
                let (now, written) =
                    (format!("{map}/{}", escape(&name)), format!("{map}/{}", escape(&field)));
                fields.insert(name, value);
                Some(Repaired::Renamed { now, written })
            }
            Self::Value { pointer } => replace(document, schema, &pointer).map(Repaired::Replaced),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Repaired {
    Renamed { now: String, written: String },
    Replaced(String),
}

/// Takes the nearest optional field around the pointer out, or puts a stand-in there. Items of lists stay: their
/// numbers are in the pointers of other findings.
fn replace(document: &mut Value, root: &Value, pointer: &str) -> Option<String> {
    let steps: Vec<String> =
        pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let mut schema = resolve(root, root);
    let mut optional = None;
    for (depth, step) in steps.iter().enumerate() {
        let next = match schema.get("properties").and_then(|properties| properties.get(step)) {
            Some(property) => {
                let required = schema.get("required").and_then(Value::as_array);
                if !required.is_some_and(|required| required.iter().any(|name| name == step)) {
                    optional = Some(depth);
                }
                property
            }
            None if schema.get("items").is_some() => {
                optional = None;
                &schema["items"]
            }
            None => {
                optional = Some(depth);
                schema.get("additionalProperties")?
            }
        };
        schema = resolve(next, root);
    }
    let depth = optional.unwrap_or(steps.len().checked_sub(1)?);
    let parent = steps[..depth].iter().try_fold(&mut *document, |value, step| child(value, step))?;
    match (optional, parent) {
        (Some(_), Value::Object(map)) => drop(map.remove(&steps[depth])),
        (None, Value::Object(map)) => drop(map.insert(steps[depth].clone(), stand_in(schema, root))),
        (None, Value::Array(items)) => {
            *items.get_mut(steps[depth].parse::<usize>().ok()?)? = stand_in(schema, root);
        }
        _ => return None,
    }
    Some(steps[..=depth].iter().map(|step| format!("/{}", escape(step))).collect())
}

fn child<'a>(value: &'a mut Value, step: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(map) => map.get_mut(step),
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    }
}

fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
    target.and_then(|target| root.pointer(target)).unwrap_or(schema)
}

/// The plainest value that has the shape.
fn stand_in(schema: &Value, root: &Value) -> Value {
    let schema = resolve(schema, root);
    let first = |name: &str| schema.get(name).and_then(Value::as_array)?.first().cloned();
    if let Some(value) = schema.get("const").cloned().or_else(|| first("enum")) {
        return value;
    }
    let kind = schema.get("type").cloned().and_then(|kind| match kind {
        Value::Array(kinds) => kinds.into_iter().next(),
        kind => Some(kind),
    });
    match kind.as_ref().and_then(Value::as_str) {
        Some("object") => {
            let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
            let fields = required.filter_map(|name| {
                let name = name.as_str()?;
                Some((name.to_owned(), stand_in(schema.get("properties")?.get(name)?, root)))
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Some("array") => Value::Array(Vec::new()),
        Some("string") => match schema.get("format").and_then(Value::as_str) {
            Some("date-time") => "1970-01-01T00:00:00Z".into(),
            Some("Latency" | "Span") => "1s".into(),
            Some(_) => "1".into(),
            None => STAND_IN.into(),
        },
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(0.into()),
        Some("boolean") => false.into(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json_schema::Kind;

    fn repaired(document: Value, pointer: &str) -> (Value, Option<String>) {
        let mut document = document;
        let place = replace(&mut document, &Kind::Application.schema(), pointer);
        (document, place)
    }

    #[test]
    fn a_broken_value_goes_with_the_nearest_field_that_may_be_absent() {
        let document =
            json!({"spec": {"components": [{"name": "a", "expose": {"service": "a", "nodePort": "x"}}]}});
        let (document, place) = repaired(document, "/spec/components/0/expose/nodePort");
        assert_eq!(document, json!({"spec": {"components": [{"name": "a"}]}}));
        assert_eq!(place.as_deref(), Some("/spec/components/0/expose"));
    }

    #[test]
    fn what_is_needed_gets_a_stand_in_and_items_keep_their_numbers() {
        let (document, place) =
            repaired(json!({"spec": {"components": [7, {"name": "b"}]}}), "/spec/components/0");
        assert_eq!(document.pointer("/spec/components/0"), Some(&json!({"name": STAND_IN, "manifests": []})));
        assert_eq!(document.pointer("/spec/components/1/name"), Some(&json!("b")));
        assert_eq!(place.as_deref(), Some("/spec/components/0"));
    }
}
