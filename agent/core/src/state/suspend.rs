//! What people asked to leave alone for a while, or to look at now.

use qonnect_schema::manifest::ObjectId;
use serde_json::Value;

use super::{NEVER, State};

/// On an object, on a namespace for all in it, on the agent's own namespace for everything: `enabled`.
pub const SUSPEND: &str = "qonnect.io/suspend";
/// On the agent's own namespace: any new value makes it fetch and try everything again at once.
pub const RECONCILE: &str = "qonnect.io/reconcile-at";

pub fn is_suspended(object: &Value) -> bool {
    object["metadata"]["annotations"][SUSPEND].as_str() == Some("enabled")
}

impl State {
    /// Nothing is applied and nothing deleted until this is taken back. True if it was otherwise before.
    pub fn suspend(&mut self, suspended: bool) -> bool {
        std::mem::replace(&mut self.suspended, suspended) != suspended
    }

    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    pub(super) fn is_left_alone(&self, id: &ObjectId) -> bool {
        let suspended = |id: &ObjectId| self.live.get(id).is_some_and(|live| live.suspended);
        self.suspended || suspended(id) || (!id.namespace.is_empty() && suspended(&namespace(&id.namespace)))
    }

    /// Somebody asks: what waits for its next attempt is due at once.
    pub fn retry_now(&mut self) {
        self.repairs.clear();
        for trouble in self.troubles.values_mut().filter(|trouble| trouble.not_before != NEVER) {
            trouble.not_before = 0;
        }
    }
}

pub(super) fn namespace(name: &str) -> ObjectId {
    ObjectId { group: String::new(), kind: "Namespace".into(), namespace: String::new(), name: name.into() }
}
