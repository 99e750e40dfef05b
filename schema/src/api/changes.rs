//! Nodes and components as they travel: what has changed since a lead acknowledged them, and a digest that tells whether
//! it fits.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::documents::snapshot::{ComponentStatus, Node};

/// One of many that an agent tells of.
pub trait Told: Clone + PartialEq + Serialize {
    /// Which of them it is.
    fn name(&self) -> String;
}

impl Told for Node {
    fn name(&self) -> String {
        self.name.clone()
    }
}

impl Told for ComponentStatus {
    fn name(&self) -> String {
        format!("{}/{}", self.application, self.component)
    }
}

pub type NodeChanges = Changes<Node>;
pub type ComponentChanges = Changes<ComponentStatus>;

/// From those that a lead has acknowledged to those that are there now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Changes<T> {
    /// New, or other than they were.
    #[serde(default = "Vec::<T>::new", skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<T>,
    /// By name; of a component `APPLICATION/COMPONENT`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
    /// Of all that are there now: SHA-256 in hexadecimal over their JSON, in the order of their names.
    pub digest: String,
}

impl<T: Told> Changes<T> {
    pub fn between(before: &[T], now: &[T]) -> Self {
        let (before, now) = (by_name(before), by_name(now));
        let other = |(name, one): &(&String, &&T)| before.get(*name) != Some(*one);
        Self {
            changed: now.iter().filter(other).map(|(_, one)| (*one).clone()).collect(),
            gone: before.keys().filter(|name| !now.contains_key(*name)).cloned().collect(),
            digest: digest(now.into_values()),
        }
    }

    /// Whether these are what the sender has.
    pub fn are_known(&self, all: &[T]) -> bool {
        digest(by_name(all).into_values()) == self.digest
    }

    /// What the sender has; `None` if it was not these that it counted from.
    pub fn onto(&self, before: &[T]) -> Option<Vec<T>> {
        let mut all = by_name(before);
        for name in &self.gone {
            all.remove(name);
        }
        all.extend(by_name(&self.changed));
        let fits = digest(all.values().copied()) == self.digest;
        fits.then(|| all.into_values().cloned().collect())
    }
}

fn by_name<T: Told>(all: &[T]) -> BTreeMap<String, &T> {
    all.iter().map(|one| (one.name(), one)).collect()
}

fn digest<'a, T: Told + 'a>(all: impl Iterator<Item = &'a T>) -> String {
    let mut hash = Sha256::new();
    for one in all {
        hash.update(serde_json::to_vec(one).expect("what is told has text for keys"));
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
