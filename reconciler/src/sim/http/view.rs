//! The form in which objects are answered: whole or metadata only, in the version that was asked for.

use axum::body::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use crate::sim::kinds::Kind;
use crate::sim::store::Object;

#[derive(Debug, Clone)]
pub(super) struct View {
    metadata_only: bool,
    /// The version to show, if it is not the stored one.
    api_version: Option<String>,
}

/// An item of a list: the list says what kind it is.
struct Untyped<'a>(&'a Map<String, Value>);

impl Serialize for Untyped<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.iter().filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind"))
        {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl View {
    pub(super) fn new(accept: &str, kind: &Kind, version: &str) -> Self {
        let metadata_only = accept.contains("as=PartialObjectMetadata") && accept.contains("g=meta.k8s.io");
        let api_version = (kind.storage().name != version).then(|| kind.api_version(version));
        Self { metadata_only, api_version }
    }

    pub(super) fn object(&self, object: &Object) -> Bytes {
        if self.metadata_only {
            let metadata = &object.value["metadata"];
            let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
            return partial.to_string().into();
        }
        match &self.api_version {
            None => object.json(),
            Some(version) => {
                let mut value = object.value.clone();
                value["apiVersion"] = version.as_str().into();
                value.to_string().into()
            }
        }
    }

    /// An object as an item of a list.
    pub(super) fn item(&self, kind: &Kind, object: &Object) -> Bytes {
        match &object.value {
            // Lists of built-in kinds leave out what their items are.
            Value::Object(map) if !kind.custom && !self.metadata_only => {
                serde_json::to_vec(&Untyped(map)).expect("a JSON value can be written").into()
            }
            _ => self.object(object),
        }
    }

    /// Kind and version of a list.
    pub(super) fn list(&self, kind: &Kind, version: &str) -> (String, String) {
        match self.metadata_only {
            true => ("PartialObjectMetadataList".into(), "meta.k8s.io/v1".into()),
            false => (kind.list_kind.clone(), kind.api_version(version)),
        }
    }

    /// The empty object that a bookmark carries.
    pub(super) fn bookmark(&self, kind: &Kind, version: &str) -> Value {
        match self.metadata_only {
            true => json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}),
            false => json!({"kind": kind.kind, "apiVersion": kind.api_version(version)}),
        }
    }
}
