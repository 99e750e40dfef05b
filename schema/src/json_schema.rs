//! JSON Schemas (draft 2020-12) of the kinds, generated from their types.
//!
//! Editors complete and check documents with them, [`crate::validate`] checks shapes with them.

use std::fmt;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

/// The kinds of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Application,
    Cluster,
    Fleet,
    Signals,
    Placement,
    Release,
    Snapshot,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Application,
        Self::Cluster,
        Self::Fleet,
        Self::Signals,
        Self::Placement,
        Self::Release,
        Self::Snapshot,
    ];

    /// As in the field `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Application => crate::Application::KIND,
            Self::Cluster => crate::Cluster::KIND,
            Self::Fleet => crate::Fleet::KIND,
            Self::Signals => crate::Signals::KIND,
            Self::Placement => crate::Placement::KIND,
            Self::Release => crate::Release::KIND,
            Self::Snapshot => crate::Snapshot::KIND,
        }
    }

    /// What people make of it: any case, singular or plural.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let is = |kind: &Self| {
            let name = kind.name().to_ascii_lowercase();
            text == name || text.strip_suffix('s') == Some(&name) || name.strip_suffix('s') == Some(&text)
        };
        Self::ALL.into_iter().find(is)
    }

    /// `application.schema.json`.
    pub fn file_name(self) -> String {
        format!("{}.schema.json", self.name().to_ascii_lowercase())
    }

    pub fn schema(self) -> Value {
        let schema = match self {
            Self::Application => generate::<crate::Application>(),
            Self::Cluster => generate::<crate::Cluster>(),
            Self::Fleet => generate::<crate::Fleet>(),
            Self::Signals => generate::<crate::Signals>(),
            Self::Placement => generate::<crate::Placement>(),
            Self::Release => generate::<crate::Release>(),
            Self::Snapshot => generate::<crate::Snapshot>(),
        };
        let mut root = Map::new();
        root.insert("$id".into(), format!("https://qonnect.io/v1alpha1/{}", self.file_name()).into());
        root.extend(schema);
        let mut root = Value::Object(root);
        simplify(&mut root);
        root
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn generate<T: JsonSchema>() -> Map<String, Value> {
    let root = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    match root.to_value() {
        Value::Object(schema) => schema,
        other => unreachable!("the schema of a struct is a map, not {other}"),
    }
}

/// Says the same with fewer alternatives, so that a validator can name what is wrong and an editor what is meant:
/// an optional field is left out, never null; an enumeration is one list with a description of each word.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            drop_null(map);
            flatten_enumeration(map);
            map.values_mut().for_each(simplify);
        }
        Value::Array(items) => items.iter_mut().for_each(simplify),
        _ => {}
    }
}

fn drop_null(map: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            map.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
        choices.retain(|choice| *choice != json!({"type": "null"}));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            map.remove("anyOf");
            only.into_iter().for_each(|(key, value)| _ = map.entry(key).or_insert(value));
        }
    }
    if map.get("default") == Some(&Value::Null) {
        map.remove("default");
    }
}

fn flatten_enumeration(map: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = map.get("oneOf") else { return };
    let mut words = Vec::new();
    for choice in choices {
        let description = choice.get("description").cloned().unwrap_or_else(|| "".into());
        match (choice.get("const"), choice.get("enum").and_then(Value::as_array)) {
            (Some(word), None) => words.push((word.clone(), description)),
            (None, Some(several)) => {
                words.extend(several.iter().map(|word| (word.clone(), description.clone())))
            }
            _ => return,
        }
    }
    let (words, descriptions): (Vec<_>, Vec<_>) = words.into_iter().unzip();
    map.remove("oneOf");
    map.insert("type".into(), "string".into());
    map.insert("enum".into(), words.into());
    map.insert("enumDescriptions".into(), descriptions.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_in_any_case() {
        for text in ["application", "Application", "APPLICATIONS"] {
            assert_eq!(Kind::parse(text), Some(Kind::Application));
        }
        assert_eq!(Kind::parse("signal"), Some(Kind::Signals));
        assert_eq!(Kind::parse("deployment"), None);
    }

    #[test]
    fn a_schema_offers_no_alternatives() {
        for kind in Kind::ALL {
            let text = kind.schema().to_string();
            for word in ["anyOf", "oneOf", "\"null\""] {
                assert!(!text.contains(word), "{kind}: {word}");
            }
        }
    }
}
