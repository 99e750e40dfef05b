//! The check runs of a site.

use serde_json::{Value, json};

use super::contract::example;
use super::{Answer, Asked};

/// What GitHub takes in one request.
const ANNOTATIONS_MAX: usize = 50;

/// The oldest first; with the annotations that GitHub hands out by another path.
#[derive(Debug, Default)]
pub(super) struct Checks(Vec<Value>);

impl Checks {
    pub(super) fn of(&self, commit: &str) -> Vec<Value> {
        self.0.iter().filter(|run| run["head_sha"] == commit).cloned().collect()
    }

    pub(super) fn list(&self, path: &str, asked: &Asked) -> Answer {
        let commit = path.split('/').nth(5).unwrap_or_default();
        let name =
            asked.query.iter().find(|(known, _)| known == "check_name").map(|(_, value)| value.as_str());
        // `latest`: the newest of each name.
        let newest = self
            .0
            .iter()
            .rev()
            .find(|run| run["head_sha"] == commit && name.is_none_or(|name| run["name"] == name));
        let runs: Vec<Value> = newest.into_iter().map(shown).collect();
        Answer::new(200, json!({"total_count": runs.len(), "check_runs": runs}))
    }

    pub(super) fn create(&mut self, body: &Value) -> Answer {
        let mut run = example("check-run-example-of-in-progress-conclusion");
        run["id"] = json!(self.0.len() as u64 + 1);
        (run["head_sha"], run["name"]) = (body["head_sha"].clone(), body["name"].clone());
        (run["conclusion"], run["completed_at"]) = (Value::Null, Value::Null);
        run["annotations"] = json!([]);
        self.0.push(run);
        match take(self.0.last_mut().expect("it was pushed"), body) {
            Ok(run) => Answer::new(201, run),
            Err(refusal) => {
                self.0.pop();
                refusal
            }
        }
    }

    pub(super) fn update(&mut self, id: u64, body: &Value) -> Answer {
        match self.0.iter_mut().find(|run| run["id"] == id) {
            Some(run) => take(run, body).map_or_else(|refusal| refusal, |run| Answer::new(200, run)),
            None => Answer::message(404, "Not Found"),
        }
    }
}

/// What a request says, if GitHub takes it.
fn take(run: &mut Value, body: &Value) -> Result<Value, Answer> {
    let new = body["output"]["annotations"].as_array().cloned().unwrap_or_default();
    if new.len() > ANNOTATIONS_MAX || (body["status"] == "completed" && body["conclusion"].is_null()) {
        return Err(Answer::message(422, "too many annotations, or completed without a conclusion"));
    }
    for name in ["status", "conclusion", "details_url"] {
        if let Some(value) = body.get(name) {
            run[name] = value.clone();
        }
    }
    for name in ["title", "summary"] {
        run["output"][name] = body["output"][name].clone();
    }
    let annotations = run["annotations"].as_array_mut().expect("it has some");
    annotations.extend(new);
    run["output"]["annotations_count"] = json!(annotations.len());
    Ok(shown(run))
}

fn shown(run: &Value) -> Value {
    let mut run = run.clone();
    run.as_object_mut().expect("it is an object").remove("annotations");
    run
}
