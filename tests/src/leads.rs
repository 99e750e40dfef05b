//! A group of leads as real processes, in front of a Git server that people push to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use qonnect::api::client::{Client, Options};
use qonnect_schema::api::{LeadRole, LeadView, RevisionRecord};
use serde_json::{Value, json};

use crate::folder;
use crate::git::{Checkout, GitHost, HistoryEntry};
use crate::network::Network;
use crate::ports::free_ports;
use crate::process::{Process, run_command};
use crate::programs;
use crate::proxy::Proxy;
use crate::speakers::{self, Acknowledged, Speakers};
use crate::wait::wait_for;
use crate::world::DEPLOY;

/// An election takes about a second, a start some hundred milliseconds; machines may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where each lead listens that has an address of its own.
const PEER_PORT: u16 = 7481;
pub const API_PORT: u16 = 7480;

#[derive(Debug)]
pub struct Leads {
    folder: PathBuf,
    pub host: GitHost,
    pub checkout: Checkout,
    peers: Vec<Value>,
    secured: bool,
    /// Where each lead has an address of its own.
    network: Option<Network>,
    /// Between them and the Git server: leads with networks of their own cannot reach loopback here.
    git: Option<Proxy>,
    /// What their configuration says beside where they are.
    pub config: Value,
    /// Variables that leads find in their environment.
    pub environment: BTreeMap<&'static str, String>,
    running: BTreeMap<String, Process>,
}

impl Leads {
    /// The clusters of the example lie in the repository; no lead runs yet.
    pub fn new(name: &str, count: usize) -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let folder = folder::fresh(name);
        let repositories = folder.join("repositories");
        std::fs::create_dir(&repositories).expect("the folder of the test can be written");
        let host = GitHost::start(&repositories);
        let checkout = Checkout::new(host.url());
        checkout.copy("example-repo");
        checkout.remove("apps");
        std::fs::remove_dir_all(checkout.folder().join("apps")).ok();
        checkout.push("A fleet");
        let ports = free_ports(2 * count);
        let peers = (1..=count).map(|node| {
            json!({
                "name": format!("lead-{node}"), "node": node,
                "peer": format!("127.0.0.1:{}", ports[2 * node - 2]),
                "api": format!("http://127.0.0.1:{}", ports[2 * node - 1]),
            })
        });
        let (peers, running) = (peers.collect(), BTreeMap::new());
        let config = json!({"repository": {"branch": "main", "poll": "1s"}});
        let environment = BTreeMap::new();
        let (secured, network, git) = (false, None, None);
        Self { peers, folder, host, checkout, secured, network, git, config, environment, running }
    }

    /// As [`Self::new`], with certificates between the leads.
    pub fn secured(name: &str, count: usize) -> Self {
        let leads = Self { secured: true, ..Self::new(name, count) };
        let mut certs = Command::new(programs::qonnect());
        certs.args(["certs", "--out"]).arg(leads.certs());
        for name in leads.names() {
            certs.args(["--lead", &name]);
        }
        run_command(certs);
        leads
    }

    /// As [`Self::secured`], each lead with a network of its own, and certificates for these clusters.
    pub async fn apart(name: &str, count: usize, clusters: &[&str]) -> Self {
        let mut leads = Self::new(name, count);
        let network = Network::new(&leads.names());
        for (number, peer) in leads.peers.iter_mut().enumerate() {
            let address = network.address(&format!("lead-{}", number + 1));
            peer["peer"] = json!(format!("{address}:{PEER_PORT}"));
            peer["api"] = json!(format!("https://{address}:{API_PORT}"));
        }
        let mut certs = Command::new(programs::qonnect());
        certs.args(["certs", "--cluster", &clusters.join(","), "--out"]).arg(leads.certs());
        for name in leads.names() {
            certs.args(["--lead", &format!("{name}={}", network.address(&name))]);
        }
        run_command(certs);
        leads.git = Some(Proxy::start_at(network.here(), leads.git_address()).await);
        Self { secured: true, network: Some(network), ..leads }
    }

    /// As [`Self::new`], with a proxy between all leads and the Git server.
    pub async fn behind_a_proxy(name: &str, count: usize) -> Self {
        let leads = Self::new(name, count);
        let git = Some(Proxy::start(leads.git_address()).await);
        Self { git, ..leads }
    }

    fn git_address(&self) -> SocketAddr {
        let host = self.host.url().split('/').nth(2).expect("a URL names its host");
        host.parse().expect("it is an address")
    }

    /// What leads reach the Git server through.
    pub fn git(&self) -> &Proxy {
        self.git.as_ref().expect("these leads are behind a proxy")
    }

    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("these leads are apart")
    }

    /// The repository that people and leads push to, on this disk.
    pub fn repository_folder(&self) -> PathBuf {
        self.folder.join("repositories/fleet.git")
    }

    pub fn certs(&self) -> PathBuf {
        self.folder.join("certs")
    }

    /// Names one more lead, which the others do not know of.
    pub fn name_another(&mut self) -> LeadView {
        let (node, ports) = (self.peers.len() + 1, free_ports(2));
        let (peer, api) = (format!("127.0.0.1:{}", ports[0]), format!("http://127.0.0.1:{}", ports[1]));
        let name = format!("lead-{node}");
        self.peers.push(json!({"name": name, "node": node, "peer": peer, "api": api}));
        let (node, role) = (node as u64, LeadRole::Learner);
        LeadView { name, node, role, peer, api, term: 0, index: None }
    }

    /// So many small clusters in the spec branch. Returns their names.
    pub fn add_clusters(&self, count: usize) -> Vec<String> {
        let clusters: Vec<_> = (1..=count).map(|number| format!("small-{number}")).collect();
        for cluster in &clusters {
            let document = format!(
                "apiVersion: qonnect.io/v1alpha1\nkind: Cluster\nmetadata: {{name: {cluster}}}\nspec: {{tier: edge}}\n"
            );
            self.checkout.write(&format!("clusters/{cluster}.yaml"), document);
        }
        self.checkout.push(&format!("{count} more clusters"));
        clusters
    }

    pub fn names(&self) -> Vec<String> {
        self.peers.iter().map(|peer| text(&peer["name"])).collect()
    }

    /// Starts a lead, or starts it again on what it left behind.
    pub fn start(&mut self, name: &str) {
        let mut config = self.config.clone();
        config["data"] = json!(self.folder.join("${name}"));
        if config["repository"]["url"].is_null() {
            config["repository"]["url"] = json!(self.repository());
        }
        config["peers"] = json!(self.peers);
        if self.secured {
            config["peerTls"] = json!({
                "certificate": self.certs().join("${name}.pem"), "key": self.certs().join("${name}.key"),
                "authority": self.certs().join("ca.pem"),
            });
        }
        if self.network.is_some() {
            config["tls"] = json!({
                "certificate": self.certs().join("${name}.pem"), "key": self.certs().join("${name}.key"),
                "clientAuthority": self.certs().join("ca.pem"),
            });
        }
        let file = self.folder.join(format!("{name}.yaml"));
        std::fs::write(&file, config.to_string()).expect("the folder of the test can be written");
        let mut command = Command::new(programs::qonnect());
        command.args(["lead", "--name", name, "--config"]).arg(file);
        command.env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or("info,openraft=error".into()));
        command
            .env("NO_COLOR", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .envs(&self.environment);
        let command = match &self.network {
            Some(network) => network.enter(name, &command),
            None => command,
        };
        let log = self.folder.join(format!("{name}.log"));
        let process = Process::start(name, command, &log).expect("a lead can be started");
        self.running.insert(name.into(), process);
    }

    /// As leads reach it.
    fn repository(&self) -> String {
        let url = self.host.url();
        match (&self.git, url.split('/').nth(2)) {
            (Some(git), Some(host)) => url.replacen(host, &git.address.to_string(), 1),
            _ => url.into(),
        }
    }

    /// Starts all, and waits until each serves agents and readers.
    pub async fn start_all(&mut self) {
        for name in self.names() {
            self.start(&name);
        }
        for name in self.names() {
            self.ready(&name).await;
        }
    }

    pub async fn ready(&self, name: &str) {
        let client = self.client(&[name]);
        wait_for(&format!("{name} to be ready"), PATIENCE, async || match client.ready().await {
            true => Ok(()),
            false => Err(self.tails()),
        })
        .await;
    }

    pub fn process(&mut self, name: &str) -> &mut Process {
        self.running.get_mut(name).expect("that lead was started")
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self, name: &str) {
        self.running.remove(name).expect("that lead runs");
    }

    /// `STOP` makes it hang, `CONT` lets it go on.
    pub fn signal(&self, name: &str, signal: &str) {
        let process = self.running.get(name).expect("that lead runs");
        let mut kill = Command::new("kill");
        kill.arg(format!("-{signal}")).arg(process.id().to_string());
        run_command(kill);
    }

    /// Asks it to end, as `systemctl stop` does, and waits until it has.
    pub async fn terminate(&mut self, name: &str) {
        let mut process = self.running.remove(name).expect("that lead runs");
        let mut kill = Command::new("kill");
        run_command({
            kill.arg(process.id().to_string());
            kill
        });
        wait_for("its end", PATIENCE, async || process.ended().ok_or_else(|| process.tail())).await;
    }

    /// What it kept is gone.
    pub fn wipe(&self, name: &str) {
        std::fs::remove_dir_all(self.folder.join(name)).expect("it had a data folder");
    }

    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default()
    }

    pub fn url(&self, name: &str) -> String {
        let peer = self.peers.iter().find(|peer| text(&peer["name"]) == name);
        text(&peer.expect("a lead of that name")["api"])
    }

    /// A client that knows these leads.
    pub fn client(&self, names: &[&str]) -> Client {
        self.client_as("admin", names)
    }

    /// The same as `cluster-NAME`, `reader` or `admin`, where that matters.
    pub fn client_as(&self, identity: &str, names: &[&str]) -> Client {
        let leads = names.iter().map(|name| self.url(name)).collect();
        let mut options = Options { leads, ..Options::default() };
        if self.network.is_some() {
            let file = |end: &str| self.certs().join(format!("{identity}.{end}"));
            options.authority = Some(self.certs().join("ca.pem"));
            options.certificate = Some((file("pem"), file("key")));
        }
        Client::new(&options).expect("a client can be made")
    }

    /// These clusters, each with a client for each lead.
    pub fn speakers(&self, clusters: &[String], pause: Duration) -> Speakers {
        let names = self.names();
        let leads = |identity: &str| names.iter().map(|name| self.client_as(identity, &[name])).collect();
        let clusters: Vec<(String, Vec<Client>)> = match self.network {
            // One certificate each.
            Some(_) => {
                clusters.iter().map(|name| (name.clone(), leads(&format!("cluster-{name}")))).collect()
            }
            None => {
                let leads: Vec<_> = leads("admin");
                clusters.iter().map(|name| (name.clone(), leads.clone())).collect()
            }
        };
        Speakers::start(clusters, pause)
    }

    /// Panics unless every lead knows what was acknowledged.
    pub async fn know(&self, acknowledged: &Acknowledged) {
        for name in self.names() {
            speakers::known(&name, &self.client(&[&name]), acknowledged, PATIENCE).await;
        }
    }

    /// Panics unless the deploy branch is one line of commits whose epochs never decrease. Returns how many.
    pub fn verify_history(&self) -> usize {
        let history = self.checkout.history(DEPLOY);
        let mut before: Option<&HistoryEntry> = None;
        for entry in &history {
            let base: Vec<_> = before.iter().map(|before| before.commit.clone()).collect();
            assert_eq!(entry.parents, base, "the history is no line at {entry:?}");
            assert!(entry.epoch.is_some(), "nobody but leads writes: {entry:?}");
            assert!(entry.epoch >= before.and_then(|before| before.epoch), "{before:?}, then {entry:?}");
            before = Some(entry);
        }
        history.len()
    }

    /// Waits until what a commit of the spec branch wants is on the deploy branch.
    pub async fn published(&self, revision: &str) {
        let client = self.client_of_all();
        wait_for("the revision to be published", PATIENCE, async || {
            let revisions = client.list_linearizable::<RevisionRecord>().await;
            let revisions = revisions.map_err(|error| error.to_string())?.items;
            let record = revisions.into_iter().find(|record| record.commit == revision);
            let published = record.as_ref().is_some_and(|record| record.published.is_some());
            if published { Ok(()) } else { Err(format!("{record:?}\n{}", self.tails())) }
        })
        .await;
    }

    pub fn client_of_all(&self) -> Client {
        let names = self.names();
        self.client(&names.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The leader, once all that run agree on it.
    pub async fn leader(&self) -> String {
        wait_for("one leader for all", PATIENCE, async || {
            let mut leaders = Vec::new();
            for name in self.running.keys() {
                let group =
                    self.client(&[name]).list::<LeadView>().await.map_err(|error| error.to_string())?;
                let leader = group.items.iter().find(|lead| lead.role == LeadRole::Leader);
                leaders.push(leader.map(|lead| (lead.name.clone(), lead.term)));
            }
            match &leaders[..] {
                [Some((first, term)), rest @ ..]
                    if rest.iter().all(|other| other.as_ref() == Some(&(first.clone(), *term)))
                        && self.running.contains_key(first) =>
                {
                    Ok(first.clone())
                }
                _ => Err(format!("{leaders:?}\n{}", self.tails())),
            }
        })
        .await
    }

    /// The role of a lead, as another one says.
    pub async fn role(&self, of: &str, says: &str) -> Result<LeadRole, String> {
        let group = self.client(&[says]).list::<LeadView>().await.map_err(|error| error.to_string())?;
        let lead = group.items.iter().find(|lead| lead.name == of);
        lead.map(|lead| lead.role).ok_or_else(|| format!("{says} does not know {of}: {:?}", group.items))
    }

    /// `qonnect raft ...`, asked of all leads.
    pub fn raft(&self, words: &[&str]) -> String {
        let urls: Vec<_> = self.names().iter().map(|name| self.url(name)).collect();
        let mut command = Command::new(programs::qonnect());
        command.arg("raft").args(words).args(["--lead", &urls.join(",")]);
        if self.network.is_some() {
            for (flag, file) in [("authority", "ca.pem"), ("certificate", "admin.pem"), ("key", "admin.key")]
            {
                command.arg(format!("--{flag}")).arg(self.certs().join(file));
            }
        }
        run_command(command)
    }

    /// The last words of every process.
    pub fn tails(&self) -> String {
        self.running.values().map(Process::tail).collect::<Vec<_>>().join("\n")
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("it was written as a string").to_owned()
}
