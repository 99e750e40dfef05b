//! The only home of the YAML library.
//!
//! Two readers. [`from_str`] reads a document that was checked before, or that a lead wrote, straight into its
//! type. [`parse`] reads what people wrote into a tree that remembers where each key and value stands, within
//! [`Limits`], and finds all that is wrong with it. One writer, [`to_string`]: what it writes means the same
//! to readers of YAML 1.1 and of YAML 1.2.

use serde::{Serialize, de::DeserializeOwned};

mod compose;
mod scalar;
mod tree;

pub use compose::{Fault, parse};
pub use tree::{Content, Member, Node, Part, Range};

/// How plain scalars are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// YAML 1.2, for our own documents: `yes` and `0777` are texts.
    Strict,
    /// As kubectl reads manifests (go-yaml v2, a YAML 1.1): `yes` is true, `0777` is 511.
    Kubernetes,
}

/// What a file may ask of its reader. Counted after aliases are expanded, so that an alias bomb is a fault
/// like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub bytes: usize,
    pub depth: usize,
    pub documents: usize,
    pub nodes: usize,
    pub aliases: usize,
}

impl Limits {
    /// Far above any document that a person writes; a CustomResourceDefinition may have 600 kB and 40 levels.
    pub const DEFAULT: Self =
        Self { bytes: 1 << 20, depth: 64, documents: 1_000, nodes: 100_000, aliases: 1_000 };
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// The snapshot of a thousand clusters has some hundred thousand; beyond this a reader would need gigabytes.
const OWN_NODES_MAX: usize = 10_000_000;

/// Reads one of our own documents that was checked before, or that a lead wrote.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let limits = Limits::DEFAULT;
    let options = serde_yaml::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
        budget: serde_yaml::budget! { max_depth: limits.depth, max_nodes: OWN_NODES_MAX, max_events: 3 * OWN_NODES_MAX, max_aliases: limits.aliases },
        alias_limits: serde_yaml::alias_limits! { max_total_replayed_events: limits.nodes, max_replay_stack_depth: 16 },
    };
    serde_yaml::from_str_with_options(text, options).map_err(|error| Error(error.to_string()))
}

/// Writes a document so that readers of YAML 1.1 and 1.2 agree on it.
pub fn to_string<T: Serialize>(document: &T) -> Result<String, Error> {
    serde_yaml::to_string(document).map_err(|error| Error(error.to_string()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_document_of_a_large_fleet_is_read() {
        let numbers: Vec<u32> = (0..120_000).collect();
        let text = super::to_string(&numbers).unwrap();
        assert_eq!(super::from_str::<Vec<u32>>(&text).unwrap(), numbers);
    }
}
