//! Nodes as they travel: what has changed since a lead acknowledged them, and a digest that tells whether it fits.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::documents::snapshot::Node;

/// From the nodes that a lead has acknowledged to those that are there now.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeChanges {
    /// New, or other than they were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Node>,
    /// By name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
    /// Of all nodes that are there now: SHA-256 in hexadecimal over their JSON, in the order of their names.
    pub digest: String,
}

impl NodeChanges {
    pub fn between(before: &[Node], now: &[Node]) -> Self {
        let (before, now) = (by_name(before), by_name(now));
        let other = |(name, node): &(&&str, &&Node)| before.get(*name) != Some(*node);
        Self {
            changed: now.iter().filter(other).map(|(_, node)| (*node).clone()).collect(),
            gone: before.keys().filter(|name| !now.contains_key(*name)).map(ToString::to_string).collect(),
            digest: digest(now.into_values()),
        }
    }

    /// Whether these nodes are what the sender has.
    pub fn are_known(&self, nodes: &[Node]) -> bool {
        digest(by_name(nodes).into_values()) == self.digest
    }

    /// What the sender has; `None` if it was not these nodes that it counted from.
    pub fn onto(&self, before: &[Node]) -> Option<Vec<Node>> {
        let mut nodes = by_name(before);
        nodes.retain(|name, _| !self.gone.iter().any(|gone| gone == name));
        nodes.extend(by_name(&self.changed));
        let fits = digest(nodes.values().copied()) == self.digest;
        fits.then(|| nodes.into_values().cloned().collect())
    }
}

fn by_name(nodes: &[Node]) -> BTreeMap<&str, &Node> {
    nodes.iter().map(|node| (node.name.as_str(), node)).collect()
}

fn digest<'a>(nodes: impl Iterator<Item = &'a Node>) -> String {
    let mut hash = Sha256::new();
    for node in nodes {
        hash.update(serde_json::to_vec(node).expect("a node has text for keys"));
        hash.update([0]);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, ready: bool) -> Node {
        Node { name: name.into(), ready, ..Node::default() }
    }

    #[test]
    fn changes_lead_from_what_was_to_what_is_and_from_nothing_else() {
        let before = [node("a", true), node("b", true), node("c", true)];
        let now = [node("b", false), node("c", true), node("d", true)];
        let changes = NodeChanges::between(&before, &now);
        assert_eq!(changes.changed, [node("b", false), node("d", true)]);
        assert_eq!(changes.gone, ["a"]);
        assert_eq!(changes.onto(&before).as_deref(), Some(now.as_slice()));
        assert_eq!(changes.onto(&[node("c", false)]), None, "c is another one");
        assert!(changes.are_known(&now) && !changes.are_known(&before));
        // Said twice they lead to the same.
        assert_eq!(changes.onto(&now).as_deref(), Some(now.as_slice()));
    }

    #[test]
    fn nothing_changed_is_a_digest_alone() {
        let changes = NodeChanges::between(&[node("a", true)], &[node("a", true)]);
        assert!(changes.changed.is_empty() && changes.gone.is_empty());
        assert_eq!(changes.onto(&[]), None);
    }
}
