//! What a forge shows beside Git: a pull request for the proposal, and what became of commits of the spec branch.
//!
//! *Guarantees:* the same Knowledge Base wants the same to be shown; nothing is decided by what a forge shows but
//! that people have closed a pull request.

use qonnect_schema::documents::approval::Request;
use qonnect_schema::documents::fleet::Branches;

mod checks;
mod statuses;
pub use checks::{Check, checks};
pub use statuses::{Context, Link, State, Status, statuses};

/// All that a forge is to show; the newest counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub branches: Branches,
    pub request: Wish,
    pub statuses: Vec<Status>,
    pub checks: Vec<Check>,
}

/// Of the pull request from the proposal to the review branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    Open(Box<PullRequest>),
    /// Nothing waits for people.
    Closed,
    /// It is about to be decided.
    AsIs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// What stands on the branch of the proposal.
    pub commit: String,
    pub title: String,
    pub body: String,
    pub settings: Request,
}
