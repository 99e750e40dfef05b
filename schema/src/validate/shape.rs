//! The shape of a document: its JSON Schema, and each violation in words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::findings::{Findings, Origin};
use super::fleet::escape;
use super::repair::{self, Repaired};
use super::words::{did_you_mean, excerpt, list, nearest, quoted};
use crate::json_schema::Kind;
use crate::units;

struct Shape {
    schema: Value,
    validator: Validator,
}

static SHAPES: LazyLock<BTreeMap<Kind, Shape>> = LazyLock::new(|| {
    let shape = |kind: Kind| {
        let schema = kind.schema();
        let options = jsonschema::options().offline().should_validate_formats(true);
        let validator = UNITS
            .iter()
            .fold(options, |options, (name, parse)| {
                options.with_format(*name, move |text| parse(text).is_ok())
            })
            .build(&schema)
            .expect("a schema that is generated from a type is valid");
        (kind, Shape { schema, validator })
    };
    Kind::ALL.into_iter().map(shape).collect()
});

/// The formats of [`crate::units`] and what reads them.
type ParseUnit = fn(&str) -> Result<(), units::UnitError>;
const UNITS: [(&str, ParseUnit); 5] = [
    ("Cpu", |text| text.parse::<units::Cpu>().map(drop)),
    ("Bytes", |text| text.parse::<units::Bytes>().map(drop)),
    ("Bandwidth", |text| text.parse::<units::Bandwidth>().map(drop)),
    ("Latency", |text| text.parse::<units::Latency>().map(drop)),
    ("Span", |text| text.parse::<units::Span>().map(drop)),
];

/// After a field has got its name, what it holds is looked into; deeper than this nobody misspells.
const PASSES_MAX: usize = 8;

/// Finds everything that the schema of a kind forbids, and makes the document readable; true if nothing is wrong.
pub(super) fn check(kind: Kind, document: &mut Value, origin: Origin<'_>, findings: &mut Findings) -> bool {
    let Shape { schema, validator } = &SHAPES[&kind];
    let mut renamed: Vec<(String, String)> = Vec::new();
    for pass in 0..PASSES_MAX {
        let errors: Vec<ValidationError<'_>> = validator.iter_errors(document).collect();
        // A field that is only misspelt is not missing, too.
        let misspelt: BTreeSet<(&str, &str)> = errors.iter().flat_map(|error| meant(error, schema)).collect();
        let mut repairs = Vec::new();
        for error in &errors {
            let pointer = error.instance_path().as_str();
            if let ValidationErrorKind::Required { property } = error.kind()
                && misspelt.contains(&(pointer, property.as_str().unwrap_or_default()))
            {
                continue;
            }
            // What was wrong in the passes before has been said.
            if let Some(written) =
                if pass == 0 { Some(pointer.into()) } else { as_written(pointer, &renamed) }
            {
                report(error, schema, &written, origin, findings);
            }
            repairs.extend(repair::of(error, &properties(around(error, schema))));
        }
        if repairs.is_empty() {
            return pass == 0 && errors.is_empty();
        }
        renamed.clear();
        for repair in repairs {
            match repair.apply(document, schema) {
                Some(Repaired::Renamed { now, written }) => renamed.push((now, written)),
                Some(Repaired::Replaced(pointer)) => findings.repaired(origin, pointer),
                None => {}
            }
        }
    }
    false
}

/// The pointer in the file of what lies below a renamed field.
fn as_written(pointer: &str, renamed: &[(String, String)]) -> Option<String> {
    renamed.iter().find_map(|(now, written)| {
        let below = pointer.strip_prefix(now.as_str())?;
        (below.is_empty() || below.starts_with('/')).then(|| format!("{written}{below}"))
    })
}

/// The fields that the unknown ones of a map are meant to be, each with the pointer of the map.
fn meant<'a>(error: &'a ValidationError<'_>, schema: &'a Value) -> Vec<(&'a str, &'a str)> {
    let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else { return Vec::new() };
    let known = properties(around(error, schema));
    let near = unexpected.iter().filter_map(|name| nearest(name, known.iter().copied()));
    near.map(|name| (error.instance_path().as_str(), name)).collect()
}

/// The schema that the violated keyword stands in.
fn around<'a>(error: &ValidationError<'_>, schema: &'a Value) -> &'a Value {
    let keyword = error.schema_path().as_str();
    keyword.rsplit_once('/').and_then(|(parent, _)| schema.pointer(parent)).unwrap_or(schema)
}

fn properties(schema: &Value) -> Vec<&str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|map| map.keys().map(String::as_str)).collect()
}

fn report(
    error: &ValidationError<'_>,
    schema: &Value,
    pointer: &str,
    origin: Origin<'_>,
    findings: &mut Findings,
) {
    let around = around(error, schema);
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        let known = properties(around);
        for name in unexpected {
            let at = format!("{pointer}/{}", escape(name));
            let help = did_you_mean(name, known.iter().copied());
            let help = help.unwrap_or_else(|| format!("known here: {}", list(&known)));
            let message = format!("unknown field {}", quoted(name));
            findings.error(origin, "unknown-field", at, message).at_key().help(help);
        }
    } else if let Some(Said { code, message, help }) = say(error, around, schema) {
        let finding = findings.error(origin, code, pointer, message);
        if let Some(help) = help {
            finding.help(help);
        }
    }
}

struct Said {
    code: &'static str,
    message: String,
    help: Option<String>,
}

impl Said {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// A violation in words; `None` where another one says the same better.
fn say(error: &ValidationError<'_>, around: &Value, schema: &Value) -> Option<Said> {
    let value = error.instance();
    let shown = excerpt(value);
    Some(match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let said = Said::new("missing-field", format!("the field `{name}` is missing"));
            match description(around, name, schema) {
                Some(description) => said.help(format!("`{name}`: {description}")),
                None => said,
            }
        }
        ValidationErrorKind::Type { kind } if value.is_null() => {
            let name = error.instance_path().as_str().rsplit('/').next().unwrap_or_default();
            Said::new("wrong-type", format!("`{name}` has no value, expected {}", expected(kind, around)))
                .help("give it a value, or leave the line out where it is optional")
        }
        ValidationErrorKind::Type { kind } => {
            Said::new("wrong-type", format!("expected {}, found {}", expected(kind, around), found(value)))
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<&str> =
                options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            one_of(value, &options)
        }
        ValidationErrorKind::Constant { expected_value } => {
            one_of(value, &[expected_value.as_str().unwrap_or_default()])
        }
        ValidationErrorKind::Minimum { .. }
        | ValidationErrorKind::Maximum { .. }
        | ValidationErrorKind::ExclusiveMinimum { .. }
        | ValidationErrorKind::ExclusiveMaximum { .. } => {
            Said::new("out-of-range", format!("{shown} is out of range, expected {}", range(around)))
        }
        ValidationErrorKind::MinLength { .. } | ValidationErrorKind::MinItems { limit: 1 } => {
            Said::new("empty", "must not be empty")
        }
        ValidationErrorKind::MaxLength { limit } => {
            Said::new("too-long", format!("{shown} is longer than {limit} characters"))
        }
        ValidationErrorKind::MinItems { .. } | ValidationErrorKind::MaxItems { .. } => {
            wrong_count(value, around)
        }
        ValidationErrorKind::Format { format } if format == "date-time" => {
            Said::new("invalid-value", format!("{shown} is no time"))
                .help("write it as in 2026-11-21T18:00:00Z")
        }
        ValidationErrorKind::Format { format } => {
            let text = value.as_str().unwrap_or_default();
            let unit = UNITS.iter().find(|(name, _)| name == format).and_then(|(_, parse)| parse(text).err());
            Said::new(
                "invalid-value",
                unit.map_or_else(|| format!("{shown} is no {format}"), |unit| unit.to_string()),
            )
        }
        // The format of a unit says the same in better words.
        ValidationErrorKind::Pattern { .. } if around.get("format").is_some() => return None,
        ValidationErrorKind::Pattern { pattern } => {
            let said =
                Said::new("invalid-value", format!("{shown} has characters that are not allowed here"));
            let wanted =
                around.get("description").and_then(Value::as_str).unwrap_or("use `a` to `z`, digits and `-`");
            let wanted = wanted.trim_end_matches('.');
            match value.as_str() {
                Some(text) if pattern == DNS_LABEL => {
                    said.help(format!("{wanted}; perhaps `{}`", dns_label(text)))
                }
                _ => said.help(wanted),
            }
        }
        _ => Said::new("invalid-value", error.to_string()),
    })
}

fn wrong_count(value: &Value, around: &Value) -> Said {
    let bound = |name: &str| around.get(name).and_then(Value::as_u64);
    let wanted = match (bound("minItems"), bound("maxItems")) {
        (Some(least), Some(most)) if least == most => format!("{least}"),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("{least} or more"),
        (None, most) => format!("at most {}", most.unwrap_or_default()),
    };
    let count = value.as_array().map_or(0, Vec::len);
    Said::new("wrong-count", format!("{count} given, expected {wanted}"))
}

fn one_of(value: &Value, options: &[&str]) -> Said {
    let near = value.as_str().and_then(|text| did_you_mean(text, options.iter().copied()));
    Said::new("unknown-value", format!("{} is not possible here", excerpt(value)))
        .help(near.unwrap_or_else(|| format!("expected one of {}", list(options))))
}

/// What the schema says of a property, also where it only refers to a definition.
fn description<'a>(around: &'a Value, name: &str, schema: &'a Value) -> Option<&'a str> {
    let property = around.get("properties")?.get(name)?;
    let own = property.get("description").and_then(Value::as_str);
    own.or_else(|| {
        let target = property.get("$ref")?.as_str()?.strip_prefix('#')?;
        schema.pointer(target)?.get("description")?.as_str()
    })
}

fn expected(kind: &TypeKind, around: &Value) -> String {
    if let (Some(_), Some(unit)) = (around.get("format"), around.get("description").and_then(Value::as_str)) {
        return unit.to_string();
    }
    let name = |kind: jsonschema::JsonType| match kind.as_str() {
        "object" => "a map",
        "array" => "a list",
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        _ => "nothing",
    };
    match kind {
        TypeKind::Single(kind) => name(*kind).into(),
        TypeKind::Multiple(kinds) => kinds.iter().map(name).collect::<Vec<_>>().join(" or "),
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Object(_) => "a map".into(),
        Value::Array(_) => "a list".into(),
        Value::String(_) => format!("the text {}", excerpt(value)),
        Value::Number(number) => format!("the number {number}"),
        Value::Bool(truth) => format!("{truth}"),
        Value::Null => "nothing".into(),
    }
}

fn range(schema: &Value) -> String {
    // Schemas write 1.0 where people write 1.
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("{least} or more"),
        (None, most) => format!("at most {}", most.unwrap_or_default()),
    }
}

/// The pattern of names in [`crate::documents`].
const DNS_LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// Whether a text can be the name of a document or a component: a label of RFC 1123.
pub fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && dns_label(text) == text
}

/// The nearest text that is a name.
fn dns_label(text: &str) -> String {
    let plain: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
        .collect();
    let label = plain.trim_matches('-').chars().take(63).collect::<String>();
    if label.is_empty() { "name".into() } else { label }
}
