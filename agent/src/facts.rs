//! Nodes and pods, reduced to what a report says of them as they pass by.

use std::collections::{BTreeMap, BTreeSet};

use qonnect_agent_core::facts::{self, Pod};
use qonnect_agent_core::state::PodTroubles;
use qonnect_schema::documents::measured::Measured;
use qonnect_schema::documents::snapshot::Node;
use qonnect_schema::manifest::ObjectId;

use crate::cluster::Seen;

#[derive(Default)]
pub(crate) struct Facts {
    nodes: Kept<Node>,
    pods: Kept<Pod>,
    pub(crate) measured: Measured,
}

/// Objects of one kind by namespace and name.
struct Kept<T> {
    known: BTreeMap<(String, String), T>,
    /// What a list that is under way has shown so far; it replaces `known` when the list ends.
    listed: Option<BTreeMap<(String, String), T>>,
    /// A list has ended once.
    complete: bool,
    /// Why they cannot be listed.
    denied: Option<String>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), listed: None, complete: false, denied: None }
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
            Seen::Denied { kind, message } if kind == "Node" => self.nodes.deny(message),
            Seen::Denied { message, .. } => self.pods.deny(message),
        }
    }

    /// Whether all is known that ever will be: half of a list would look like another cluster.
    pub(crate) fn is_complete(&self) -> bool {
        let settled = |complete: bool, denied: &Option<String>| complete || denied.is_some();
        settled(self.nodes.complete, &self.nodes.denied) && settled(self.pods.complete, &self.pods.denied)
    }

    /// What the agent may not see, one sentence each with the way out.
    pub(crate) fn missing(&self) -> BTreeSet<String> {
        let nodes = self.nodes.denied.iter().map(|why| {
            format!("nodes cannot be listed, so the leads go on with what they know of them: {why}; grant get, list and watch on nodes to the agent")
        });
        let pods = self.pods.denied.iter().map(|why| {
            format!("pods cannot be listed, so what others run is not counted and no reason is known why pods do not start: {why}; grant get, list and watch on pods to the agent")
        });
        nodes.chain(pods).collect()
    }

    /// `None` where they were never listed: an empty cluster would lose all that it runs.
    pub(crate) fn nodes(&self) -> Option<Vec<Node>> {
        let nodes = || facts::with_pods(self.nodes.known.values(), self.pods.known.values());
        self.nodes.complete.then(nodes)
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

    fn deny(&mut self, message: String) -> bool {
        let news = self.denied.as_ref() != Some(&message);
        self.denied = Some(message);
        news
    }

    fn list_begins(&mut self) -> bool {
        self.listed = Some(BTreeMap::new());
        false
    }

    fn list_ends(&mut self) -> bool {
        let Some(listed) = self.listed.take() else { return false };
        let denied = self.denied.take().is_some();
        let news = !std::mem::replace(&mut self.complete, true) || denied || self.known != listed;
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
        assert_eq!(facts.nodes().unwrap().len(), 2, "a list under way takes nothing away");
        assert!(facts.observe(border(false, "Node")));
        assert_eq!(facts.nodes().unwrap().len(), 1);
    }

    #[test]
    fn what_may_not_be_seen_is_named_and_the_rest_is_told() {
        let mut facts = Facts::default();
        let denied = |kind: &str| Seen::Denied { kind: kind.into(), message: "no".into() };
        for seen in [border(true, "Node"), node("a", "True"), border(false, "Node")] {
            facts.observe(seen);
        }
        assert!(facts.observe(denied("Pod")) && !facts.observe(denied("Pod")));
        assert!(facts.is_complete() && facts.nodes().unwrap().len() == 1);
        assert!(facts.missing().iter().next().unwrap().contains("grant get, list and watch on pods"));
        facts.observe(border(true, "Pod"));
        assert!(facts.observe(border(false, "Pod")) && facts.missing().is_empty());

        let mut blind = Facts::default();
        blind.observe(denied("Node"));
        blind.observe(denied("Pod"));
        assert!(blind.is_complete() && blind.nodes().is_none(), "unknown is not none");
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
