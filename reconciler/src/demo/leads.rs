//! Three leads, of which one is killed.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::processes::Process;
use super::stage::{text, write_yaml};
use crate::api::client::{Client, Options};

const COUNT: usize = 3;

#[derive(Debug)]
pub(super) struct Leads {
    program: PathBuf,
    folder: PathBuf,
    logs: PathBuf,
    /// Where they listen for each other, and where their API is.
    addresses: Vec<(String, String)>,
    running: BTreeMap<String, Process>,
}

impl Leads {
    pub(super) fn new(folder: &Path, program: &Path, logs: &Path) -> anyhow::Result<Self> {
        let ports = free_ports(2 * COUNT)?;
        let address = |port: u16| format!("127.0.0.1:{port}");
        let addresses = ports.chunks(2).map(|pair| (address(pair[0]), address(pair[1]))).collect();
        Ok(Self {
            program: program.into(),
            folder: folder.into(),
            logs: logs.into(),
            addresses,
            running: BTreeMap::new(),
        })
    }

    pub(super) fn urls(&self) -> Vec<String> {
        self.addresses.iter().map(|(_, api)| format!("http://{api}")).collect()
    }

    /// A client of this one alone.
    pub(super) fn client(&self, of: &str) -> anyhow::Result<Client> {
        let urls = (1..).zip(self.urls()).filter(|(node, _)| name(*node) == of).map(|(_, url)| url);
        Ok(Client::new(&Options { leads: urls.collect(), ..Options::default() })?)
    }

    /// All with the same file.
    pub(super) fn start_all(&mut self, repository: &str) -> anyhow::Result<()> {
        let peers = (1..).zip(&self.addresses).map(|(node, (peer, api))| {
            json!({"name": name(node), "node": node, "peer": peer, "api": format!("http://{api}")})
        });
        let config = json!({
            "data": self.folder.join("${name}"),
            "repository": {"url": repository, "branch": "main", "poll": "30s"},
            "peers": peers.collect::<Vec<_>>(),
        });
        write_yaml(&self.config(), &config)?;
        (1..=COUNT).try_for_each(|node| self.start(&name(node)))
    }

    pub(super) fn start(&mut self, name: &str) -> anyhow::Result<()> {
        let config = self.config();
        let words = ["lead", "--config", text(&config)?, "--name", name];
        self.running.insert(name.into(), Process::start(name, &self.program, &words, &self.logs)?);
        Ok(())
    }

    /// As a power cut would end it.
    pub(super) async fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        let process = self.running.remove(name).with_context(|| format!("{name} does not run"))?;
        process.kill().await
    }

    /// Fails when one has ended by itself.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.running.values_mut().try_for_each(Process::check)
    }

    fn config(&self) -> PathBuf {
        self.folder.join("leads.yaml")
    }
}

fn name(node: usize) -> String {
    format!("lead-{node}")
}

pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(free_ports(1)?[0])
}

/// Free a moment ago: the leads and the git server must know them before anybody listens.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let listeners: Result<Vec<_>, _> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    let listeners = listeners.context("no free port on loopback")?;
    listeners.iter().map(|listener| Ok(listener.local_addr().context("no address")?.port())).collect()
}
