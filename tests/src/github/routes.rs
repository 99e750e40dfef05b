//! What GitHub does with one repository, as far as leads ask for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::checks::Checks;
use super::contract::example;
use super::{Answer, Asked, git};

/// What a body may have.
const BODY_CHARS_MAX: usize = 65_536;

#[derive(Debug)]
pub(super) struct Site {
    repository: PathBuf,
    pub(super) url: String,
    pub(super) name: String,
    /// What it was called before.
    earlier: Vec<String>,
    /// The oldest first.
    pub(super) pulls: Vec<Value>,
    statuses: BTreeMap<String, Vec<Value>>,
    checks: Checks,
}

impl Site {
    pub(super) fn new(repository: &Path) -> Self {
        let name = "octo/fleet".to_owned();
        let (pulls, statuses) = (Vec::new(), BTreeMap::new());
        let (repository, url, earlier) = (repository.to_owned(), String::new(), Vec::new());
        Self { repository, url, name, earlier, pulls, statuses, checks: Checks::default() }
    }

    pub(super) fn rename(&mut self, name: &str) {
        self.earlier.push(std::mem::replace(&mut self.name, name.into()));
    }

    /// Where a path has gone that has an earlier name.
    pub(super) fn moved(&self, path: &str) -> Option<String> {
        let rest = self.earlier.iter().find_map(|name| below(path, name))?;
        Some(format!("/repositories/1296269{rest}"))
    }

    /// Redirections lead to a path by number, which is described by name.
    pub(super) fn described(&self, path: &str) -> String {
        path.replacen("/repositories/1296269", &format!("/repos/{}", self.name), 1)
    }

    pub(super) fn act(&mut self, method: &str, operation: &str, path: &str, asked: &Asked) -> Answer {
        if operation.starts_with("/repos/") && below(path, &self.name).is_none() {
            return Answer::message(404, "Not Found");
        }
        let number =
            || path.split('/').nth(5).and_then(|number| number.parse::<u64>().ok()).unwrap_or_default();
        let body = asked.body.clone().unwrap_or_default();
        match (method, operation) {
            ("GET", "/repos/{owner}/{repo}") => self.describe(),
            ("GET", "/repos/{owner}/{repo}/pulls") => self.list(asked),
            ("POST", "/repos/{owner}/{repo}/pulls") => self.create(&body),
            ("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}") => self.edit(number(), &body),
            ("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews") => Answer::new(200, json!([])),
            ("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers") => {
                self.request(number(), &body)
            }
            ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels") => self.label(number(), &body),
            ("GET", "/repos/{owner}/{repo}/commits/{ref}/status") => self.combined(path),
            ("POST", "/repos/{owner}/{repo}/statuses/{sha}") => self.post(path, &body),
            ("GET", "/repos/{owner}/{repo}/installation") => Answer::new(200, example("installation")),
            ("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs") => self.checks.list(path, asked),
            ("POST", "/repos/{owner}/{repo}/check-runs") if self.has(&body["head_sha"]) => {
                self.checks.create(&body)
            }
            ("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}") => {
                self.checks.update(number(), &body)
            }
            _ => Answer::message(404, "Not Found"),
        }
    }

    fn describe(&self) -> Answer {
        let mut known = example("full-repository-default-response");
        known["full_name"] = json!(self.name);
        // The published example leaves out what its schema requires.
        (known["language"], known["source"]["language"]) = (Value::Null, Value::Null);
        known["html_url"] = json!(format!("{}/{}", self.url, self.name));
        Answer::new(200, known)
    }

    fn list(&mut self, asked: &Asked) -> Answer {
        self.look();
        let wanted =
            |name: &str| asked.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let owner = self.name.split('/').next().unwrap_or_default();
        let is = |name: &str, has: &str| wanted(name).is_none_or(|wanted| wanted == has);
        let listed = self.pulls.iter().rev().filter(|pull| {
            let text = |pointer: &str| pull.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let state = wanted("state").unwrap_or("open");
            (state == "all" || state == text("/state"))
                && is("base", text("/base/ref"))
                && is("head", &format!("{owner}:{}", text("/head/ref")))
        });
        Answer::new(200, listed.cloned().collect())
    }

    fn create(&mut self, body: &Value) -> Answer {
        self.look();
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        let (head, base) = (text("head"), text("base"));
        let invalid = |why: String| {
            let errors = json!([{"resource": "PullRequest", "code": "custom", "message": why}]);
            Answer::new(
                422,
                json!({"message": "Validation Failed", "errors": errors, "documentation_url": "d"}),
            )
        };
        let (Some(sha), Some(onto)) = (self.tip(head), self.tip(base)) else {
            return invalid("head or base is no branch".into());
        };
        let open = |pull: &&Value| {
            pull["state"] == "open" && pull["head"]["ref"] == head && pull["base"]["ref"] == base
        };
        if self.pulls.iter().any(|pull| open(&pull)) {
            return invalid(format!("A pull request already exists for octo:{head}."));
        }
        if text("body").chars().count() > BODY_CHARS_MAX || sha == onto {
            return invalid("body is too long, or there is nothing to merge".into());
        }
        let mut pull = example("pull-request");
        let number = self.pulls.len() as u64 + 1;
        let nothing = json!({
            "merged_at": null, "closed_at": null, "merge_commit_sha": null, "merged": false, "merged_by": null,
            "labels": [], "requested_reviewers": [], "requested_teams": [], "auto_merge": null, "state": "open",
            "number": number, "title": text("title"), "body": text("body"), "node_id": format!("PR_{number}"),
            "html_url": format!("{}/{}/pull/{number}", self.url, self.name),
        });
        for (name, value) in nothing.as_object().into_iter().flatten() {
            pull[name] = value.clone();
        }
        (pull["head"]["ref"], pull["head"]["sha"]) = (json!(head), json!(sha));
        (pull["base"]["ref"], pull["base"]["sha"]) = (json!(base), json!(onto));
        self.pulls.push(pull.clone());
        Answer::new(201, pull)
    }

    fn edit(&mut self, number: u64, body: &Value) -> Answer {
        self.look();
        if body["state"] == "closed" {
            self.close(number);
        }
        let pull = self.pull(number);
        for name in ["title", "body"] {
            if let Some(value) = body.get(name) {
                pull[name] = value.clone();
            }
        }
        Answer::new(200, pull.clone())
    }

    fn label(&mut self, number: u64, body: &Value) -> Answer {
        let mut known = example("label-items");
        let template = known[0].clone();
        let labels = body["labels"].as_array().into_iter().flatten().map(|name| {
            let mut label = template.clone();
            label["name"] = name.clone();
            label
        });
        known = labels.collect();
        self.pull(number)["labels"] = known.clone();
        Answer::new(200, known)
    }

    fn request(&mut self, number: u64, body: &Value) -> Answer {
        let user = example("pull-request")["user"].clone();
        let users = body["reviewers"].as_array().into_iter().flatten().map(|login| {
            let mut user = user.clone();
            user["login"] = login.clone();
            user
        });
        let pull = self.pull(number);
        pull["requested_reviewers"] = users.collect();
        let mut answer = example("pull-request-review-request");
        for name in ["requested_reviewers", "requested_teams"] {
            answer[name] = pull[name].clone();
        }
        Answer::new(201, answer)
    }

    fn post(&mut self, path: &str, body: &Value) -> Answer {
        let commit = path.rsplit('/').next().unwrap_or_default().to_owned();
        let known = self.has(&json!(commit));
        let long = body["description"].as_str().unwrap_or_default().chars().count() > 140;
        if !known || long {
            return Answer::message(422, "No commit found for SHA, or the description is too long");
        }
        let mut status = example("status");
        for (name, value) in body.as_object().into_iter().flatten() {
            status[name] = value.clone();
        }
        self.statuses.entry(commit).or_default().push(status.clone());
        Answer::new(201, status)
    }

    fn has(&self, commit: &Value) -> bool {
        let commit = format!("{}^{{commit}}", commit.as_str().unwrap_or_default());
        git(&self.repository, &["cat-file", "-e", &commit]).is_some()
    }

    pub(super) fn check_runs(&self, commit: &str) -> Vec<Value> {
        self.checks.of(commit)
    }

    fn combined(&mut self, path: &str) -> Answer {
        let commit = path.split('/').nth(5).unwrap_or_default().to_owned();
        let newest = self.newest_statuses(&commit);
        let mut combined = example("combined-commit-status");
        let template = combined["statuses"][0].clone();
        let statuses = newest.iter().map(|status| {
            let mut short = template.clone();
            for name in ["context", "state", "description", "target_url"] {
                short[name] = status[name].clone();
            }
            short
        });
        combined["statuses"] = statuses.collect();
        (combined["sha"], combined["total_count"]) = (json!(commit), json!(newest.len()));
        Answer::new(200, combined)
    }

    pub(super) fn newest_statuses(&self, commit: &str) -> Vec<Value> {
        let mut newest: BTreeMap<String, Value> = BTreeMap::new();
        for status in self.statuses.get(commit).into_iter().flatten() {
            newest.insert(status["context"].to_string(), status.clone());
        }
        newest.into_values().collect()
    }

    /// What only GraphQL can.
    pub(super) fn query(&mut self, body: &Value) -> Answer {
        let id = body.pointer("/variables/pull").cloned().unwrap_or_default();
        let method =
            body.pointer("/variables/method").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        let pull = self.pulls.iter_mut().find(|pull| pull["node_id"] == id);
        match pull.filter(|_| {
            body["query"].as_str().is_some_and(|query| query.contains("enablePullRequestAutoMerge"))
        }) {
            Some(pull) => {
                let user = pull["user"].clone();
                pull["auto_merge"] = json!({"enabled_by": user, "merge_method": method, "commit_title": "t", "commit_message": "m"});
                Answer::new(200, json!({"data": {"enablePullRequestAutoMerge": {"clientMutationId": null}}}))
            }
            None => Answer::new(200, json!({"errors": [{"message": "it does not resolve to a node"}]})),
        }
    }

    /// What pushes have done to open pull requests.
    pub(super) fn look(&mut self) {
        for at in 0..self.pulls.len() {
            if self.pulls[at]["state"] != "open" {
                continue;
            }
            let (head, base) = (self.pulls[at]["head"].clone(), self.pulls[at]["base"].clone());
            let tip = self.tip(head["ref"].as_str().unwrap_or_default());
            let sha = tip.clone().unwrap_or_else(|| head["sha"].as_str().unwrap_or_default().into());
            let onto = self.tip(base["ref"].as_str().unwrap_or_default()).unwrap_or_default();
            let merged = git(&self.repository, &["merge-base", "--is-ancestor", &sha, &onto]).is_some();
            let pull = &mut self.pulls[at];
            pull["head"]["sha"] = json!(sha);
            if merged {
                pull["merged_at"] = json!("2026-01-01T00:00:00Z");
            }
            if merged || tip.is_none() {
                pull["state"] = json!("closed");
            }
        }
    }

    pub(super) fn close(&mut self, number: u64) {
        self.look();
        self.pull(number)["state"] = json!("closed");
    }

    /// By the button, which makes its commit in the name of the person.
    pub(super) fn merge(&mut self, number: u64, how: &str) {
        self.look();
        let pull = self.pull(number).clone();
        let text =
            |pointer: &str| pull.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        assert_eq!(text("/state"), "open", "only an open pull request has the button");
        let (head, base) = (text("/head/sha"), text("/base/ref"));
        let onto = self.tip(&base).expect("the base is a branch");
        let tree = git(&self.repository, &["merge-tree", "--write-tree", &onto, &head]).expect("it merges");
        let mut commit = vec!["commit-tree", &tree, "-p", &onto, "-m", "Approve"];
        if how == "merge" {
            commit.extend(["-p", &head]);
        }
        let merged = git(&self.repository, &commit).expect("a commit can be made");
        let branch = format!("refs/heads/{base}");
        git(&self.repository, &["update-ref", &branch, &merged, &onto]).expect("nobody was quicker");
        let pull = self.pull(number);
        (pull["state"], pull["merged_at"]) = (json!("closed"), json!("2026-01-01T00:00:00Z"));
    }

    fn tip(&self, branch: &str) -> Option<String> {
        git(&self.repository, &["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")])
    }

    fn pull(&mut self, number: u64) -> &mut Value {
        self.pulls.iter_mut().find(|pull| pull["number"] == number).expect("there is such a pull request")
    }
}

/// What of a path is below a repository of this name.
fn below<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let rest = path.strip_prefix("/repos/")?.strip_prefix(name)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}
