//! GitHub's published description of its API, which every exchange of a test is held against.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::programs;

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read(programs::github("api.json")).expect("the description can be read");
    serde_json::from_slice(&text).expect("the description is JSON")
});

/// An operation that is described.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) path: String,
    operation: &'static Value,
}

impl Operation {
    /// The one that a request means, or what is wrong.
    pub(super) fn find(method: &str, path: &str) -> Result<Self, String> {
        let paths = DESCRIPTION["paths"].as_object().expect("it describes paths");
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let wanted: Vec<&str> = template.split('/').collect();
            let same = |(wanted, part): (&&str, &&str)| {
                wanted == part || (wanted.starts_with('{') && !part.is_empty())
            };
            wanted.len() == parts.len() && wanted.iter().zip(&parts).all(same)
        };
        // Whichever names most of the path.
        let found = paths.iter().filter(|(template, _)| fits(template));
        let found = found.min_by_key(|(template, _)| template.matches('{').count());
        let (path, item) = found.ok_or_else(|| format!("{path} is not described"))?;
        let operation =
            item.get(method.to_lowercase()).ok_or_else(|| format!("{method} {path} is not described"))?;
        Ok(Self { path: path.clone(), operation })
    }

    /// What is wrong with a request.
    pub(super) fn request(&self, query: &[(String, String)], body: Option<&Value>) -> Vec<String> {
        let parameters = self.operation["parameters"].as_array().into_iter().flatten().map(resolve);
        let parameters: Vec<&Value> = parameters.filter(|parameter| parameter["in"] == "query").collect();
        let mut faults = Vec::new();
        for (name, value) in query {
            match parameters.iter().find(|parameter| parameter["name"] == **name) {
                None => faults.push(format!("there is no parameter {name}")),
                Some(parameter) => {
                    let number = value.parse::<i64>().map(Value::from);
                    let value = number.unwrap_or_else(|_| json!(value));
                    faults.extend(check(&parameter["schema"], &value));
                }
            }
        }
        let described = self.operation.get("requestBody").map(resolve);
        match (described, body) {
            (Some(described), Some(body)) => {
                let schema = &described["content"]["application/json"]["schema"];
                faults.extend(check(schema, body));
                // What is not described is overlooked by GitHub: nobody sends it on purpose.
                if let (Some(known), Some(sent)) = (schema["properties"].as_object(), body.as_object()) {
                    let unknown = sent.keys().filter(|name| !known.contains_key(*name));
                    faults.extend(unknown.map(|name| format!("there is no field {name}")));
                }
            }
            (None, Some(body)) if *body != Value::Null => faults.push(format!("it takes no body: {body}")),
            (Some(described), None) if described["required"] == true => {
                faults.push("a body is missing".into())
            }
            _ => {}
        }
        faults
    }

    /// What is wrong with an answer of the tests' own.
    pub(super) fn answer(&self, status: u16, body: &Value) -> Vec<String> {
        let answers = &self.operation["responses"];
        match answers.get(status.to_string()).map(resolve) {
            Some(answer) => check(&answer["content"]["application/json"]["schema"], body),
            // Limits and faults of the way are described once for all.
            None if status >= 300 => Vec::new(),
            None => vec![format!("{status} is not described")],
        }
    }
}

/// A published example of an answer.
pub(super) fn example(name: &str) -> Value {
    DESCRIPTION["components"]["examples"][name]["value"].clone()
}

fn resolve(value: &'static Value) -> &'static Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => DESCRIPTION.pointer(&reference[1..]).expect("a reference leads somewhere"),
        None => value,
    }
}

fn check(schema: &Value, value: &Value) -> Vec<String> {
    if schema.is_null() {
        return Vec::new();
    }
    let mut definitions = Map::new();
    let mut schema = translate(schema, &mut definitions);
    schema["$defs"] = Value::Object(definitions);
    let validator = jsonschema::draft202012::options().build(&schema).expect("a published schema is one");
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// As JSON Schema says it: OpenAPI 3.0 has `nullable`, and references of its own.
fn translate(schema: &Value, definitions: &mut Map<String, Value>) -> Value {
    let mut translated = match schema {
        Value::Array(all) => return all.iter().map(|one| translate(one, definitions)).collect(),
        Value::Object(fields) => {
            let known =
                |(name, _): &(&String, &Value)| !matches!(name.as_str(), "nullable" | "example" | "examples");
            fields
                .iter()
                .filter(known)
                .map(|(name, value)| (name.clone(), translate(value, definitions)))
                .collect::<Map<_, _>>()
        }
        other => return other.clone(),
    };
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.trim_start_matches("#/components/schemas/").to_owned();
        translated.insert("$ref".into(), json!(format!("#/$defs/{name}")));
        if !definitions.contains_key(&name) {
            definitions.insert(name.clone(), Value::Bool(true));
            let described = &DESCRIPTION["components"]["schemas"][&name];
            let definition = translate(described, definitions);
            definitions.insert(name, definition);
        }
    }
    match schema.get("nullable") {
        Some(Value::Bool(true)) => json!({"anyOf": [translated, {"type": "null"}]}),
        _ => Value::Object(translated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_enforced() {
        let create = Operation::find("POST", "/repos/octo/fleet/pulls").unwrap();
        assert_eq!(create.path, "/repos/{owner}/{repo}/pulls");
        let good = json!({"title": "t", "head": "a", "base": "b", "body": "x"});
        assert_eq!(create.request(&[], Some(&good)), [""; 0]);
        assert_eq!(
            create.request(&[], Some(&json!({"title": "t", "head": "a"}))).len(),
            1,
            "base is required"
        );
        assert_eq!(create.request(&[], Some(&json!({"head": "a", "base": "b", "titel": "t"}))).len(), 1);
        assert_eq!(create.request(&[], None), ["a body is missing"]);
        let list = Operation::find("GET", "/repos/octo/fleet/pulls").unwrap();
        let query = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
        assert_eq!(list.request(&query("state", "all"), None), [""; 0]);
        assert_eq!(list.request(&query("state", "some"), None).len(), 1);
        assert_eq!(list.request(&query("stat", "all"), None), ["there is no parameter stat"]);
        let post = Operation::find("POST", "/repos/octo/fleet/statuses/1a2b3c4").unwrap();
        assert_eq!(post.answer(201, &example("status")), [""; 0]);
        assert_eq!(post.request(&[], Some(&json!({"state": "good"}))).len(), 1);
        assert!(!list.answer(200, &json!([{"number": 1}])).is_empty());
        assert!(Operation::find("GET", "/repos/octo/fleet/pull").is_err());
    }
}
