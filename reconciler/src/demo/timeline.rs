//! What happened and how long it took, as data.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Timeline {
    steps: Vec<Step>,
    /// The step that failed, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Step {
    pub(super) name: String,
    /// In milliseconds, in the order in which they were measured.
    pub(super) measured: Vec<Measured>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Measured {
    pub(super) name: &'static str,
    pub(super) ms: f64,
}

impl Measured {
    pub(super) fn new(name: &'static str, took: Duration) -> Self {
        Self { name, ms: (took.as_secs_f64() * 10_000.0).round() / 10.0 }
    }
}

impl Timeline {
    pub(super) fn add(&mut self, name: &str, measured: Vec<Measured>) {
        self.steps.push(Step { name: name.into(), measured });
    }

    pub(super) fn write(&mut self, file: &Path, error: Option<&anyhow::Error>) -> anyhow::Result<()> {
        self.failed = error.map(|error| format!("{error:#}"));
        let json = serde_json::to_vec_pretty(self).expect("a timeline is plain data");
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))
    }
}
