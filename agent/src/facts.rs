//! Nodes and pods, reduced to what a report says of them as they pass by.

use std::collections::BTreeMap;

use qonnect_agent_core::facts::{self, Pod};
use qonnect_agent_core::state::PodTroubles;
use qonnect_schema::documents::snapshot::Node;
use qonnect_schema::manifest::ObjectId;

use crate::cluster::Seen;

#[derive(Default)]
pub(crate) struct Facts {
    nodes: Kept<Node>,
    pods: Kept<Pod>,
}

/// Objects of one kind by namespace and name.
struct Kept<T> {
    known: BTreeMap<(String, String), T>,
    /// What a list that is under way has shown so far; it replaces `known` when the list ends.
    listed: Option<BTreeMap<(String, String), T>>,
    /// A list has ended once.
    complete: bool,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), listed: None, complete: false }
    }
}

impl Facts {
    /// True if a report would now say something else.
    pub(crate) fn observe(&mut self, seen: Seen) -> bool {
        match seen {
            Seen::Object(id, object) if id.kind == "Node" => self.nodes.put(&id, Some(facts::node(&object))),
            Seen::Object(id, object) => self.pods.put(&id, Pod::of(&object)),
            Seen::Gone(id) if id.kind == "Node" => self.nodes.put(&id, None),
            Seen::Gone(id) => self.pods.put(&id, None),
            Seen::ListBegins { kind, .. } if kind == "Node" => self.nodes.list_begins(),
            Seen::ListBegins { .. } => self.pods.list_begins(),
            Seen::ListEnds { kind, .. } if kind == "Node" => self.nodes.list_ends(),
            Seen::ListEnds { .. } => self.pods.list_ends(),
        }
    }

    /// Whether both kinds were listed: half of them would look like another cluster.
    pub(crate) fn is_complete(&self) -> bool {
        self.nodes.complete && self.pods.complete
    }

    pub(crate) fn nodes(&self) -> Vec<Node> {
        facts::with_pods(self.nodes.known.values(), self.pods.known.values())
    }

    /// Why the pods of a component do not start; the first of them speaks for all.
    pub(crate) fn troubles(&self) -> PodTroubles {
        let mut troubles = PodTroubles::new();
        for pod in self.pods.known.values() {
            if let (Some(owner), Some(trouble)) = (&pod.owner, &pod.trouble) {
                troubles.entry(owner.clone()).or_insert_with(|| trouble.clone());
            }
        }
        troubles
    }
}

impl<T: PartialEq> Kept<T> {
    fn put(&mut self, id: &ObjectId, value: Option<T>) -> bool {
        let key = (id.namespace.clone(), id.name.clone());
        let map = self.listed.as_mut().unwrap_or(&mut self.known);
        let news = map.get(&key) != value.as_ref();
        match value {
            Some(value) => drop(map.insert(key, value)),
            None => drop(map.remove(&key)),
        }
        news && self.listed.is_none()
    }

    fn list_begins(&mut self) -> bool {
        self.listed = Some(BTreeMap::new());
        false
    }

    fn list_ends(&mut self) -> bool {
        let Some(listed) = self.listed.take() else { return false };
        let news = !std::mem::replace(&mut self.complete, true) || self.known != listed;
        self.known = listed;
        news
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(kind: &str, name: &str) -> ObjectId {
        ObjectId { group: String::new(), kind: kind.into(), namespace: String::new(), name: name.into() }
    }

    fn border(begins: bool, kind: &str) -> Seen {
        let (group, kind) = (String::new(), kind.to_string());
        if begins { Seen::ListBegins { group, kind } } else { Seen::ListEnds { group, kind } }
    }

    fn node(name: &str, ready: &str) -> Seen {
        let object = json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}});
        Seen::Object(id("Node", name), object)
    }

    #[test]
    fn a_list_replaces_what_was_known_when_it_ends() {
        let mut facts = Facts::default();
        for seen in [border(true, "Node"), node("a", "True"), node("b", "True"), border(false, "Node")] {
            facts.observe(seen);
        }
        assert!(!facts.is_complete(), "the pods are missing");
        facts.observe(border(true, "Pod"));
        facts.observe(border(false, "Pod"));
        assert!(facts.is_complete());
        facts.observe(border(true, "Node"));
        facts.observe(node("b", "True"));
        assert_eq!(facts.nodes().len(), 2, "a list under way takes nothing away");
        assert!(facts.observe(border(false, "Node")));
        assert_eq!(facts.nodes().len(), 1);
    }

    #[test]
    fn only_a_change_is_news() {
        let mut facts = Facts::default();
        assert!(facts.observe(node("a", "True")));
        assert!(!facts.observe(node("a", "True")));
        assert!(facts.observe(node("a", "False")));
        assert!(facts.observe(Seen::Gone(id("Node", "a"))));
    }
}
