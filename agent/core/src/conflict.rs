//! Conflicts of server-side apply: whose field it is, and whether it was ours before.

use serde_json::Value;

/// One field that somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub manager: String,
    /// As the API server writes it: `.spec.template.spec.containers[name="web"].image`.
    pub field: String,
}

/// Reads the causes of a `Status` with reason `Conflict`; empty where it is another kind of conflict.
pub fn conflicts<'a>(causes: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Vec<Conflict> {
    causes
        .into_iter()
        .filter(|(reason, _, _)| *reason == "FieldManagerConflict")
        .map(|(_, message, field)| Conflict { manager: manager(message), field: field.into() })
        .collect()
}

/// `conflict with "kubectl-edit" using apps/v1` names the manager between the first pair of quotes.
fn manager(message: &str) -> String {
    message.split('"').nth(1).unwrap_or(message).into()
}

/// For people: who holds what, and the way out.
pub fn explain(conflicts: &[Conflict]) -> String {
    let fields: Vec<String> = conflicts
        .iter()
        .map(|conflict| format!("{} belongs to {}", conflict.field, conflict.manager))
        .collect();
    format!(
        "{}; take it out of the manifest, or annotate the object with {FORCE}: enabled to take it over",
        fields.join(", ")
    )
}

/// The annotation with which a manifest takes over fields of others.
pub const FORCE: &str = "qonnect.io/force";

pub fn is_forced(object: &Value) -> bool {
    object["metadata"]["annotations"][FORCE].as_str() == Some("enabled")
}

/// Whether every contested field stood in what we applied before: then somebody took it from us.
pub fn were_ours(conflicts: &[Conflict], previous: &Value) -> bool {
    !conflicts.is_empty() && conflicts.iter().all(|conflict| holds(previous, &conflict.field))
}

fn holds(object: &Value, field: &str) -> bool {
    let mut at = object;
    for step in steps(field) {
        let next = match step {
            Step::Name(name) => at.get(name),
            Step::Item(keys) => {
                at.as_array().and_then(|items| items.iter().find(|item| matches(item, &keys)))
            }
        };
        match next {
            Some(next) => at = next,
            None => return false,
        }
    }
    true
}

fn matches(item: &Value, keys: &[(String, Value)]) -> bool {
    match keys {
        // A set names its item by value.
        [(name, value)] if name.is_empty() => item == value,
        // The server fills keys that the manifest left to their default, such as a port's protocol.
        keys => keys.iter().all(|(name, value)| item.get(name).is_none_or(|found| found == value)),
    }
}

enum Step<'a> {
    Name(&'a str),
    Item(Vec<(String, Value)>),
}

/// Splits `.a.b[k="v",n=1].c`. Names with dots, as labels have, come as they are after the last known level.
fn steps(field: &str) -> Vec<Step<'_>> {
    const FREE: [&str; 4] = ["labels", "annotations", "data", "nodeSelector"];
    let mut steps = Vec::new();
    let mut rest = field;
    while let Some(next) = rest.strip_prefix('.') {
        let free = matches!(steps.last(), Some(Step::Name(name)) if FREE.contains(name));
        let end = if free { next.len() } else { next.find(['.', '[']).unwrap_or(next.len()) };
        steps.push(Step::Name(&next[..end]));
        rest = &next[end..];
        if let Some(inside) = rest.strip_prefix('[') {
            let close = inside.find(']').unwrap_or(inside.len());
            steps.push(Step::Item(keys(&inside[..close])));
            rest = inside.get(close + 1..).unwrap_or_default();
        }
    }
    steps
}

fn keys(text: &str) -> Vec<(String, Value)> {
    let value = |text: &str| serde_json::from_str(text).unwrap_or(Value::String(text.into()));
    if let Some(item) = text.strip_prefix('=') {
        return vec![(String::new(), value(item))];
    }
    text.split(',')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, text)| (name.to_string(), value(text)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_owner_and_the_field_are_read_from_the_causes() {
        let found = conflicts([
            ("FieldManagerConflict", "conflict with \"kubectl-edit\" using apps/v1", ".spec.replicas"),
            ("FieldValueInvalid", "other", ".spec"),
        ]);
        assert_eq!(found, [Conflict { manager: "kubectl-edit".into(), field: ".spec.replicas".into() }]);
        assert!(explain(&found).starts_with(".spec.replicas belongs to kubectl-edit; "));
    }

    #[test]
    fn a_field_that_was_applied_before_was_ours() {
        let previous = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "web"}},
            "spec": {"ports": [{"port": 80}], "template": {"spec": {"containers": [{"name": "web", "image": "a"}]}}},
        });
        for (field, ours) in [
            (".spec.template.spec.containers[name=\"web\"].image", true),
            (".spec.template.spec.containers[name=\"web\"].args", false),
            (".spec.template.spec.containers[name=\"other\"].image", false),
            (".spec.ports[port=80,protocol=\"TCP\"].port", true),
            (".spec.ports[port=81,protocol=\"TCP\"].port", false),
            (".metadata.labels.app.kubernetes.io/name", true),
            (".metadata.labels.app", false),
            (".spec.replicas", false),
        ] {
            let conflict = [Conflict { manager: "x".into(), field: field.into() }];
            assert_eq!(were_ours(&conflict, &previous), ours, "{field}");
        }
        assert!(!were_ours(&[], &previous));
    }
}
