//! Calls of the Kubernetes API as data, and their answers in a form that two servers can be compared by.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use axum::http::{Method, Request};
use kube::Client;
use kube::client::Body;
use qonnect_tests::wait::wait_for;
use serde::Deserialize;
use serde_json::{Map, Value};

const PATIENCE: Duration = Duration::from_secs(30);

/// One call of a scenario.
#[derive(Debug, Deserialize)]
pub(super) struct Call {
    #[serde(flatten)]
    request: BTreeMap<Verb, String>,
    /// The form of a patch; JSON otherwise.
    #[serde(rename = "as")]
    form: Option<Form>,
    body: Option<Value>,
    accept: Option<String>,
    /// Wait for this status first.
    until: Option<u16>,
    /// The object keeps its resource version.
    #[serde(default)]
    unchanged: bool,
    /// Why only the code and the reason of the two answers are compared.
    differs: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Apply,
    Merge,
    Strategic,
    Json,
}

/// An answer without what differs from one server to the next.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) code: u16,
    body: Value,
}

/// A server in the middle of a scenario.
pub(super) struct Session {
    client: Client,
    versions: BTreeMap<String, String>,
    next_page: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, path) = self.target();
        write!(f, "{verb:?} {path} {}", self.body.as_ref().map(Value::to_string).unwrap_or_default())
    }
}

impl Call {
    fn target(&self) -> (Verb, &str) {
        let (verb, path) = self.request.first_key_value().expect("a call names a verb and a path");
        (*verb, path)
    }

    /// The answer as far as it is compared.
    fn compared(&self, code: u16, body: Value) -> Answer {
        match self.differs {
            None => Answer { code, body: comparable(body) },
            Some(_) => Answer { code, body: body["reason"].clone() },
        }
    }

    fn content_type(&self) -> &'static str {
        match self.form {
            None => "application/json",
            Some(Form::Apply) => "application/apply-patch+yaml",
            Some(Form::Merge) => "application/merge-patch+json",
            Some(Form::Strategic) => "application/strategic-merge-patch+json",
            Some(Form::Json) => "application/json-patch+json",
        }
    }
}

impl Session {
    pub(super) fn new(client: Client) -> Self {
        Self { client, versions: BTreeMap::new(), next_page: String::new() }
    }

    pub(super) async fn run(&mut self, call: &Call) -> Answer {
        let (code, body) = match call.until {
            None => self.send(call).await,
            Some(wanted) => {
                wait_for(&call.to_string(), PATIENCE, async || match self.send(call).await {
                    (code, body) if code == wanted => Ok((code, body)),
                    (code, body) => Err(format!("{code} {body}")),
                })
                .await
            }
        };
        let (_, path) = call.target();
        if let Some(version) = body["metadata"]["resourceVersion"].as_str() {
            let object = path.split('?').next().unwrap_or_default().to_owned();
            let before = self.versions.insert(object, version.into());
            assert!(!call.unchanged || before.as_deref() == Some(version), "{call} changed the object");
        }
        self.next_page = body["metadata"]["continue"].as_str().unwrap_or_default().into();
        call.compared(code, body)
    }

    async fn send(&self, call: &Call) -> (u16, Value) {
        let (verb, path) = call.target();
        let method = match verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        };
        let body = call.body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path.replace("${continue}", &self.next_page))
            .header("content-type", call.content_type())
            .header("accept", call.accept.as_deref().unwrap_or("application/json"))
            .body(Body::from(body))
            .expect("a call is a request");
        let answer = match self.client.send(request).await {
            Ok(answer) => answer,
            Err(error) => return (0, Value::String(format!("no answer: {error}"))),
        };
        let code = answer.status().as_u16();
        let bytes =
            answer.into_body().collect_bytes().await.unwrap_or_else(|error| panic!("{call}: {error}"));
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
    }
}

/// Drops identities and times, what only newer versions of Kubernetes say, and what controllers add.
fn comparable(value: Value) -> Value {
    const IDENTITIES: [&str; 10] = [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "time",
        "selfLink",
        "clusterIP",
        "clusterIPs",
        "continue",
        "remainingItemCount",
    ];
    const NEWER: [&str; 6] = [
        "ipFamilies",
        "ipFamilyPolicy",
        "internalTrafficPolicy",
        "subresource",
        "kubernetes.io/metadata.name",
        "f:kubernetes.io/metadata.name",
    ];
    const CONTROLLERS: [&str; 2] = ["f:status", "deployment.kubernetes.io/revision"];
    match value {
        Value::Object(map) => {
            let mut kept = Map::new();
            for (name, value) in map {
                let names = [&IDENTITIES[..], &NEWER, &CONTROLLERS].concat();
                if names.contains(&name.as_str()) || (name == "status" && value.is_object()) {
                    continue;
                }
                let value = if name == "managedFields" { of_clients(value) } else { value };
                kept.insert(name, comparable(value));
            }
            Value::Object(kept)
        }
        Value::Array(list) => list.into_iter().map(comparable).collect(),
        Value::String(text) => Value::String(without_uids(&text)),
        other => other,
    }
}

fn of_clients(mut owners: Value) -> Value {
    if let Some(list) = owners.as_array_mut() {
        list.retain(|owner| owner["manager"] != "kube-controller-manager");
        // They stand in the order of their times, and a second may end between the same calls to two servers.
        list.sort_by_cached_key(|owner| {
            [&owner["manager"], &owner["operation"], &owner["fieldsV1"]].map(Value::to_string)
        });
        // Before 1.22 nobody owns the status of a custom object.
        list.retain(|owner| {
            owner["fieldsV1"].as_object().is_none_or(|set| set.keys().any(|name| name != "f:status"))
        });
    }
    owners
}

/// Replaces each uid in a message.
fn without_uids(text: &str) -> String {
    let is_uid = |word: &str| word.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let mut shown = String::new();
    for piece in text.split_inclusive(|c: char| !c.is_ascii_hexdigit() && c != '-') {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_hexdigit() && c != '-');
        shown.push_str(if is_uid(word) { "UID" } else { word });
        shown.push_str(&piece[word.len()..]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_compared_without_identities() {
        let answer = json!({"metadata": {"name": "a", "uid": "x"}, "data": {"k": "v"}});
        assert_eq!(comparable(answer), json!({"metadata": {"name": "a"}, "data": {"k": "v"}}));
        assert_eq!(without_uids("the UID (01234567-0123-0123-0123-0123456789ab) is"), "the UID (UID) is");
    }
}
