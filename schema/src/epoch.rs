//! The fencing token of a leadership.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Ordered by era, then term, then node; it never decreases along the deploy branch.
///
/// A Raft term alone is no fence: one term may see two leaders.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Epoch {
    /// Grows when a Knowledge Base is rebuilt.
    pub era: u64,
    pub term: u64,
    pub node: u64,
}

/// Who wrote a commit of the deploy branch: its trailers `Qonnect-Group` and `Qonnect-Epoch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Origin {
    /// The group of leads; epochs of different groups say nothing about each other.
    pub group: String,
    pub epoch: Epoch,
}

/// `era.term.node`, as in the trailer `Qonnect-Epoch`.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.era, self.term, self.node)
    }
}

impl std::str::FromStr for Epoch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no epoch; expected era.term.node, such as 1.4.2");
        let mut parts = text.split('.').map(str::parse);
        let mut next = || parts.next().and_then(Result::ok).ok_or_else(bad);
        let epoch = Self { era: next()?, term: next()?, node: next()? };
        match parts.next() {
            None => Ok(epoch),
            Some(_) => Err(bad()),
        }
    }
}
