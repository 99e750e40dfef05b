//! The parts of GitHub's answers that count.

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Repository {
    pub(super) full_name: String,
    pub(super) html_url: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) node_id: String,
    pub(super) state: String,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) html_url: String,
    pub(super) merged_at: Option<String>,
    pub(super) head: Head,
    pub(super) labels: Vec<Label>,
    pub(super) requested_reviewers: Option<Vec<User>>,
    pub(super) requested_teams: Option<Vec<Team>>,
    pub(super) user: Option<User>,
    pub(super) auto_merge: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Head {
    pub(super) sha: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) login: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Team {
    pub(super) slug: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Review {
    pub(super) user: Option<User>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Combined {
    pub(super) statuses: Vec<Posted>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Posted {
    pub(super) context: String,
    pub(super) state: String,
    pub(super) description: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckRuns {
    pub(super) check_runs: Vec<CheckRun>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckRun {
    pub(super) id: u64,
    pub(super) status: String,
    pub(super) conclusion: Option<String>,
    pub(super) output: Output,
}

#[derive(Debug, Deserialize)]
pub(super) struct Output {
    pub(super) title: Option<String>,
    pub(super) summary: Option<String>,
}
