//! A Kubernetes object as a user wrote it, or as a lead rendered it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One document of a manifest file.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The file, from the root of the repository.
    pub path: String,
    /// Which document of that file, from zero.
    pub document: usize,
    pub object: Value,
}

/// What an object is called inside one cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectId {
    /// Empty for the core group. The version is no part of an object's identity.
    pub group: String,
    pub kind: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    pub name: String,
}

impl ObjectId {
    /// The identity of an object, or `None` if it lacks kind, version or name.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        let version = text("/apiVersion")?;
        Some(Self {
            group: version.split_once('/').map_or("", |(group, _)| group).into(),
            kind: text("/kind")?.into(),
            namespace: text("/metadata/namespace").unwrap_or_default().into(),
            name: text("/metadata/name")?.into(),
        })
    }
}

/// `Deployment.apps bookinfo/reviews-v1`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, kind, namespace, name } = self;
        let dot = if group.is_empty() { "" } else { "." };
        let slash = if namespace.is_empty() { "" } else { "/" };
        write!(f, "{kind}{dot}{group} {namespace}{slash}{name}")
    }
}
