//! The kinds of `qonnect.io/v1alpha1`, one file each.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod application;
pub mod approval;
pub mod cluster;
pub mod fleet;
pub mod maintenance;
pub mod measured;
pub mod placement;
pub mod release;
pub mod signals;
pub mod snapshot;

/// The version of every document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    #[default]
    #[serde(rename = "qonnect.io/v1alpha1")]
    V1Alpha1,
}

/// The name of a document, and labels that selectors match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// A DNS label (RFC 1123): at most 63 of `a-z`, `0-9` and `-`.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Declares a document: its envelope, its kind and how to make one.
macro_rules! document {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $spec:ty) => {
        #[doc = concat!("The word `", stringify!($name), "` in the field `kind`.")]
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $kind {
            #[default]
            $name,
        }

        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            pub api_version: $crate::documents::ApiVersion,
            pub kind: $kind,
            pub metadata: $crate::documents::Metadata,
            pub spec: $spec,
        }

        impl $name {
            pub const KIND: &'static str = stringify!($name);

            pub fn new(name: impl Into<String>, spec: $spec) -> Self {
                Self {
                    api_version: Default::default(),
                    kind: Default::default(),
                    metadata: $crate::documents::Metadata { name: name.into(), ..Default::default() },
                    spec,
                }
            }

            pub fn name(&self) -> &str {
                &self.metadata.name
            }
        }
    };
}
pub(crate) use document;
