//! An agent in front of each cluster; one dies with its cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::processes::Process;
use super::stage::text;

#[derive(Debug)]
pub(super) struct Agents {
    program: PathBuf,
    folder: PathBuf,
    logs: PathBuf,
    running: BTreeMap<String, Process>,
}

impl Agents {
    pub(super) fn new(program: &Path, folder: &Path, logs: &Path) -> Self {
        Self { program: program.into(), folder: folder.into(), logs: logs.into(), running: BTreeMap::new() }
    }

    /// With the configuration that lies in the folder, and what it kept there.
    pub(super) fn start(&mut self, cluster: &str) -> anyhow::Result<()> {
        let name = format!("agent-{cluster}");
        let config = self.folder.join(format!("{name}.yaml"));
        let process = Process::start(&name, &self.program, &["--config", text(&config)?], &self.logs)?;
        self.running.insert(cluster.into(), process);
        Ok(())
    }

    pub(super) async fn kill(&mut self, cluster: &str) -> anyhow::Result<()> {
        self.running.remove(cluster).with_context(|| format!("{cluster} has no agent"))?.kill().await
    }

    /// Fails when one has ended by itself.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.running.values_mut().try_for_each(Process::check)
    }
}
