//! Runs the steps of our action as a runner of GitHub does: expressions, environment, files for outputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::folder::{self, repository};
use qonnect_schema::yaml;
use serde::Deserialize;

const ACTION: &str = ".github/actions/placement";

#[derive(Debug, Deserialize)]
struct Action {
    inputs: BTreeMap<String, Input>,
    runs: Runs,
}

#[derive(Debug, Deserialize)]
struct Input {
    default: String,
}

#[derive(Debug, Deserialize)]
struct Runs {
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    name: String,
    #[serde(rename = "if")]
    condition: Option<String>,
    shell: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    run: String,
}

/// What a job has said and done when it ended.
#[derive(Debug)]
pub struct Job {
    /// The step that failed, if one did.
    pub failed: Option<String>,
    pub log: String,
    pub summary: String,
    pub outputs: String,
}

/// A machine with a checkout.
#[derive(Debug)]
pub struct Runner {
    checkout: PathBuf,
    /// By name, without the `${{ }}`.
    contexts: BTreeMap<String, String>,
    api: String,
}

impl Runner {
    /// With a push of that checkout to work on.
    pub fn on_push(checkout: &Path) -> Self {
        Self::new(checkout, "", &[("github.event_name", "push"), ("github.token", "unused")])
    }

    /// With a pull request of what is checked out into `main`, on a forge with that API.
    pub fn on_pull_request(checkout: &Path, api: &str, token: &str) -> Self {
        let contexts = [
            ("github.event_name", "pull_request"),
            ("github.base_ref", "main"),
            ("github.event.pull_request.number", "7"),
            ("github.token", token),
        ];
        Self::new(checkout, api, &contexts)
    }

    fn new(checkout: &Path, api: &str, contexts: &[(&str, &str)]) -> Self {
        let contexts = contexts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { checkout: checkout.into(), contexts: contexts.collect(), api: api.into() }
    }

    pub fn run(&self, given: &[(&str, &str)]) -> Job {
        let action =
            std::fs::read_to_string(repository().join(ACTION).join("action.yml")).expect("we have an action");
        let action: Action = yaml::from_str(&action).expect("it is an action");
        let mut contexts = self.contexts.clone();
        for (name, input) in &action.inputs {
            let value = given.iter().find(|(given, _)| given == name).map(|(_, value)| (*value).to_owned());
            let value = value.unwrap_or_else(|| self.expand(&input.default, &contexts));
            contexts.insert(format!("inputs.{name}"), value);
        }
        let temp = folder::fresh("runner");
        let mut job =
            Job { failed: None, log: String::new(), summary: String::new(), outputs: String::new() };
        for step in &action.runs.steps {
            if !step.condition.as_ref().is_none_or(|condition| holds(condition, &contexts)) {
                continue;
            }
            if !self.step(step, &contexts, &temp, &mut job.log) {
                job.failed = Some(step.name.clone());
                break;
            }
        }
        let read = |name| std::fs::read_to_string(temp.join(name)).unwrap_or_default();
        (job.summary, job.outputs) = (read("summary"), read("outputs"));
        job
    }

    fn step(&self, step: &Step, contexts: &BTreeMap<String, String>, temp: &Path, log: &mut String) -> bool {
        assert_eq!(step.shell, "bash");
        let path = format!(
            "{}:{}",
            folder::programs().display(),
            std::env::var("PATH").expect("there are programs")
        );
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &step.run]);
        bash.current_dir(&self.checkout).env("PATH", path);
        bash.env("GITHUB_ACTION_PATH", repository().join(ACTION)).env("RUNNER_TEMP", temp);
        bash.env("GITHUB_OUTPUT", temp.join("outputs")).env("GITHUB_STEP_SUMMARY", temp.join("summary"));
        bash.env("GITHUB_PATH", temp.join("path")).env("GITHUB_REPOSITORY", "octo/fleet");
        bash.env("GITHUB_API_URL", &self.api);
        for (name, value) in &step.env {
            bash.env(name, self.expand(value, contexts));
        }
        let output = bash.output().expect("bash runs");
        log.push_str(&String::from_utf8_lossy(&output.stdout));
        log.push_str(&String::from_utf8_lossy(&output.stderr));
        output.status.success()
    }

    fn expand(&self, text: &str, contexts: &BTreeMap<String, String>) -> String {
        let Some((before, rest)) = text.split_once("${{") else { return text.into() };
        let (name, after) = rest.split_once("}}").expect("an expression ends");
        let value = contexts.get(name.trim());
        let value = value.unwrap_or_else(|| panic!("nothing is called {name}"));
        format!("{before}{value}{}", self.expand(after, contexts))
    }
}

/// `a == 'x' && b == 'y'`, the only form that our steps use.
fn holds(condition: &str, contexts: &BTreeMap<String, String>) -> bool {
    condition.split("&&").all(|part| {
        let (name, value) = part.split_once("==").expect("it compares");
        contexts[name.trim()] == value.trim().trim_matches('\'')
    })
}
