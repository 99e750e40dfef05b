//! The shell of an agent, played: a cluster that holds objects, and the real core beside it.

use std::collections::BTreeMap;

use qonnect_agent_core::inventory::Inventory;
use qonnect_agent_core::prune::Limits;
use qonnect_agent_core::release::verify;
use qonnect_agent_core::state::{Deleted, Problem, State};
use qonnect_core::knowledge::{Answer, Change};
use qonnect_schema::api::{Registration, Report};
use qonnect_schema::documents::release::Mark;
use qonnect_schema::documents::snapshot::{AppliedRelease, Node, Resources};
use qonnect_schema::manifest::ObjectId;
use qonnect_schema::units::{Bytes, Cpu};
use serde_json::{Value, json};

use super::faults::Fault;
use super::lease::Lease;
use super::reads::{Operation, Outcome, number};
use super::{Call, Ms, World};

const BEAT_MS: Ms = 5_000;
const SYNC_MS: Ms = 2_000;

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

#[derive(Debug, Default)]
pub(crate) struct Agent {
    pub(crate) cluster: String,
    pub(super) runs: bool,
    pub(super) state: State,
    pub(super) lease: Lease,
    /// On its disk.
    pub(crate) mark: Mark,
    commit: String,
    applied: Option<AppliedRelease>,
    /// Each start outranks the one before.
    incarnation: u64,
    seq: u64,
    registered: bool,
    pub(super) cut_off_until: Ms,
    /// What the API server holds.
    pub(crate) objects: BTreeMap<ObjectId, Value>,
    version: u64,
    refused: String,
    /// Reports that a lead has acknowledged: when, incarnation and seq.
    pub(crate) acknowledged: Vec<(Ms, u64, u64)>,
    /// Every mark that it has ever accepted.
    pub(crate) accepted: Vec<Mark>,
}

impl Agent {
    pub(super) fn new(cluster: &str) -> Self {
        Self { cluster: cluster.into(), ..Self::default() }
    }

    pub(super) fn kill(&mut self) {
        self.runs = false;
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
        agent.commit.clear();
        self.after(10, Call::Beat(number));
        self.after(20, Call::Sync(number));
        self.begin_lease(number);
    }

    pub(super) fn is_connected(&self, number: usize) -> bool {
        let agent = &self.agents[number];
        agent.runs && agent.cut_off_until <= self.now
    }

    pub(super) fn beat(&mut self, number: usize) {
        if !self.agents[number].runs {
            return;
        }
        let pause = self.about(BEAT_MS);
        self.after(pause, Call::Beat(number));
        if self.is_connected(number) {
            let cluster = self.agents[number].cluster.clone();
            self.heard(&cluster);
            self.after(5, Call::Report(number));
            self.ask_for_lease(number);
        }
    }

    /// Pulls, checks, applies and prunes.
    pub(super) fn sync(&mut self, number: usize) {
        if !self.agents[number].runs {
            return;
        }
        let pause = self.about(SYNC_MS);
        self.after(pause, Call::Sync(number));
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
        let Some((commit, tree)) =
            self.git.folder(&agent.cluster).filter(|(commit, _)| *commit != agent.commit)
        else {
            return;
        };
        let before = agent.state.release().map(|release| release.objects.clone()).unwrap_or_default();
        let line = match verify(&tree, &agent.cluster, &agent.mark, &before) {
            Ok(release) => {
                agent.commit = commit;
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
        let held: Vec<_> =
            self.agents.iter().filter_map(|agent| Some((&agent.cluster, agent.objects.get(&id)?))).collect();
        let running = held.iter().filter(|(_, object)| runs(object));
        let on: Vec<_> = running.map(|(cluster, _)| (*cluster).clone()).collect();
        let after_lease = on.len() < held.len();
        let cluster = self.agents[number].cluster.clone();
        let rebuilt = self.group.rebuilt.is_some();
        self.beginnings.push(Beginning { at: self.now, cluster, id, on, after_lease, rebuilt });
    }

    fn prune(&mut self, number: usize) {
        let (now, agent) = (self.now, &mut self.agents[number]);
        for deletion in agent.state.to_delete(now) {
            agent.objects.remove(&deletion.id);
            agent.state.deleted(&deletion, Deleted::Gone, now);
        }
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
                let report = Report {
                    incarnation: agent.incarnation,
                    seq: agent.seq + 1,
                    nodes: Some(vec![node()]),
                    release: agent.applied.clone(),
                    mark: agent.mark.clone(),
                    components: agent.state.components(&Default::default()),
                    stalled: agent.refused.clone(),
                    ..Report::default()
                };
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

fn node() -> Node {
    let allocatable = Resources {
        cpu: Cpu(8_000),
        memory: Bytes(16 << 30),
        storage: Bytes(100 << 30),
        pods: 110,
        ..Resources::default()
    };
    Node { name: "node".into(), allocatable, ready: true, ..Node::default() }
}
