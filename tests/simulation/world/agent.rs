//! The shell of an agent, played: a cluster that holds objects, and the real core beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_agent_core::inventory::Inventory;
use qonnect_agent_core::prune::Limits;
use qonnect_agent_core::release::verify;
use qonnect_agent_core::state::{Deleted, Problem, State};
use qonnect_core::knowledge::{Answer, Change};
use qonnect_schema::api::{Registration, Report};
use qonnect_schema::documents::release::Mark;
use qonnect_schema::documents::snapshot::{AppliedRelease, Node, Resources};
use qonnect_schema::manifest::ObjectId;
use qonnect_schema::tree::{Entry, Tree};
use qonnect_schema::units::{Bytes, Cpu};
use serde_json::{Value, json};

use super::faults::Fault;
use super::git::Folder;
use super::lease::Lease;
use super::presence::Silence;
use super::reads::{Operation, Outcome, number};
use super::{Call, Ms, World};

/// An object that was not there before, or was at zero.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) at: Ms,
    pub(crate) cluster: String,
    pub(crate) id: ObjectId,
    /// All clusters that ran it then, this one included.
    pub(crate) on: Vec<String>,
    /// Another one held it at zero, since its lease had ended.
    pub(crate) after_lease: bool,
    /// The leads had forgotten everything before.
    pub(crate) rebuilt: bool,
}

/// A Deployment that an agent deletes, since its release no longer lists it.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) at: Ms,
    pub(crate) cluster: String,
    pub(crate) id: ObjectId,
    /// The others that run it, and those that went off with it at the moment beside them.
    pub(crate) others: Vec<(String, Option<Ms>)>,
}

#[derive(Debug, Default)]
pub(crate) struct Agent {
    pub(crate) cluster: String,
    pub(super) runs: bool,
    /// It looks after its cluster by itself; see [`setting::Pace`](super::setting::Pace).
    pub(super) awake: bool,
    /// How often it was woken: what it meant to do before that is over.
    pub(super) wakes: u32,
    /// The whole cluster is off.
    pub(super) off_since: Option<Ms>,
    /// Of each node, what others ask for.
    pub(super) load: Cpu,
    pub(crate) silences: Vec<Silence>,
    pub(super) state: State,
    pub(super) lease: Lease,
    /// On its disk.
    pub(crate) mark: Mark,
    /// What it has checked last.
    pub(super) checked: Option<Arc<Folder>>,
    commit: String,
    applied: Option<AppliedRelease>,
    /// Each start outranks the one before.
    incarnation: u64,
    seq: u64,
    pub(super) registered: bool,
    pub(super) cut_off_until: Ms,
    /// What the API server holds.
    pub(crate) objects: BTreeMap<ObjectId, Value>,
    version: u64,
    pub(super) refused: String,
    /// Reports that a lead has acknowledged: when, incarnation and seq.
    pub(crate) acknowledged: Vec<(Ms, u64, u64)>,
    /// Every mark that it has ever accepted.
    pub(crate) accepted: Vec<Mark>,
}

impl Agent {
    pub(super) fn new(cluster: String) -> Self {
        Self { cluster, ..Self::default() }
    }

    fn holds(&self, id: &ObjectId) -> bool {
        self.objects.get(id).is_some_and(runs)
    }

    pub(super) fn kill(&mut self) {
        self.runs = false;
    }

    pub(super) fn has_checked(&self, folder: Option<&Arc<Folder>>) -> bool {
        match (&self.checked, folder) {
            (Some(checked), Some(folder)) => Arc::ptr_eq(checked, folder) || checked == folder,
            (None, None) => true,
            _ => false,
        }
    }

    pub(super) fn report(&self) -> Report {
        Report {
            incarnation: self.incarnation,
            seq: self.seq + 1,
            nodes: Some(vec![node(self.load)]),
            release: self.applied.clone(),
            mark: self.mark.clone(),
            components: self.state.components(&Default::default()),
            stalled: self.refused.clone(),
            ..Report::default()
        }
    }

    /// Whoever says that nothing runs there has seen to it.
    pub(super) fn wipe(&mut self) {
        self.objects.clear();
        self.state = State::default();
        self.applied = None;
    }

    /// A person deletes what the agent says that it keeps and that no release lists.
    pub(super) fn clear_up(&mut self) -> Vec<ObjectId> {
        if self.state.kept().is_empty() {
            return Vec::new();
        }
        let unwanted: Vec<_> =
            self.objects.keys().filter(|id| self.state.desired(id).is_none()).cloned().collect();
        for id in &unwanted {
            self.objects.remove(id);
            self.state.gone(id);
        }
        unwanted
    }
}

impl World {
    pub(super) fn start_agent(&mut self, number: usize) {
        let now = self.now;
        let agent = &mut self.agents[number];
        if agent.runs {
            return;
        }
        let inventory: Inventory = agent.state.inventory().clone();
        agent.state = State::new(inventory, Limits::default());
        for (id, object) in &agent.objects {
            agent.state.observe(id, object);
        }
        (agent.runs, agent.registered, agent.seq, agent.incarnation) = (true, false, 0, now + 1);
        agent.checked = None;
        agent.awake = false;
        self.wake(number);
        if self.setting.leased {
            self.begin_lease(number);
        }
    }

    /// What is deployed, by cluster, namespace and name.
    pub(super) fn runs(&self) -> BTreeSet<(String, String, String)> {
        let deployments = |agent: &'_ Agent| {
            let ids = agent.objects.iter().filter(|(id, object)| id.kind == "Deployment" && runs(object));
            let ids = ids.map(|(id, _)| (agent.cluster.clone(), id.namespace.clone(), id.name.clone()));
            ids.collect::<Vec<_>>()
        };
        self.agents.iter().flat_map(deployments).collect()
    }

    pub(super) fn is_connected(&self, number: usize) -> bool {
        let agent = &self.agents[number];
        agent.runs && agent.cut_off_until <= self.now
    }

    pub(super) fn beat(&mut self, number: usize, wake: u32) {
        if !self.agents[number].is_awake(wake) {
            return;
        }
        if self.rests(number) {
            return self.agents[number].awake = false;
        }
        let pause = self.about(self.setting.pace.beat);
        self.after(pause, Call::Beat { agent: number, wake });
        if self.is_connected(number) {
            let cluster = self.agents[number].cluster.clone();
            self.heard(&cluster);
            self.after(5, Call::Report(number));
            self.ask_for_lease(number);
        }
    }

    /// Pulls, checks, applies and prunes.
    pub(super) fn sync(&mut self, number: usize, wake: u32) {
        if !self.agents[number].is_awake(wake) {
            return;
        }
        let pause = self.about(self.setting.pace.sync);
        self.after(pause, Call::Sync { agent: number, wake });
        if self.is_connected(number) && self.git.hangs_until <= self.now {
            self.pull(number);
        }
        self.carry_out_release(number);
    }

    pub(super) fn carry_out_release(&mut self, number: usize) {
        if !self.agents[number].knows_leases() {
            return;
        }
        self.apply(number);
        self.prune(number);
        self.after(5, Call::Report(number));
    }

    fn pull(&mut self, number: usize) {
        let agent = &mut self.agents[number];
        let Some(folder) = self.git.folder(&agent.cluster).filter(|folder| !agent.has_checked(Some(folder)))
        else {
            return;
        };
        let tree: Tree =
            folder.files().map(|(path, bytes)| (path.clone(), Entry::File(bytes.clone()))).collect();
        let (folder, commit) = (folder.clone(), self.git.tip.clone().unwrap_or_default());
        let before = agent.state.release().map(|release| release.objects.clone()).unwrap_or_default();
        let line = match verify(&tree, &agent.cluster, &agent.mark, &before) {
            Ok(release) => {
                (agent.commit, agent.checked) = (commit, Some(folder));
                agent.refused.clear();
                let mark = release.mark();
                let news = mark != agent.mark;
                agent.mark = mark;
                agent.accepted.push(agent.mark.clone());
                agent.state.adopt(release);
                let objects: Vec<_> = agent.objects.iter().map(|(id, o)| (id.clone(), o.clone())).collect();
                for (id, object) in objects {
                    agent.state.observe(&id, &object);
                }
                news.then(|| format!("{} accepts generation {}", agent.cluster, agent.mark.generation))
            }
            Err(refusal) => {
                let why = refusal.to_string();
                let news = why != agent.refused;
                agent.refused.clone_from(&why);
                news.then(|| format!("{} refuses: {why}", agent.cluster))
            }
        };
        if let Some(line) = line {
            self.tell(line);
        }
    }

    fn apply(&mut self, number: usize) {
        let now = self.now;
        let stages = self.agents[number].state.to_apply(now);
        self.agents[number].state.register(&stages);
        for apply in stages.iter().flatten() {
            let fails = self.unlucky(15);
            if fails {
                self.met(Fault::ApplyFailed);
            }
            let agent = &mut self.agents[number];
            agent.state.applying(apply);
            if fails {
                let problem = Problem { reason: "Busy".into(), message: "try again".into(), transient: true };
                agent.state.failed(&apply.desired.id, problem, now);
                continue;
            }
            agent.version += 1;
            let object = live(apply.desired.object(), agent.version);
            agent.state.applied(apply, &object, now);
            let id = apply.desired.id.clone();
            let begins = runs(&object);
            let before = agent.objects.insert(id.clone(), object);
            if begins && !before.is_some_and(|before| runs(&before)) {
                self.begins(number, id);
            }
        }
    }

    /// Looks whether it runs elsewhere, too.
    fn begins(&mut self, number: usize, id: ObjectId) {
        let held: Vec<_> = self
            .agents
            .iter()
            .filter(|agent| agent.off_since.is_none())
            .filter_map(|agent| Some((&agent.cluster, agent.objects.get(&id)?)))
            .collect();
        let running = held.iter().filter(|(_, object)| runs(object));
        let on: Vec<_> = running.map(|(cluster, _)| (*cluster).clone()).collect();
        let after_lease = on.len() < held.len();
        let cluster = self.agents[number].cluster.clone();
        let rebuilt = self.group.rebuilt.is_some();
        self.beginnings.push(Beginning { at: self.now, cluster, id, on, after_lease, rebuilt });
    }

    fn ends(&mut self, number: usize, id: &ObjectId) {
        if id.kind != "Deployment" {
            return;
        }
        let others = self.agents.iter().enumerate().filter(|(at, agent)| *at != number && agent.holds(id));
        let others = others.map(|(_, agent)| (agent.cluster.clone(), agent.off_since)).collect();
        let cluster = self.agents[number].cluster.clone();
        self.endings.push(Ending { at: self.now, cluster, id: id.clone(), others });
    }

    fn prune(&mut self, number: usize) {
        let now = self.now;
        for deletion in self.agents[number].state.to_delete(now) {
            self.ends(number, &deletion.id);
            let agent = &mut self.agents[number];
            agent.objects.remove(&deletion.id);
            agent.state.deleted(&deletion, Deleted::Gone, now);
        }
        let agent = &mut self.agents[number];
        if agent.state.is_complete() && agent.state.release().is_some() {
            let Mark { epoch, generation, digest } = agent.state.mark();
            let commit = agent.commit.clone();
            agent.applied = Some(AppliedRelease { generation, epoch, digest, commit });
        }
    }

    /// To any lead, which forwards it.
    pub(super) fn report(&mut self, number: usize) {
        let served = self.group.leader.is_some_and(|leader| self.leads[leader.lead].serves(self.now));
        if !self.is_connected(number) || !served {
            return;
        }
        let agent = &mut self.agents[number];
        let cluster = agent.cluster.clone();
        let change = match agent.registered {
            false => {
                let version = || "1".to_owned();
                let registration = Registration {
                    incarnation: agent.incarnation,
                    agent_version: version(),
                    kubernetes_version: version(),
                };
                Change::Register { cluster, registration }
            }
            true => {
                let report = agent.report();
                if !self.group.knowledge.learns_from(&cluster, &report) {
                    return;
                }
                Change::Report { cluster, report: Box::new(report) }
            }
        };
        self.send(number, change);
    }

    fn send(&mut self, which: usize, change: Change) {
        let lost = self.unlucky(15);
        if lost {
            self.met(Fault::ReportLost);
            if self.rng.bool() {
                return;
            }
        }
        let command = self.group.command(self.clock(), change);
        let answer = self.commit(&command);
        let wrote = match &command.change {
            Change::Report { report, .. } => number(report.incarnation, report.seq),
            _ => number(self.agents[which].incarnation, 0),
        };
        let applied = matches!(answer, Answer::Done | Answer::Unchanged);
        if applied || lost {
            let ended = (!lost).then_some(self.now);
            let operation = Operation { began: self.now, ended, outcome: Outcome::Wrote(wrote) };
            let cluster = self.agents[which].cluster.clone();
            self.reads.operations.entry(cluster).or_default().push(operation);
        }
        if lost {
            // Logged, but the agent does not hear of it: it says the same again.
            return;
        }
        let now = self.now;
        let agent = &mut self.agents[which];
        match (&command.change, answer) {
            (_, Answer::Unregistered) => agent.registered = false,
            (Change::Register { .. }, Answer::Superseded) => agent.incarnation += 1,
            (Change::Register { .. }, _) => agent.registered = true,
            (Change::Report { report, .. }, Answer::Done | Answer::Unchanged) => {
                agent.seq = report.seq;
                agent.acknowledged.push((now, report.incarnation, report.seq));
            }
            _ => agent.seq += 1,
        }
    }
}

/// Whether pods come of it, if it is of a kind that has any.
pub(crate) fn runs(object: &Value) -> bool {
    object["spec"]["replicas"] != 0
}

/// As an API server and its controllers leave it.
fn live(mut object: Value, version: u64) -> Value {
    object["metadata"]["resourceVersion"] = version.to_string().into();
    object["metadata"]["generation"] = 1.into();
    if object["kind"] == "Deployment" {
        let count = object["spec"]["replicas"].clone();
        object["status"] = json!({
            "observedGeneration": 1, "replicas": count, "updatedReplicas": count, "readyReplicas": count,
            "availableReplicas": count, "conditions": [{"type": "Available", "status": "True"}],
        });
    }
    if object["kind"] == "Namespace" {
        object["status"] = json!({"phase": "Active"});
    }
    object
}

fn node(load: Cpu) -> Node {
    let allocatable = Resources {
        cpu: Cpu(8_000),
        memory: Bytes(16 << 30),
        storage: Bytes(100 << 30),
        pods: 110,
        ..Resources::default()
    };
    let foreign = Resources { cpu: load, ..Resources::default() };
    Node { name: "node".into(), allocatable, foreign, ready: true, ..Node::default() }
}
