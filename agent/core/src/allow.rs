//! What an agent's own configuration lets it touch. No release can widen it.

use qonnect_schema::manifest::ObjectId;
use serde::{Deserialize, Serialize};

use crate::inventory;

/// Each list is absent for "all". A `*` at the end of an entry stands for any rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Allowed {
    pub namespaces: Option<Vec<String>>,
    /// `ConfigMap`, `Deployment.apps`, or `*.apps` for every kind of a group.
    pub kinds: Option<Vec<String>>,
}

impl Allowed {
    /// Why an object is not touched, with the way out; `None` where it is allowed.
    pub fn refusal(&self, id: &ObjectId) -> Option<String> {
        if is_ours_alone(id) {
            return Some("it is where the agent itself keeps its inventory; choose another name".into());
        }
        let kind = kind(id);
        if let Some(kinds) = &self.kinds
            && !kinds.iter().any(|entry| matches(entry, &kind))
        {
            return Some(format!("kind {kind} is not among allow.kinds of the agent's configuration"));
        }
        let namespaces = self.namespaces.as_ref()?;
        let place = match (id.group.as_str(), id.kind.as_str()) {
            ("", "Namespace") => &id.name,
            _ => &id.namespace,
        };
        // What lives in no namespace reaches into all of them: the kind must have been named for that.
        if place.is_empty() {
            let named = self.kinds.is_some();
            return (!named).then(|| {
                format!("{kind} lives in no namespace: with allow.namespaces in the agent's configuration, allow.kinds must name it")
            });
        }
        (!namespaces.iter().any(|entry| matches(entry, place)))
            .then(|| format!("namespace {place} is not among allow.namespaces of the agent's configuration"))
    }
}

/// A release that overwrote the inventory could make the agent delete anything.
fn is_ours_alone(id: &ObjectId) -> bool {
    let is = |kind, namespace, name: &str| {
        id.group.is_empty() && id.kind == kind && id.namespace == namespace && id.name == name
    };
    is("Namespace", "", inventory::NAMESPACE)
        || is("ConfigMap", inventory::NAMESPACE, inventory::RELEASE)
        || (0..inventory::SHARDS)
            .any(|shard| is("ConfigMap", inventory::NAMESPACE, &inventory::shard_name(shard)))
}

fn kind(id: &ObjectId) -> String {
    match id.group.is_empty() {
        true => id.kind.clone(),
        false => format!("{}.{}", id.kind, id.group),
    }
}

fn matches(entry: &str, text: &str) -> bool {
    match (entry.strip_suffix('*'), entry.strip_prefix("*.")) {
        (Some(beginning), _) => text.starts_with(beginning),
        (None, Some(group)) => text.split_once('.').is_some_and(|(_, found)| found == group),
        (None, None) => entry == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(group: &str, kind: &str, namespace: &str, name: &str) -> ObjectId {
        let [group, kind, namespace, name] = [group, kind, namespace, name].map(String::from);
        ObjectId { group, kind, namespace, name }
    }

    fn allowed(namespaces: Option<&[&str]>, kinds: Option<&[&str]>) -> Allowed {
        let list =
            |entries: Option<&[&str]>| entries.map(|all| all.iter().map(ToString::to_string).collect());
        Allowed { namespaces: list(namespaces), kinds: list(kinds) }
    }

    #[test]
    fn lists_name_what_may_be_touched() {
        let web = id("apps", "Deployment", "shop", "web");
        let map = id("", "ConfigMap", "shop-eu", "web");
        let shop = id("", "Namespace", "", "shop");
        let role = id("rbac.authorization.k8s.io", "ClusterRole", "", "all");
        for (namespaces, kinds, object, may) in [
            (None, None, &web, true),
            (None, None, &role, true),
            (Some(["shop"].as_slice()), None, &web, true),
            (Some(["shop"].as_slice()), None, &shop, true),
            (Some(["shop"].as_slice()), None, &map, false),
            (Some(["shop*"].as_slice()), None, &map, true),
            (Some([].as_slice()), None, &web, false),
            (Some(["shop"].as_slice()), None, &role, false),
            (Some(["shop"].as_slice()), Some(["*.rbac.authorization.k8s.io"].as_slice()), &role, true),
            (None, Some(["Deployment.apps"].as_slice()), &web, true),
            (None, Some(["*.apps"].as_slice()), &web, true),
            (None, Some(["Deployment"].as_slice()), &web, false),
            (None, Some(["ConfigMap"].as_slice()), &map, true),
            (None, Some(["ConfigMap"].as_slice()), &shop, false),
        ] {
            let refusal = allowed(namespaces, kinds).refusal(object);
            assert_eq!(refusal.is_none(), may, "{object} with {namespaces:?} {kinds:?}: {refusal:?}");
        }
    }

    #[test]
    fn nobody_writes_the_inventory_through_a_release() {
        for object in [
            id("", "ConfigMap", "qonnect-system", "inventory-3"),
            id("", "ConfigMap", "qonnect-system", "release"),
            id("", "Namespace", "", "qonnect-system"),
        ] {
            assert!(Allowed::default().refusal(&object).is_some(), "{object}");
        }
        assert_eq!(Allowed::default().refusal(&id("", "ConfigMap", "shop", "inventory-3")), None);
        assert_eq!(Allowed::default().refusal(&id("apps", "Deployment", "qonnect-system", "x")), None);
    }
}
