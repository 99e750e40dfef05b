//! What a release is made of, on its way to an agent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tree::{Entry, Tree};

/// A cluster's folder of the deploy branch at one commit, handed on by a lead, or kept by an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseFolder {
    pub commit: String,
    /// Contents by path within the folder.
    pub files: BTreeMap<String, String>,
}

impl ReleaseFolder {
    /// `None` where something is no text: no release holds such files.
    pub fn new(commit: &str, tree: &Tree) -> Option<Self> {
        let text = |entry: &Entry| String::from_utf8(entry.bytes()?.into()).ok();
        let files = tree.iter().map(|(path, entry)| Some((path.clone(), text(entry)?)));
        Some(Self { commit: commit.into(), files: files.collect::<Option<_>>()? })
    }

    pub fn tree(&self) -> Tree {
        self.files.iter().map(|(path, text)| (path.clone(), Entry::file(text))).collect()
    }
}
