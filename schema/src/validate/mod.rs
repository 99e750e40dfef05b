//! Checks a whole repository and reads what is good in it.
//!
//! The unit of refusal: a fault in `fleet.yaml`, `clusters/` or `signals/` refuses the revision; a fault below
//! `apps/<app>/` holds that application and nobody else.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::diagnostic::Diagnostic;
use crate::revision::Revision;
use crate::tree::Tree;

mod application;
mod bonds;
mod checker;
mod claims;
mod components;
mod division;
mod document;
mod findings;
mod fleet;
mod manifests;
mod objects;
mod places;
mod repair;
mod shape;
#[cfg(test)]
mod tests;
mod words;

pub use checker::Checker;
pub use shape::is_dns_label;

/// What a commit of the spec branch says, and what is wrong with it.
///
/// Guarantees: the same tree, commit and time give the same result. Reading is bounded by [`crate::yaml::Limits`]
/// per file. A file that cannot be read makes its application faulty; it never makes it vanish.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The good part: faulty applications are left out. Of a refused one, what could be understood.
    pub revision: Revision,
    /// By file and place.
    pub findings: Vec<Diagnostic>,
    /// An error outside of `apps/`: nothing of this revision may be used.
    pub refused: bool,
    /// Applications with an error, also those that cannot be read: they stay at their last good revision.
    pub faulty: BTreeSet<String>,
}

/// Reads a tree that is the root of a spec branch.
///
/// Assumes that whoever made the tree kept symlinks as links and left out the contents of files that are too large.
pub fn repository(tree: &Tree, commit: &str, time: Timestamp) -> Checked {
    Checker::default().check(tree, commit, time)
}
