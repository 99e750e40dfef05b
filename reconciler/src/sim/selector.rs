//! Label and field selectors.

use serde_json::Value;

use super::status::Status;

/// A conjunction of requirements; the empty one takes everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, String, bool)>,
}

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selector {
    pub(super) fn parse(labels: &str, fields: &str) -> Result<Self, Status> {
        let labels: Result<_, _> = split(labels).into_iter().map(requirement).collect();
        let fields: Result<_, _> = split(fields).into_iter().map(field).collect();
        Ok(Self { labels: labels?, fields: fields? })
    }

    pub(super) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn takes(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.holds(labels))
            && self.fields.iter().all(|(pointer, wanted, equal)| {
                let value = object.pointer(pointer).map_or(String::new(), |value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                (value == *wanted) == *equal
            })
    }
}

impl Requirement {
    fn holds(&self, labels: &Value) -> bool {
        let value = labels.get(&self.key).and_then(Value::as_str);
        match &self.test {
            Test::In(values) => value.is_some_and(|value| values.iter().any(|wanted| wanted == value)),
            Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|refused| refused != value)),
            Test::Exists => value.is_some(),
            Test::Absent => value.is_none(),
        }
    }
}

/// Splits at commas outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let parts = text.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn requirement(text: &str) -> Result<Requirement, Status> {
    let unreadable = || Status::bad_request(format!("unable to parse requirement: {text:?}"));
    let of = |key: &str, test| Requirement { key: key.trim().into(), test };
    if let Some((left, list)) = text.split_once('(') {
        let values = list.strip_suffix(')').ok_or_else(unreadable)?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = left.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Ok(of(key, Test::In(values))),
            (Some(key), Some("notin"), None) => Ok(of(key, Test::NotIn(values))),
            _ => Err(unreadable()),
        };
    }
    let one = |value: &str| vec![value.trim().to_owned()];
    let requirement = if let Some((key, value)) = text.split_once("!=") {
        of(key, Test::NotIn(one(value)))
    } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        of(key, Test::In(one(value)))
    } else if let Some(key) = text.strip_prefix('!') {
        of(key, Test::Absent)
    } else {
        of(text, Test::Exists)
    };
    let readable = !requirement.key.is_empty() && !requirement.key.contains(char::is_whitespace);
    readable.then_some(requirement).ok_or_else(unreadable)
}

fn field(text: &str) -> Result<(String, String, bool), Status> {
    let (path, value, equal) = if let Some((path, value)) = text.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        (path, value, true)
    } else {
        return Err(Status::bad_request(format!("invalid selector: '{text}'; can't understand '{text}'")));
    };
    Ok((format!("/{}", path.trim().replace('.', "/")), value.trim().into(), equal))
}

/// A `LabelSelector` of an object, such as a Deployment's.
pub(super) fn label_selector_takes(selector: &Value, labels: &Value) -> bool {
    let values = |requirement: &Value| -> Vec<String> {
        let values = requirement["values"].as_array().into_iter().flatten();
        values.filter_map(Value::as_str).map(Into::into).collect()
    };
    let exact = selector["matchLabels"].as_object().into_iter().flatten();
    exact.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector["matchExpressions"].as_array().into_iter().flatten().all(|requirement| {
            let test = match requirement["operator"].as_str() {
                Some("In") => Test::In(values(requirement)),
                Some("NotIn") => Test::NotIn(values(requirement)),
                Some("Exists") => Test::Exists,
                Some("DoesNotExist") => Test::Absent,
                _ => return false,
            };
            Requirement { key: requirement["key"].as_str().unwrap_or_default().into(), test }.holds(labels)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_take_what_kubernetes_would_take() {
        let object = json!({"metadata": {"name": "a", "labels": {"app": "web", "tier": "edge"}}});
        for (labels, fields, taken) in [
            ("", "", true),
            ("app=web", "", true),
            ("app==web,tier", "", true),
            ("app in (web, db),tier notin (cloud)", "", true),
            ("app!=web", "", false),
            ("missing!=x", "", true),
            ("!app", "", false),
            ("!missing", "metadata.name=a", true),
            ("", "metadata.name!=a", false),
            ("", "metadata.namespace=", true),
        ] {
            let selector = Selector::parse(labels, fields).unwrap();
            assert_eq!(selector.takes(&object), taken, "{labels} {fields}");
        }
        for labels in ["a b", "app in web", "(x)", "a in (b"] {
            assert!(Selector::parse(labels, "").is_err(), "{labels}");
        }
    }
}
