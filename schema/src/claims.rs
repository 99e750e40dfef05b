//! What only one component of the whole fleet may have: an object, a node port.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::manifest::{ObjectId, is_cluster_scoped};
use crate::revision::ApplicationSource;

/// Two components want the same thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// What both want: `the object Service bookinfo/reviews`, `the node port 30081`.
    pub thing: String,
    /// The application and component that keep it: the first by name.
    pub first: (String, String),
    /// The application and component that must not have it.
    pub second: (String, String),
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (application, component) = &self.first;
        write!(f, "{} belongs to the component `{component}` of `{application}`", self.thing)
    }
}

/// The clashes among applications of different commits, which no check of one commit sees together: an
/// application that is held at an old revision keeps its objects, although the newest gives them to another one.
pub fn clashes(
    applications: &BTreeMap<String, Arc<ApplicationSource>>,
    cluster_scoped: &[String],
) -> Vec<Clash> {
    let mut owners = Owners::default();
    let mut clashes = Vec::new();
    for (name, source) in applications {
        for component in &source.application.spec.components {
            let owner = (name.clone(), component.name.clone());
            let objects = source.manifests.get(&component.name).into_iter().flatten();
            let ids = objects.filter_map(|manifest| {
                let mut id = ObjectId::of(&manifest.object)?;
                let cluster_wide = is_cluster_scoped(&id.group, &id.kind, cluster_scoped);
                id.namespace = if cluster_wide { String::new() } else { source.namespace().into() };
                Some(Thing::Object(id))
            });
            let ports = component.expose.iter().map(|expose| Thing::NodePort(expose.node_port));
            clashes.extend(ids.chain(ports).filter_map(|thing| owners.claim(thing, &owner)));
        }
    }
    clashes.retain(|clash| clash.first.0 != clash.second.0);
    clashes
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Object(ObjectId),
    NodePort(u16),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => write!(f, "the object {id}"),
            Self::NodePort(port) => write!(f, "the node port {port}"),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Owners(BTreeMap<Thing, (String, String)>);

impl Owners {
    /// Gives a thing to its first claimant; the clash if it is not this one.
    pub(crate) fn claim(&mut self, thing: Thing, owner: &(String, String)) -> Option<Clash> {
        if let Some(first) = self.0.get(&thing) {
            return Some(Clash { thing: thing.to_string(), first: first.clone(), second: owner.clone() });
        }
        self.0.insert(thing, owner.clone());
        None
    }
}
