//! The shell of a lead, played: it carries out what the real core wants.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use qonnect_core::knowledge::liveness::{Edges, Liveness, Terms};
use qonnect_core::knowledge::{Answer, Change, Command, Knowledge};
use qonnect_core::lead::{Effect, Event, Lead as Core};
use qonnect_schema::Epoch;
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::revision::Revision;

use super::agent::Agent;
use super::faults::Fault;
use super::group::{Group, Leadership};
use super::work::Work;
use super::{Call, LEADS, Ms, World};

const RETRY_MS: Ms = 200;

#[derive(Debug, Default)]
pub(crate) struct Lead {
    runs: bool,
    /// Each start of the process is one.
    pub(super) life: u32,
    core: Core,
    knowledge: Arc<Knowledge>,
    /// As this process knows it.
    leadership: Option<Leadership>,
    proposals: VecDeque<(Leadership, Command)>,
    proposing: bool,
    pub(super) work: VecDeque<Work>,
    pub(super) working: bool,
    seen: String,
    liveness: Liveness,
    /// It counts silence, and did so last then.
    watches: bool,
    counted: Ms,
    /// When it decides anew though nothing happens; a later wish replaces an earlier one.
    wake: Ms,
    revision: Option<Arc<Revision>>,
    pub(super) paused_until: Ms,
    pub(super) cut_off_until: Ms,
}

impl Lead {
    pub(super) fn votes(&self, now: Ms) -> bool {
        self.runs && self.paused_until <= now && !self.is_cut_off(now)
    }

    pub(super) fn is_cut_off(&self, now: Ms) -> bool {
        self.cut_off_until > now
    }

    pub(super) fn serves(&self, now: Ms) -> bool {
        self.votes(now)
    }

    /// What it knows, if it still leads and has applied all that was acknowledged.
    pub(super) fn confirmed(&self, group: &Group, now: Ms) -> Option<&Knowledge> {
        let leads = group.leader.is_some() && self.leadership == group.leader && self.serves(now);
        (leads && self.knowledge.index == group.knowledge.index).then_some(&self.knowledge)
    }

    pub(super) fn runs(&self) -> bool {
        self.runs
    }
}

impl World {
    pub(super) fn start_lead(&mut self, number: usize) {
        let now = self.now;
        let lead = &mut self.leads[number];
        if lead.runs {
            return;
        }
        let cut_off_until = lead.cut_off_until;
        *lead = Lead { runs: true, life: lead.life + 1, cut_off_until, ..Lead::default() };
        lead.knowledge = self.group.knowledge.clone();
        let event = Event::Knowledge(lead.knowledge.clone());
        self.core(number, event);
        let life = self.leads[number].life;
        self.at(now + 100, Call::Fetch { lead: number, life });
        self.at(now + self.setting.pace.poll, Call::Poll { lead: number, life });
        self.watch();
        self.at(now + 300, Call::Election);
    }

    /// What it had asked of the deploy branch goes on without it.
    pub(super) fn kill_lead(&mut self, number: usize) {
        let under_way = self.leads[number].work.pop_front();
        if let Some(Work::Push { commit, .. }) = under_way.filter(|_| self.leads[number].working) {
            self.maybe_late(&commit);
        }
        let lead = &mut self.leads[number];
        lead.runs = false;
        lead.life += 1;
        if self.group.leader.is_some_and(|leader| leader.lead == number) {
            self.after(800, Call::Election);
        }
    }

    pub(super) fn core(&mut self, number: usize, event: Event) {
        let clock = self.clock();
        let lead = &mut self.leads[number];
        if !lead.runs {
            return;
        }
        let mut effects = lead.core.observe(event);
        effects.extend(lead.core.decide(clock));
        for effect in effects {
            self.carry_out(number, effect);
        }
    }

    fn carry_out(&mut self, number: usize, effect: Effect) {
        let life = self.leads[number].life;
        match effect {
            Effect::Propose(change) => self.propose(number, change),
            Effect::Record(intent) => self.propose(number, Change::Intent(intent)),
            Effect::Restore(good) => {
                let effective = self.spec.restore(&good, &self.leads[number].knowledge);
                let readable = self.git.hangs_until <= self.now;
                let event = Box::new(Event::Restored(readable.then_some(effective)));
                self.after(50, Call::Core { lead: number, life, event });
            }
            Effect::ReadApproved(_) | Effect::Review(_) => unreachable!("no fleet here asks people"),
            Effect::ReadSpec(epoch) => {
                let pause = self.about(40);
                self.after(pause, Call::ReadSpec { lead: number, life, epoch });
            }
            // Nobody has a forge here.
            Effect::Forge(_) => {}
            Effect::Show(revision) => self.leads[number].revision = Some(revision),
            Effect::ReadTip { branch: _, after, asks, expected } => {
                let pause = after.as_millis() as Ms;
                let work = Work::Read { asks, expected };
                self.after(pause, Call::Enqueue { lead: number, life, work });
            }
            Effect::Write(draft) => self.enqueue(number, Work::Write(draft)),
            Effect::Push { intent, commit, base, .. } => {
                self.enqueue(number, Work::Push { intent, commit, base });
            }
            Effect::WakeAt(at) => {
                let pause = at.duration_since(self.clock()).as_millis().max(0) as Ms;
                self.leads[number].wake = self.now + pause;
                self.after(pause, Call::Wake { lead: number, life });
            }
        }
    }

    fn propose(&mut self, number: usize, change: Change) {
        let command = self.group.command(self.clock(), change);
        let lead = &mut self.leads[number];
        let Some(leadership) = lead.leadership else { return };
        lead.proposals.push_back((leadership, command));
        if !std::mem::replace(&mut lead.proposing, true) {
            self.after(5, Call::Propose(number));
        }
    }

    /// One proposal after the other, each until its outcome is known.
    pub(super) fn propose_next(&mut self, number: usize) {
        if !self.leads[number].runs {
            return;
        }
        let Some((leadership, command)) = self.leads[number].proposals.front().cloned() else {
            return self.leads[number].proposing = false;
        };
        let reachable = !self.leads[number].is_cut_off(self.now);
        let still = self.group.leader == Some(leadership);
        if still && !reachable {
            return self.after(RETRY_MS, Call::Propose(number));
        }
        let answered = !self.unlucky(30);
        if !answered {
            self.met(Fault::ProposalUnknown);
            // In the log or not: the same command is proposed again.
            if self.rng.bool() {
                self.commit_as(leadership, &command);
            }
            return self.after(RETRY_MS, Call::Propose(number));
        }
        let answer = self.commit_as(leadership, &command);
        self.leads[number].proposals.pop_front();
        let pause = self.about(10);
        self.after(pause, Call::Propose(number));
        self.proposed(number, leadership, &command.change, answer);
    }

    fn proposed(&mut self, number: usize, leadership: Leadership, change: &Change, answer: Option<Answer>) {
        match (change, answer) {
            (Change::OpenEpoch { .. }, Some(Answer::Epoch(epoch))) => {
                self.tell(format!("lead {} leads at {epoch}", leadership.node()));
                self.learn(number);
                self.core(number, Event::Leading(epoch));
            }
            (Change::Intent(intent), answer) => {
                let accepted = answer.is_some_and(|answer| answer != Answer::Superseded);
                if accepted {
                    self.learn(number);
                }
                self.core(number, Event::Recorded { intent: intent.id.clone(), accepted });
            }
            (_, Some(_)) => self.learn(number),
            _ => {}
        }
    }

    pub(super) fn learn(&mut self, number: usize) {
        let lead = &mut self.leads[number];
        if !lead.runs || lead.knowledge.index >= self.group.knowledge.index || lead.cut_off_until > self.now {
            return;
        }
        lead.knowledge = self.group.knowledge.clone();
        let event = Event::Knowledge(lead.knowledge.clone());
        self.core(number, event);
    }

    pub(super) fn hear_of_leadership(&mut self, number: usize) {
        let now = self.group.leader.filter(|leader| leader.lead == number);
        let lead = &mut self.leads[number];
        if !lead.runs || lead.leadership == now {
            return;
        }
        lead.leadership = now;
        lead.counted = self.now;
        self.watch();
        let lead = &mut self.leads[number];
        match now {
            Some(leadership) => {
                if let Some(revision) = &lead.revision {
                    let lease = revision.fleet.lease;
                    lead.liveness =
                        Liveness::lead(Duration::from_millis(self.now), &lease, &lead.knowledge.clusters);
                }
                let group = self.group.id.clone();
                let open = Change::OpenEpoch { node: leadership.node(), term: leadership.term, group };
                self.propose(number, open);
            }
            None => {
                self.tell(format!("lead {} hears that it does not lead", number + 1));
                self.core(number, Event::Deposed);
            }
        }
    }

    pub(super) fn wake_lead(&mut self, number: usize) {
        if self.leads[number].wake == self.now {
            self.core(number, Event::Tick);
        }
    }

    pub(super) fn fetch(&mut self, number: usize) {
        let pause = self.about(self.setting.pace.fetch);
        self.after(pause, Call::Fetch { lead: number, life: self.leads[number].life });
        self.hand_on(number);
    }

    pub(super) fn read_spec(&mut self, number: usize, epoch: Epoch) {
        if self.hand_on(number) {
            return self.core(number, Event::SpecRead(epoch));
        }
        let life = self.leads[number].life;
        let pause = self.about(self.setting.pace.fetch);
        self.after(pause, Call::ReadSpec { lead: number, life, epoch });
    }

    /// Whether the server answers.
    fn hand_on(&mut self, number: usize) -> bool {
        let answers = self.git.hangs_until <= self.now;
        let newest = self.spec.newest();
        if answers && self.leads[number].seen != newest {
            let candidate = self.spec.candidate(&newest, self.clock());
            self.leads[number].seen = newest;
            self.core(number, Event::Candidate(Box::new(candidate)));
        }
        answers
    }

    pub(super) fn poll(&mut self, number: usize) {
        let pause = self.about(self.setting.pace.poll);
        self.after(pause, Call::Poll { lead: number, life: self.leads[number].life });
        self.core(number, Event::Poll);
    }

    /// A cluster may be silent, or back.
    pub(super) fn watch(&mut self) {
        for number in 0..LEADS {
            let lead = &mut self.leads[number];
            if lead.runs && !std::mem::replace(&mut lead.watches, true) {
                let life = lead.life;
                self.after(self.setting.pace.tick, Call::Silence { lead: number, life });
            }
        }
    }

    /// Counts the silence of clusters, as the leader.
    pub(super) fn count_silence(&mut self, number: usize) {
        let tick = self.setting.pace.tick;
        if self.setting.pace.rests {
            let silent = |agent: &Agent| !agent.runs || agent.cut_off_until > self.now;
            let heard: Vec<_> = self.agents.iter().filter(|agent| !silent(agent)).collect();
            let heard: Vec<_> = heard.into_iter().map(|agent| agent.cluster.clone()).collect();
            heard.iter().for_each(|cluster| self.heard(cluster));
        }
        let now = self.now;
        let lead = &mut self.leads[number];
        let counted = std::mem::replace(&mut lead.counted, now);
        // Where it rested in between, that was meant.
        let every = if self.setting.pace.rests { now - counted } else { tick };
        let edges = match (&lead.revision, lead.leadership) {
            (Some(revision), Some(_)) => {
                let terms = Terms::new(&revision.fleet.lease, revision, &lead.knowledge);
                lead.liveness.tick(Duration::from_millis(now), Duration::from_millis(every), &terms)
            }
            _ => Edges::default(),
        };
        let rests = edges.is_empty() && self.setting.pace.rests && !self.is_anything_silent(number);
        if !edges.is_empty() {
            self.tell(format!("lead {} finds {edges:?}", number + 1));
            if let Some(clusters) = edges.brake {
                self.propose(number, Change::Brake { clusters });
            }
            self.propose(number, Change::Status { clusters: edges.status });
            if !edges.expired.is_empty() {
                self.propose(number, Change::Expired { clusters: edges.expired });
            }
        }
        self.leads[number].watches = !rests;
        if !rests {
            self.after(tick, Call::Silence { lead: number, life: self.leads[number].life });
        }
    }

    /// Whether counting on would find anything, as long as nothing else happens.
    fn is_anything_silent(&self, number: usize) -> bool {
        let lead = &self.leads[number];
        let settled = |agent: &Agent| {
            let status = lead.knowledge.clusters.get(&agent.cluster).map(|state| state.status);
            let silent = !agent.runs || agent.cut_off_until > self.now;
            status == Some(if silent { ClusterStatus::Lost } else { ClusterStatus::Ready })
        };
        lead.leadership.is_some() && (lead.knowledge.brake.is_some() || !self.agents.iter().all(settled))
    }

    /// A sign of life reaches the leader, through whichever lead took it.
    pub(super) fn heard(&mut self, cluster: &str) {
        let now = Duration::from_millis(self.now);
        let Some(leader) = self.group.leader else { return };
        let lead = &mut self.leads[leader.lead];
        if lead.serves(self.now) {
            lead.liveness.heard(cluster, now);
        }
    }
}
