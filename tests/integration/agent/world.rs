//! A cluster with a real agent in front of it: a deploy branch over HTTP, and a stand-in for the lead.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use qonnect::git_server::{self, GitServer};
use qonnect_schema::api::{ReleaseFolder, ReleaseHint, Report};
use qonnect_schema::documents::release::{ReleaseSpec, ReleasedApplication, Removal, RemovalCause};
use qonnect_schema::documents::snapshot::{ComponentStatus, Health};
use qonnect_schema::{Epoch, Release, layout, yaml};
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::ports::free_port;
use qonnect_tests::process::{Process, run_command};
use qonnect_tests::wait::wait_for;
use qonnect_tests::{folder, programs};
use serde_json::{Value, json};

use super::lead::Lead;

mod ways;

pub(super) const CLUSTER: &str = "fog";
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct World {
    pub(super) plane: ControlPlane,
    pub(super) client: kube::Client,
    pub(super) lead: Lead,
    folder: PathBuf,
    agent: Option<Process>,
    generation: u64,
    term: u64,
    server: Option<GitServer>,
    address: SocketAddr,
}

/// What a release is made of.
#[derive(Clone, Default)]
pub(super) struct Wanted {
    /// Application, component, objects.
    pub(super) components: Vec<(&'static str, &'static str, Vec<Value>)>,
    pub(super) removals: Vec<(&'static str, &'static str)>,
}

impl World {
    /// Everything but the agent.
    pub(super) async fn start(plane: ControlPlane) -> Self {
        let folder = folder::fresh(&format!("agent-{}", plane.name()));
        let repositories = folder.join("repositories");
        std::fs::create_dir_all(&repositories).unwrap();
        git_server::create(&repositories, "fleet.git").await.unwrap();
        let server =
            GitServer::start(&repositories, ([127, 0, 0, 1], free_port()).into(), |_| {}).await.unwrap();
        let (url, address) = (server.url("fleet.git"), server.addr);
        git(&folder, &["init", "--quiet", "--initial-branch=deploy", "work"]);
        git(&folder.join("work"), &["remote", "add", "origin", &url]);
        let lead = Lead::start(([127, 0, 0, 1], free_port()).into()).await;
        let config = json!({
            "cluster": CLUSTER,
            "data": "data",
            "repository": {"url": url, "branch": "qonnect/deploy"},
            "leads": [lead.url()],
            "kubeconfig": plane.kubeconfig_path(),
        });
        std::fs::write(folder.join("agent.yaml"), config.to_string()).unwrap();
        let client = plane.client().await;
        Self {
            plane,
            client,
            lead,
            folder,
            agent: None,
            generation: 0,
            term: 1,
            server: Some(server),
            address,
        }
    }

    /// Neither git nor the lead answer any more.
    pub(super) fn cut_off(&mut self) {
        self.stop_git();
        self.lead.stop();
    }

    pub(super) fn stop_git(&mut self) {
        self.server = None;
    }

    pub(super) async fn restart_git(&mut self) {
        let repositories = self.folder.join("repositories");
        self.server = Some(GitServer::start(&repositories, self.address, |_| {}).await.unwrap());
    }

    pub(super) async fn reconnect(&mut self) {
        self.restart_git().await;
        self.lead = Lead::start(self.lead.address).await;
    }

    pub(super) fn start_agent(&mut self) {
        let mut command = Command::new(programs::agent());
        command.arg("--config").arg(self.folder.join("agent.yaml"));
        self.agent = Some(Process::start("agent", command, &self.folder.join("agent.log")).unwrap());
    }

    /// The release that lies on the agent's disk.
    pub(super) fn copy(&self) -> String {
        std::fs::read_to_string(self.folder.join("data/release.json")).unwrap()
    }

    pub(super) fn back_to_the_copy_before(&self) {
        let data = self.folder.join("data");
        std::fs::rename(data.join("release-before.json"), data.join("release.json")).unwrap();
    }

    /// The newest commit of the deploy branch.
    pub(super) fn tip(&self) -> String {
        git(&self.folder.join("work"), &["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Waits until the agent has reported so often since now, or has said nothing for a while.
    pub(super) async fn some_words_of_the_agent(&self, reports: usize) {
        tokio::time::timeout(Duration::from_millis(300), self.lead.more_reports(reports)).await.ok();
    }

    /// Changes the agent's configuration for its next start.
    pub(super) fn configure(&self, change: impl FnOnce(&mut Value)) {
        let file = self.folder.join("agent.yaml");
        let mut config = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        change(&mut config);
        std::fs::write(file, config.to_string()).unwrap();
    }

    /// What the agent answers when it is asked instead of run: its status and what it wrote.
    pub(super) fn ask(&self, question: &str) -> (Option<i32>, String) {
        let mut command = Command::new(programs::agent());
        command.arg("--config").arg(self.folder.join("agent.yaml")).arg(question);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    pub(super) fn stop_agent(&mut self) {
        self.agent = None;
    }

    pub(super) fn agent_log(&self) -> String {
        self.agent.as_ref().map(Process::tail).unwrap_or_default()
    }

    /// A file or folder beside the agent's configuration.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Publishes the next release and tells the agent. Returns its generation.
    pub(super) fn publish(&mut self, wanted: &Wanted) -> u64 {
        self.publish_changed(wanted, |_, _| {})
    }

    /// The same, with a change to the release or to the files before they are committed.
    pub(super) fn publish_changed(
        &mut self,
        wanted: &Wanted,
        change: impl FnOnce(&mut ReleaseSpec, &mut BTreeMap<String, String>),
    ) -> u64 {
        let (files, mut hint) = self.compose(wanted, change);
        hint.commit = self.push(&files);
        let generation = hint.generation;
        self.lead.hint(hint);
        generation
    }

    /// Hands the next release on by the lead, with a change on its way there. Git has it if it answers.
    pub(super) fn hand_on(&mut self, wanted: &Wanted, change: impl FnOnce(&mut ReleaseFolder)) -> u64 {
        let (files, mut hint) = self.compose(wanted, |_, _| {});
        hint.commit = if self.server.is_some() { self.push(&files) } else { self.commit(&files) };
        let mut folder = ReleaseFolder { commit: hint.commit.clone(), files };
        change(&mut folder);
        self.lead.hand_on(folder);
        let generation = hint.generation;
        self.lead.hint(hint);
        generation
    }

    /// The files of the next release, and the hint of it without its commit.
    fn compose(
        &mut self,
        wanted: &Wanted,
        change: impl FnOnce(&mut ReleaseSpec, &mut BTreeMap<String, String>),
    ) -> (BTreeMap<String, String>, ReleaseHint) {
        self.generation += 1;
        let mut files = render(wanted);
        let mut spec = ReleaseSpec {
            generation: self.generation,
            epoch: Epoch { era: 1, term: self.term, node: 1 },
            revision: "0123abc".into(),
            order: order(wanted),
            removals: wanted.removals.iter().map(removal).collect(),
            digest: layout::digest(files.iter().map(|(path, text)| (path.as_str(), text.as_bytes()))),
            decommissioned: false,
        };
        change(&mut spec, &mut files);
        let (generation, digest) = (spec.generation, spec.digest.clone());
        files.insert(layout::RELEASE.into(), yaml::to_string(&Release::new(CLUSTER, spec)).unwrap());
        (files, ReleaseHint { commit: String::new(), generation, digest })
    }

    /// Publishes a folder without a file.
    pub(super) fn publish_emptiness(&mut self) {
        self.generation += 1;
        let commit = self.push(&BTreeMap::new());
        self.lead.hint(ReleaseHint { commit, generation: self.generation, digest: "sha256:00".into() });
    }

    fn push(&self, files: &BTreeMap<String, String>) -> String {
        let commit = self.commit(files);
        git(&self.folder.join("work"), &["push", "--quiet", "origin", "HEAD:refs/heads/qonnect/deploy"]);
        commit
    }

    fn commit(&self, files: &BTreeMap<String, String>) -> String {
        let work = self.folder.join("work");
        let home = work.join("clusters").join(CLUSTER);
        if home.exists() {
            std::fs::remove_dir_all(&home).unwrap();
        }
        for (path, text) in files {
            let path = home.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        git(&work, &["add", "--all"]);
        git(&work, &["commit", "--quiet", "--allow-empty", "--message", "release"]);
        self.tip()
    }

    /// Waits until the newest report satisfies `look`; its error says what is missing.
    pub(super) async fn reported<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&Report) -> Result<T, String>,
    ) -> T {
        wait_for(what, PATIENCE, async || {
            let report = self.lead.report().ok_or_else(|| format!("no report\n{}", self.agent_log()))?;
            look(&report).map_err(|error| format!("{error}\n{report:#?}\n{}", self.agent_log()))
        })
        .await
    }

    /// Waits until a release is applied without an error.
    pub(super) async fn applied(&self, generation: u64) -> Report {
        self.reported(&format!("generation {generation}"), |report| {
            let applied = report.release.as_ref().map(|release| release.generation);
            (applied == Some(generation)).then(|| report.clone()).ok_or(format!("{applied:?} is applied"))
        })
        .await
    }

    /// Waits until the newest release is not applied for a reason that contains `why`.
    pub(super) async fn stalled(&self, why: &str) {
        self.reported(why, |report| {
            report.stalled.contains(why).then_some(()).ok_or("not stalled so".into())
        })
        .await;
    }

    pub(super) async fn component(&self, component: &str, health: Health, reason: &str) -> ComponentStatus {
        self.reported(&format!("{component} {health:?} {reason}"), |report| {
            let found = report.components.iter().find(|status| status.component == component);
            let fits = found.filter(|status| status.health == health && status.reason == reason);
            fits.cloned().ok_or(format!("{found:?}"))
        })
        .await
    }

    /// The same, whatever the reason.
    pub(super) async fn unhealthy(&self, component: &str, health: Health) -> ComponentStatus {
        self.reported(&format!("{component} {health:?}"), |report| {
            let found = report.components.iter().find(|status| status.component == component);
            found.filter(|status| status.health == health).cloned().ok_or(format!("{found:?}"))
        })
        .await
    }

    /// Waits until a component is not reported any more.
    pub(super) async fn without(&self, component: &str) {
        self.reported(&format!("no {component}"), |report| {
            let found = report.components.iter().find(|status| status.component == component);
            found.is_none().then_some(()).ok_or(format!("{found:?}"))
        })
        .await;
    }

    /// Waits for an event of a reason whose message contains `text`.
    pub(super) async fn event(&self, reason: &str, text: &str) {
        wait_for(&format!("event {reason}: {text}"), PATIENCE, async || {
            let events = self.lead.events();
            let found = events.iter().any(|event| event.reason == reason && event.message.contains(text));
            found.then_some(()).ok_or(format!("{events:#?}\n{}", self.agent_log()))
        })
        .await;
    }

    /// The objects of a kind, as `Kind.version.group`, in the namespace `shop`.
    pub(super) fn api(&self, kind: &str) -> Api<DynamicObject> {
        let resource = resource(kind);
        match kind {
            _ if CLUSTER_SCOPED.iter().any(|scoped| kind.starts_with(scoped)) => {
                Api::all_with(self.client.clone(), &resource)
            }
            _ => Api::namespaced_with(self.client.clone(), "shop", &resource),
        }
    }

    pub(super) async fn get(&self, kind: &str, name: &str) -> Option<Value> {
        let object = self.api(kind).get_opt(name).await.unwrap()?;
        Some(serde_json::to_value(object).unwrap())
    }

    pub(super) async fn until(&self, what: &str, mut look: impl AsyncFnMut() -> bool) {
        wait_for(what, PATIENCE, async || match look().await {
            true => Ok(()),
            false => Err(format!("{:#?}\n{}", self.lead.events(), self.agent_log())),
        })
        .await;
    }
}

pub(super) const CONFIG_MAP: &str = "ConfigMap.v1.";
pub(super) const DEPLOYMENT: &str = "Deployment.v1.apps";
pub(super) const NAMESPACE: &str = "Namespace.v1.";
pub(super) const DEFINITION: &str = "CustomResourceDefinition.v1.apiextensions.k8s.io";

/// The kinds of the scenarios that live in no namespace.
const CLUSTER_SCOPED: [&str; 3] =
    ["Namespace.", "CustomResourceDefinition.", "ValidatingWebhookConfiguration."];

fn resource(kind: &str) -> ApiResource {
    let mut parts = kind.splitn(3, '.');
    let mut next = || parts.next().unwrap();
    let (kind, version, group) = (next(), next(), next());
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

pub(super) fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": value}})
}

pub(super) fn deployment(name: &str, cpu: &str) -> Value {
    let labels = json!({"app": name});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "main", "image": "web:1", "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}]},
        }},
    })
}

/// As the leads render: labels on every object, one object a file.
fn render(wanted: &Wanted) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (application, component, objects) in &wanted.components {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": application}});
        let path = format!("{application}/{}", layout::NAMESPACE);
        files.insert(path, yaml::to_string(&labelled(namespace, application, None)).unwrap());
        for (at, object) in objects.iter().enumerate() {
            let mut object = labelled(object.clone(), application, Some(component));
            if object["kind"] != "CustomResourceDefinition" {
                object["metadata"]["namespace"] = (*application).into();
            }
            let path = format!("{application}/{component}/{at:02}.yaml");
            files.insert(path, yaml::to_string(&object).unwrap());
        }
    }
    files
}

fn labelled(mut object: Value, application: &str, component: Option<&str>) -> Value {
    let labels = &mut object["metadata"]["labels"];
    labels[layout::label::MANAGED_BY] = layout::label::QONNECT.into();
    labels[layout::label::APPLICATION] = application.into();
    if let Some(component) = component {
        labels[layout::label::COMPONENT] = component.into();
        if object["kind"] == "Deployment" {
            let labels = &mut object["spec"]["template"]["metadata"]["labels"];
            labels[layout::label::APPLICATION] = application.into();
            labels[layout::label::COMPONENT] = component.into();
        }
    }
    object
}

fn order(wanted: &Wanted) -> Vec<ReleasedApplication> {
    let mut order: Vec<ReleasedApplication> = Vec::new();
    for (application, component, _) in &wanted.components {
        match order.iter_mut().find(|released| released.application == *application) {
            Some(released) => released.components.push(component.to_string()),
            None => order.push(ReleasedApplication {
                application: application.to_string(),
                namespace: application.to_string(),
                components: vec![component.to_string()],
                depends_on: BTreeMap::new(),
            }),
        }
    }
    order
}

fn removal((application, component): &(&str, &str)) -> Removal {
    Removal {
        application: application.to_string(),
        component: component.to_string(),
        cause: RemovalCause::ComponentDeleted,
        intent: "1".into(),
    }
}

pub(super) fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "test").env(format!("GIT_{role}_EMAIL"), "test@localhost");
    }
    run_command(command)
}
