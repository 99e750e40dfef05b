//! Everything that the story needs: a Git server, simulated clusters, leads, an agent in front of each cluster.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;
use qonnect_schema::api::{ClusterView, List};
use qonnect_schema::documents::snapshot::ClusterStatus;

use super::agents::Agents;
use super::chart;
use super::clusters::Clusters;
use super::leads::{Leads, free_port};
use super::processes::Process;
use super::repository::Clone;
use super::timeline::{Measured, Timeline};
use crate::api::client::{self, Client, Listed};
use crate::git_server::GitServer;

/// How long anything in the demo may take before it counts as failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Stage {
    pub(super) client: Client,
    pub(super) clone: Clone,
    pub(super) clusters: Clusters,
    pub(super) example: PathBuf,
    pub(super) leads: Leads,
    repository: String,
    kubeconfigs: PathBuf,
    sim: Process,
    pub(super) agents: Agents,
    /// The cluster that has died.
    pub(super) fallen: Option<String>,
    _git: GitServer,
}

const REPOSITORY: &str = "fleet.git";

impl Stage {
    pub(super) async fn build(
        example: &Path,
        folder: &Path,
        timeline: &mut Timeline,
    ) -> anyhow::Result<Self> {
        let started = Instant::now();
        chart::title("QONNECT: three leads, nine clusters, Bookinfo");
        let programs = Programs::find()?;
        let logs = folder.join("logs");
        let kubeconfigs = folder.join("kubeconfigs");
        for made in [&logs, &kubeconfigs] {
            std::fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
        }

        let mut leads = Leads::new(folder, &programs.qonnect, &logs)?;
        let git = serve_git(&folder.join("git"), &leads.urls()).await?;
        let repository = git.url(REPOSITORY);
        let clone = Clone::of(&repository, &folder.join("clone")).await?;
        clone.copy(example, |path| !path.starts_with("apps/"))?;
        hurry(&clone)?;
        clone.push("Nine clusters").await?;
        chart::done("Git repository", &repository);

        let names = cluster_names(example)?;
        let (control, declared) = (free_port()?, folder.join("clone"));
        let port = control.to_string();
        let words = ["sim", "--repository", text(&declared)?, "--out", text(&kubeconfigs)?];
        let words = [&words[..], &["--control", &port]].concat();
        let mut sim = Process::start("sim", &programs.qonnect, &words, &logs)?;
        for name in &names {
            wait_for_file(&kubeconfigs.join(format!("{name}.kubeconfig")), &mut sim).await?;
        }
        chart::done("Simulated clusters", &format!("{}, each a Kubernetes API on loopback", names.len()));

        leads.start_all(&repository)?;
        for (number, name) in names.iter().enumerate() {
            let config = folder.join(format!("agent-{name}.yaml"));
            let kubeconfig = kubeconfigs.join(format!("{name}.kubeconfig"));
            // Each begins with another lead, so that all leads have agents.
            let mut urls = leads.urls();
            let first = number % urls.len();
            urls.rotate_left(first);
            write_yaml(&config, &agent_config(name, folder, &repository, &urls, &kubeconfig))?;
        }
        let mut agents = Agents::new(&programs.agent, folder, &logs);
        names.iter().try_for_each(|name| agents.start(name))?;

        let mut stage = Self {
            client: Client::new(&client::Options { leads: leads.urls(), ..Default::default() })?,
            clone,
            clusters: Clusters::read(&kubeconfigs, &names, control)?,
            example: example.to_owned(),
            leads,
            repository,
            kubeconfigs,
            sim,
            agents,
            fallen: None,
            _git: git,
        };
        let ready = |list: &List<ClusterView>| {
            list.items.len() == names.len()
                && list.items.iter().all(|item| item.status == ClusterStatus::Ready)
        };
        stage.until("all agents to report", ready).await?;
        chart::done("Leads", &stage.leads.urls().join(" "));
        chart::done("Agents", &format!("{} have reported", names.len()));
        timeline.add("start", vec![Measured::new("ready", started.elapsed())]);
        Ok(stage)
    }

    /// Watches a list of the lead until `holds` says so.
    pub(super) async fn until<T: Listed>(
        &mut self,
        what: &str,
        holds: impl Fn(&List<T>) -> bool,
    ) -> anyhow::Result<List<T>> {
        let progress = chart::waiting(what);
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.leads.check()?;
            self.sim.check()?;
            self.agents.check()?;
            anyhow::ensure!(Instant::now() < deadline, "waited {} s for {what}", PATIENCE.as_secs());
            // A watch that breaks, or that is silent for a second, is begun again after a look at the processes.
            let Ok(stream) = self.client.watch::<T>().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let mut stream = std::pin::pin!(stream);
            while let Ok(Some(Ok(list))) = tokio::time::timeout(Duration::from_secs(1), stream.next()).await {
                if holds(&list) {
                    progress.finish_and_clear();
                    return Ok(list);
                }
            }
        }
    }

    pub(super) fn say_how_to_go_on(&self) {
        chart::title("It stays up: go on yourself, in another terminal");
        chart::hint(&format!("git clone {}", self.repository), "edit, commit, push");
        chart::hint(&format!("export QONNECT_LEAD={}", self.leads.urls().join(",")), "then:");
        chart::hint("qonnect get clusters|nodes|apps|placements|revisions|events", "what is");
        chart::hint("qonnect raft status", "who leads");
        chart::hint("qonnect explain bookinfo", "why it is so, once you have pushed apps/bookinfo again");
        chart::hint(
            &format!("kubectl --kubeconfig {}/fog-cost.kubeconfig get all -A", self.kubeconfigs.display()),
            "a cluster",
        );
        chart::hint("Ctrl-C", "ends everything");
    }
}

/// A lost cluster is noticed, and a better place is taken, within seconds: a story has no minutes to wait.
fn hurry(clone: &Clone) -> anyhow::Result<()> {
    const SETTINGS: &str = "spec:\n  # Short for the story; the defaults are 5s, 15s, 30s, and 10m.\n  \
        lease: {heartbeat: 1s, suspectAfter: 4s, lostAfter: 8s}\n  moves: {residence: 0s}\n";
    let fleet = clone.read("fleet.yaml")?;
    anyhow::ensure!(fleet.contains("\nspec:\n"), "the example's fleet.yaml has no `spec:`");
    clone.write("fleet.yaml", fleet.replacen("spec:\n", SETTINGS, 1).as_bytes())
}

/// The programs that the demo starts; they lie beside this one.
struct Programs {
    qonnect: PathBuf,
    agent: PathBuf,
}

impl Programs {
    fn find() -> anyhow::Result<Self> {
        let qonnect = std::env::current_exe().context("cannot find this program")?;
        let agent = qonnect.with_file_name("qonnect-agent");
        anyhow::ensure!(agent.is_file(), "no qonnect-agent beside {}: build it first", qonnect.display());
        Ok(Self { qonnect, agent })
    }
}

async fn serve_git(folder: &Path, leads: &[String]) -> anyhow::Result<GitServer> {
    let hooks: Vec<_> = leads.iter().map(|lead| format!("{lead}/hooks/git")).collect();
    let http = reqwest::Client::new();
    let runtime = tokio::runtime::Handle::current();
    let tell = move |_repository: &str| {
        for hook in &hooks {
            let call = http.post(hook).send();
            // A lead may not be up; it looks when it starts.
            runtime.spawn(async move { call.await.map(drop).ok() });
        }
    };
    std::fs::create_dir_all(folder).context("cannot make the folder of the Git server")?;
    crate::git_server::create(folder, REPOSITORY).await.context("cannot create the repository")?;
    Ok(GitServer::start(folder, "127.0.0.1:0".parse().expect("it is an address"), tell).await?)
}

fn cluster_names(example: &Path) -> anyhow::Result<Vec<String>> {
    let folder = example.join("clusters");
    let entries = std::fs::read_dir(&folder).with_context(|| {
        format!("no example repository at {}; name it with --example DIR", example.display())
    })?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

fn agent_config(
    name: &str,
    folder: &Path,
    repository: &str,
    leads: &[String],
    kubeconfig: &Path,
) -> serde_json::Value {
    serde_json::json!({
        "cluster": name,
        "data": folder.join(format!("agent-{name}")),
        "repository": {"url": repository, "branch": "qonnect/deploy"},
        "leads": leads,
        "kubeconfig": kubeconfig,
    })
}

pub(super) fn write_yaml(path: &Path, document: &serde_json::Value) -> anyhow::Result<()> {
    let text = qonnect_schema::yaml::to_string(document)?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

pub(super) fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

async fn wait_for_file(path: &Path, process: &mut Process) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !path.is_file() {
        process.check()?;
        anyhow::ensure!(Instant::now() < deadline, "waited {} s for {}", PATIENCE.as_secs(), path.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
