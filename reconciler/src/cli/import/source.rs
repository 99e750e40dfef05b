//! A file of another tool, read as Kubernetes reads YAML.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context, bail};
use qonnect_schema::yaml::{self, Dialect, Limits};
use serde_json::Value;

pub(super) struct Source {
    pub(super) file: String,
    pub(super) bytes: Vec<u8>,
}

impl Source {
    /// `-` is standard input.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let about = || format!("cannot read {}", path.display());
        let bytes = if path == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes).with_context(about)?;
            bytes
        } else {
            fs::read(path).with_context(about)?
        };
        Ok(Self { file: path.display().to_string(), bytes })
    }

    pub(super) fn documents(&self, limits: &Limits) -> anyhow::Result<Vec<Value>> {
        let (documents, faults) = yaml::parse(&self.bytes, Dialect::Kubernetes, limits);
        if let Some(fault) = faults.first() {
            let before = self.bytes.get(..fault.range.start).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            bail!("{}:{line}: {}", self.file, fault.message);
        }
        let values = documents.into_iter().map(yaml::Node::into_value);
        Ok(values.filter(|document| !document.is_null()).collect())
    }
}
