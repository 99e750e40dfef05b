//! A finding: where a document is wrong, what is wrong, what would be right.

#[cfg(feature = "validate")]
mod github;
#[cfg(feature = "validate")]
mod junit;
#[cfg(feature = "validate")]
mod sarif;
#[cfg(feature = "validate")]
mod text;

#[cfg(feature = "validate")]
pub use {github::github, junit::junit, sarif::sarif, text::text};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Stable, in kebab case, such as `unknown-field`.
    pub code: String,
    /// From the root of the repository.
    pub file: String,
    /// Absent where no place in the file is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// RFC 6901, within the document; empty for the whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pointer: String,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The application that it holds; absent where it refuses the whole revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
}

/// The half-open range of bytes, and the line and column of its start, both from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    pub line: u32,
    /// In characters.
    pub column: u32,
    pub start: u32,
    pub end: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    Error,
    Warning,
}
