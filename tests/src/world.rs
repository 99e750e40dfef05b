//! The whole loop as real processes: a Git server, a lead, agents in front of Kubernetes API servers.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use qonnect_schema::api::{ClusterView, Event, List, PlacementView, RevisionRecord};
use qonnect_schema::documents::snapshot::{Brake, Health};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::folder;
use crate::git::{Checkout, GitHost};
use crate::github::{GitHub, TOKEN};
use crate::process::Process;
use crate::programs;
use crate::wait::wait_for;

/// Where leads commit unless `fleet.yaml` says otherwise.
pub const DEPLOY: &str = "qonnect/deploy";

/// A start of a lead with an empty data folder, on a busy machine.
const START: Duration = Duration::from_secs(60);

/// How long a verdict on a push may take here; measured are some hundred milliseconds.
const VERDICT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct World {
    folder: PathBuf,
    address: String,
    host: GitHost,
    /// A person's clone.
    pub checkout: Checkout,
    client: reqwest::Client,
    trust: Option<Trust>,
    /// What the lead's configuration says of it.
    forge: Option<Value>,
    lead: Option<Process>,
    agents: BTreeMap<String, Process>,
}

/// Whose commits count, and what the lead signs its own with.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Of the spec branch.
    pub people: PathBuf,
    /// Of the deploy branch.
    pub leads: PathBuf,
    pub signing_key: PathBuf,
}

impl World {
    /// An empty repository that is served; nothing else runs yet.
    pub fn new(name: &str) -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let folder = folder::fresh(name);
        let repositories = folder.join("repositories");
        std::fs::create_dir(&repositories).expect("the folder of the test can be written");
        let host = GitHost::start(&repositories);
        let checkout = Checkout::new(host.url());
        // The lead must be found again after a restart: a port that is free now, not one that it picks.
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address").to_string();
        let client = reqwest::Client::new();
        Self {
            folder,
            address,
            host,
            checkout,
            client,
            trust: None,
            forge: None,
            lead: None,
            agents: BTreeMap::new(),
        }
    }

    /// As [`Self::new`], with signatures that are asked for.
    pub fn signed(name: &str, trust: Trust) -> Self {
        Self { trust: Some(trust), ..Self::new(name) }
    }

    /// GitHub, from the next start of the lead on, which looks there every second.
    pub fn on_github(&mut self) -> GitHub {
        let github = GitHub::start(&self.folder.join("repositories/fleet.git"), self.host.url());
        let token = self.folder.join("token");
        std::fs::write(&token, TOKEN).expect("the folder of the test can be written");
        self.forge =
            Some(json!({"github": {"repository": "octo/fleet", "api": github.api(), "tokenFile": token}}));
        github
    }

    /// The clone URL.
    pub fn repository(&self) -> &str {
        self.host.url()
    }

    /// Where a branch stands on the server, read from its disk: quick enough for a stopwatch.
    pub fn tip(&self, branch: &str) -> Option<String> {
        let file = self.folder.join("repositories/fleet.git/refs/heads").join(branch);
        std::fs::read_to_string(file).ok().map(|tip| tip.trim().into())
    }

    /// The address of the lead's API.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts the lead, or starts it again on what it left behind, and waits until it is ready.
    pub async fn start_lead(&mut self) {
        self.launch_lead();
        self.ready_lead().await;
    }

    /// Starts the lead, which may have a reason not to become ready.
    pub fn launch_lead(&mut self) {
        let mut config = json!({
            "name": "lead-1", "node": 1, "data": self.folder.join("lead"), "listen": self.address,
            "repository": {"url": self.host.url(), "branch": "main"},
        });
        if let Some(trust) = &self.trust {
            let repository = &mut config["repository"];
            repository["signers"] = json!({"allowed": trust.people});
            repository["signingKey"] = json!(trust.signing_key);
            // So soon does it see that somebody else may sign.
            repository["poll"] = json!("1s");
        }
        if let Some(forge) = &self.forge {
            config["forge"] = forge.clone();
            // So soon does it see a merge by the button.
            config["repository"]["poll"] = json!("1s");
        }
        let command = configured(programs::qonnect(), &["lead"], &self.folder.join("lead.yaml"), &config);
        self.lead = Some(self.launch("lead", command));
        self.host.tell(&format!("{}/hooks/git", self.url()));
    }

    pub async fn ready_lead(&mut self) {
        let url = format!("{}/readyz", self.url());
        wait_for("a ready lead", START, async || {
            if let Some(status) = self.lead.as_mut().and_then(Process::ended) {
                panic!("the lead ended with {status}\n{}", self.tails());
            }
            let answer = self.client.get(&url).send().await.map_err(|error| error.to_string())?;
            match answer.status().is_success() {
                true => Ok(()),
                false => Err(format!("{}\n{}", answer.status(), self.tails())),
            }
        })
        .await;
    }

    /// Ends the lead as a power cut would.
    pub fn kill_lead(&mut self) {
        self.lead = None;
    }

    /// Takes everything from the lead that it wrote, as a lost disk does.
    pub fn lose_disk(&mut self) {
        assert!(self.lead.is_none(), "a lead that runs holds its folder");
        std::fs::remove_dir_all(self.folder.join("lead")).expect("the lead has left a folder");
    }

    /// Starts the agent of a cluster, which it reaches by this kubeconfig.
    pub fn start_agent(&mut self, cluster: &str, kubeconfig: &Path) {
        let command = self.agent(cluster, kubeconfig, &self.url(), self.host.url());
        self.launch_agent(cluster, command);
    }

    /// The agent of a cluster, which finds everybody else at these addresses.
    pub fn agent(&self, cluster: &str, kubeconfig: &Path, lead: &str, repository: &str) -> Command {
        let name = format!("agent-{cluster}");
        let mut config = json!({
            "cluster": cluster, "data": self.folder.join(&name), "leads": [lead],
            "repository": {"url": repository, "branch": DEPLOY},
            "kubeconfig": kubeconfig,
        });
        if let Some(trust) = &self.trust {
            config["repository"]["signers"] = json!({"allowed": trust.leads});
        }
        configured(programs::agent(), &[], &self.folder.join(format!("{name}.yaml")), &config)
    }

    pub fn launch_agent(&mut self, cluster: &str, command: Command) {
        let agent = self.launch(&format!("agent-{cluster}"), command);
        self.agents.insert(cluster.into(), agent);
    }

    /// Ends the agent of a cluster as a power cut would.
    pub fn kill_agent(&mut self, cluster: &str) {
        self.agents.remove(cluster);
    }

    /// The process id of a cluster's agent.
    pub fn agent_id(&self, cluster: &str) -> u32 {
        self.agents[cluster].id()
    }

    fn launch(&self, name: &str, mut command: Command) -> Process {
        command.env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or("info".into())).env("NO_COLOR", "1");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        let log = self.folder.join(format!("{name}.log"));
        Process::start(name, command, &log).unwrap_or_else(|error| panic!("{name} does not start: {error}"))
    }

    /// Commits and pushes what the checkout holds, and waits for the lead's verdict on that commit.
    pub async fn push(&self, message: &str) -> RevisionRecord {
        let commit = self.checkout.push(message);
        self.verdict(&commit).await
    }

    pub async fn verdict(&self, commit: &str) -> RevisionRecord {
        wait_for(&format!("the verdict on {commit}"), VERDICT, async || {
            let records = self.revisions().await?;
            let newest = records.iter().map(|record| record.subject.clone()).collect::<Vec<_>>();
            let found = records.into_iter().find(|record| record.commit == commit);
            found.ok_or_else(|| format!("verdicts on {newest:?}\n{}", self.tails()))
        })
        .await
    }

    pub async fn revisions(&self) -> Result<Vec<RevisionRecord>, String> {
        self.list("revisions").await
    }

    pub async fn placements(&self) -> Result<Vec<PlacementView>, String> {
        self.list("placements").await
    }

    pub async fn clusters(&self) -> Result<Vec<ClusterView>, String> {
        self.list("clusters").await
    }

    pub async fn events(&self) -> Result<Vec<Event>, String> {
        self.list("events").await
    }

    pub async fn brakes(&self) -> Result<Vec<Brake>, String> {
        self.list("brakes").await
    }

    /// Says that the clusters which hold the brake are gone.
    pub async fn release_brake(&self) {
        let url = format!("{}/v1alpha1/brake", self.url());
        let answer = self.client.delete(url).send().await.expect("the lead answers");
        assert!(answer.status().is_success(), "{}\n{}", answer.status(), self.tails());
    }

    async fn list<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>, String> {
        let url = format!("{}/v1alpha1/{kind}", self.url());
        let answer = self.client.get(url).send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.text().await.map_err(|error| error.to_string())?;
        match status.is_success() {
            true => serde_json::from_str::<List<T>>(&body)
                .map(|list| list.items)
                .map_err(|error| format!("{kind}: {error}: {body}")),
            false => Err(format!("{kind}: {status}: {body}")),
        }
    }

    /// Where each component runs once nothing moves and all of it is Ready, by `application/component`.
    pub async fn settled(&self, deadline: Duration) -> BTreeMap<String, String> {
        wait_for("a settled fleet", deadline, async || {
            let mut settled = BTreeMap::new();
            for one in self.placements().await? {
                let name = format!("{}/{}", one.application, one.component);
                let ready = one.status.as_ref().is_some_and(|status| status.health == Health::Ready);
                match one.cluster {
                    Some(cluster) if ready && one.moving.is_none() => settled.insert(name, cluster),
                    cluster => {
                        return Err(format!(
                            "{name} on {cluster:?}, moving {:?}, {:?}\n{}",
                            one.moving,
                            one.status,
                            self.tails()
                        ));
                    }
                };
            }
            // Before the first decision nothing moves either.
            if settled.is_empty() { Err(format!("nothing is placed\n{}", self.tails())) } else { Ok(settled) }
        })
        .await
    }

    /// The last words of every process.
    pub fn tails(&self) -> String {
        self.lead.iter().chain(self.agents.values()).map(Process::tail).collect::<Vec<_>>().join("\n")
    }
}

/// A program with its configuration in a file.
fn configured(program: PathBuf, words: &[&str], file: &Path, config: &Value) -> Command {
    std::fs::write(file, config.to_string()).expect("the folder of the test can be written");
    let mut command = Command::new(program);
    command.args(words).arg("--config").arg(file);
    command
}
