//! Paths of the Kubernetes API.

use std::sync::Arc;

use crate::sim::kinds::{Kind, Kinds};
use crate::sim::objects::Part;

#[derive(Debug, PartialEq)]
pub(super) enum Route {
    Health,
    Version,
    /// `/`
    Paths,
    /// `/api`
    Core,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    Resources {
        group: String,
        version: String,
    },
    Object(Address),
    Unknown,
}

/// Where objects live: a collection, an object, or a part of one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Address {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) namespace: String,
    pub(super) plural: String,
    pub(super) name: String,
    pub(super) subresource: String,
}

/// An address at which something is served.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) kind: Arc<Kind>,
    pub(super) version: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) part: Part,
    /// A subresource that only takes commands: `binding`, `eviction`.
    pub(super) command: Option<String>,
}

impl Route {
    pub(super) fn parse(path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match parts.as_slice() {
            [] => Self::Paths,
            ["healthz" | "livez" | "readyz", ..] => Self::Health,
            ["version"] => Self::Version,
            ["api"] => Self::Core,
            ["apis"] => Self::Groups,
            ["apis", group] => Self::Group((*group).into()),
            ["api", version] => Self::Resources { group: String::new(), version: (*version).into() },
            ["apis", group, version] => {
                Self::Resources { group: (*group).into(), version: (*version).into() }
            }
            ["api", version, rest @ ..] => Self::object("", version, rest),
            ["apis", group, version, rest @ ..] => Self::object(group, version, rest),
            _ => Self::Unknown,
        }
    }

    fn object(group: &str, version: &str, rest: &[&str]) -> Self {
        let (namespace, rest) = match rest {
            // `/namespaces/NAME/status` is about the namespace itself.
            ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, subresource] => (*plural, *name, *subresource),
            _ => return Self::Unknown,
        };
        Self::Object(Address {
            group: group.into(),
            version: version.into(),
            namespace: namespace.into(),
            plural: plural.into(),
            name: name.into(),
            subresource: subresource.into(),
        })
    }
}

impl Address {
    /// True if something built in is served in this group and version.
    pub(super) fn is_in_known_group(&self, kinds: &Kinds) -> bool {
        let mut kinds = kinds.iter().filter(|(_, kind)| !kind.custom && kind.group == self.group);
        kinds.any(|(_, kind)| kind.version(&self.version).is_some())
    }

    pub(super) fn resolve(&self, kinds: &Kinds) -> Option<Target> {
        let dot = if self.group.is_empty() { "" } else { "." };
        let kind = kinds.get(&format!("{}{dot}{}", self.plural, self.group))?.clone();
        let version = kind.version(&self.version)?;
        // Only listing reaches over all namespaces, and nothing cluster-scoped lives in one.
        if kind.namespaced == self.namespace.is_empty() && !(kind.namespaced && self.name.is_empty()) {
            return None;
        }
        let (part, command) = match self.subresource.as_str() {
            "" => (Part::Whole, None),
            "status" if version.status => (Part::Status, None),
            "scale" if version.scale => (Part::Scale, None),
            "finalize" if kind.is("", "Namespace") => (Part::Finalize, None),
            command @ ("binding" | "eviction") if kind.is("", "Pod") => {
                (Part::Whole, Some(command.to_owned()))
            }
            _ => return None,
        };
        let (namespace, name) = (self.namespace.clone(), self.name.clone());
        Some(Target { version: self.version.clone(), kind, namespace, name, part, command })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_what_they_name() {
        let address = |path: &str| match Route::parse(path) {
            Route::Object(a) => [a.group, a.namespace, a.plural, a.name, a.subresource].join("|"),
            other => format!("{other:?}"),
        };
        for (path, expected) in [
            ("/api/v1/pods", "||pods||"),
            ("/api/v1/namespaces", "||namespaces||"),
            ("/api/v1/namespaces/a", "||namespaces|a|"),
            ("/api/v1/namespaces/a/finalize", "||namespaces|a|finalize"),
            ("/api/v1/namespaces/a/pods/p/binding", "|a|pods|p|binding"),
            ("/apis/apps/v1/namespaces/a/deployments/d/scale", "apps|a|deployments|d|scale"),
            ("/openapi/v2", "Unknown"),
        ] {
            assert_eq!(address(path), expected, "{path}");
        }
    }
}
