//! The only home of the YAML library.

use serde::{Serialize, de::DeserializeOwned};

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// Reads one of our own documents that was checked before, or that a lead wrote.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_yaml::from_str(text).map_err(|error| Error(error.to_string()))
}

/// Writes a document so that readers of YAML 1.1 and 1.2 agree on it.
pub fn to_string<T: Serialize>(document: &T) -> Result<String, Error> {
    serde_yaml::to_string(document).map_err(|error| Error(error.to_string()))
}
