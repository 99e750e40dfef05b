//! The parts of GitHub's payloads that count: which repository they are about, and which of its branches.

use serde::Deserialize;

/// Of a push, of a branch that was deleted, and of a pull request.
#[derive(Debug, Deserialize)]
pub(super) struct Payload {
    repository: Repository,
    #[serde(rename = "ref")]
    reference: Option<String>,
    /// Of a deletion, which gives the bare name.
    ref_type: Option<String>,
    pull_request: Option<PullRequest>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Debug, Deserialize)]
struct PullRequest {
    base: Base,
}

#[derive(Debug, Deserialize)]
struct Base {
    #[serde(rename = "ref")]
    branch: String,
}

/// Whether such an event may be about a branch.
pub(super) fn counts(event: &str) -> bool {
    matches!(event, "push" | "delete" | "pull_request")
}

impl Payload {
    pub(super) fn repository(&self) -> &str {
        &self.repository.full_name
    }

    /// The branch that has moved or is gone, or into which a pull request would be merged.
    pub(super) fn branch(&self) -> Option<&str> {
        if let Some(pull_request) = &self.pull_request {
            return Some(&pull_request.base.branch);
        }
        let reference = self.reference.as_deref()?;
        match self.ref_type.as_deref() {
            None => reference.strip_prefix("refs/heads/"),
            Some(kind) => (kind == "branch").then_some(reference),
        }
    }
}
