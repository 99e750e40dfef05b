//! Everything that a run consists of, and the clock that drives it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use qonnect_core::knowledge::Knowledge;
use qonnect_core::lead::Event;
use qonnect_schema::Epoch;
use qonnect_schema::revision::Revision;

pub(crate) mod agent;
pub(crate) mod branch;
mod documents;
pub(crate) mod faults;
pub(crate) mod git;
mod group;
mod lead;
mod lease;
mod presence;
pub(crate) mod reads;
pub(crate) mod setting;
mod spec;
mod weather;
mod work;

use agent::{Agent, Beginning, Ending};
use faults::Fault;
use git::Git;
use group::Group;
use lead::Lead;
use reads::Reads;
use setting::{Setting, Weather};
use spec::Spec;

/// Milliseconds since the run began.
pub(crate) type Ms = u64;

pub(crate) const LEADS: usize = 3;

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Faults,
    /// No further fault begins; what began passes.
    Healing,
    /// The same input all the time.
    Constant,
    /// Prices and loads that change by less than a move costs.
    Trembling,
}

/// A part that is over: when, and what was known and wanted at its end.
pub(crate) struct Part {
    pub(crate) phase: Phase,
    pub(crate) from: Ms,
    pub(crate) until: Ms,
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) revision: Arc<Revision>,
    /// What agents have: cluster, namespace and name.
    pub(crate) runs: BTreeSet<(String, String, String)>,
}

/// A call at a moment.
#[derive(Debug)]
enum Call {
    /// To the core of a lead, in the life of the process that it was meant for.
    Core {
        lead: usize,
        life: u32,
        event: Box<Event>,
    },
    /// To the core of a lead, at the moment that it asked for.
    Wake {
        lead: usize,
        life: u32,
    },
    /// A lead looks at the spec branch.
    Fetch {
        lead: usize,
        life: u32,
    },
    /// A leadership that begins does so, until the server answers.
    ReadSpec {
        lead: usize,
        life: u32,
        epoch: Epoch,
    },
    /// A lead looks whether somebody else has written the deploy branch.
    Poll {
        lead: usize,
        life: u32,
    },
    Silence {
        lead: usize,
        life: u32,
    },
    Learn(usize),
    Propose(usize),
    /// A lead hears that it leads, or that it does not any more.
    Leadership(usize),
    /// The next exchange of a lead with the deploy branch.
    Work {
        lead: usize,
        life: u32,
    },
    /// Starts one that had to wait.
    Enqueue {
        lead: usize,
        life: u32,
        work: work::Work,
    },
    /// A push that nobody waits for any more.
    Late {
        commit: String,
    },
    Election,
    Start(usize),
    /// An agent says that it is alive, for as long as it is awake.
    Beat {
        agent: usize,
        wake: u32,
    },
    /// A lead considers whether it vouches for what an agent runs, and the answer reaches the agent.
    Vouch {
        agent: usize,
        asked: Ms,
    },
    Vouched {
        agent: usize,
        asked: Ms,
    },
    /// An agent looks at the clock.
    Look(usize),
    Sync {
        agent: usize,
        wake: u32,
    },
    Report(usize),
    StartAgent(usize),
    Read,
    ReadAnswer {
        lead: usize,
        cluster: String,
        began: Ms,
    },
    Fault,
    /// A person looks after the fleet.
    Person,
    /// A cluster that was off or out of reach is there again.
    Back(usize),
    /// A cluster goes off.
    Off {
        agent: usize,
        until: Ms,
    },
    Flap(usize),
    ReplaceLeader,
    /// What the seasons bring; see [`weather`].
    Season(weather::Season),
}

pub(crate) struct World {
    pub(crate) now: Ms,
    pub(crate) setting: Setting,
    phase: Phase,
    pub(crate) parts: Vec<Part>,
    /// By cluster, before they trembled.
    calm_prices: BTreeMap<String, f64>,
    rng: Rng,
    calls: BTreeMap<(Ms, u64), Call>,
    number: u64,
    pub(crate) git: Git,
    pub(crate) spec: Spec,
    pub(crate) group: Group,
    pub(crate) leads: Vec<Lead>,
    pub(crate) agents: Vec<Agent>,
    pub(crate) reads: Reads,
    pub(crate) beginnings: Vec<Beginning>,
    pub(crate) endings: Vec<Ending>,
    pub(crate) faults: BTreeMap<Fault, usize>,
    story: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64, setting: Setting) -> Self {
        let spec = Spec::new(&setting);
        let mut world = Self {
            now: 0,
            phase: Phase::Faults,
            parts: Vec::new(),
            calm_prices: BTreeMap::new(),
            rng: Rng::with_seed(seed),
            calls: BTreeMap::new(),
            number: 0,
            git: Git::default(),
            group: Group::new(seed),
            leads: (0..LEADS).map(|_| Lead::default()).collect(),
            agents: spec.clusters().map(Agent::new).collect(),
            spec,
            setting,
            reads: Reads::default(),
            beginnings: Vec::new(),
            endings: Vec::new(),
            faults: BTreeMap::new(),
            story: Vec::new(),
        };
        for lead in 0..LEADS {
            world.start_lead(lead);
        }
        for agent in 0..world.agents.len() {
            world.after(1_000, Call::StartAgent(agent));
        }
        world.after(100, Call::Election);
        world.after(5_000, Call::Person);
        match world.setting.weather {
            Weather::Storm => {
                world.after(20_000, Call::Fault);
                world.after(5_000, Call::Read);
            }
            Weather::Seasons => world.seasons_begin(),
        }
        world
    }

    pub(crate) fn live(&mut self) {
        let Setting { faults_ms, healing_ms, quiet_ms, last_ms, .. } = self.setting;
        self.pass(Phase::Faults, faults_ms);
        self.end_faults();
        self.pass(Phase::Healing, healing_ms);
        self.pass(Phase::Constant, quiet_ms);
        self.tremble();
        self.pass(Phase::Trembling, quiet_ms);
        // What trembled last is read, too.
        self.pass(Phase::Constant, last_ms);
    }

    fn pass(&mut self, phase: Phase, length: Ms) {
        if length == 0 {
            return;
        }
        self.phase = phase;
        self.tell(format!("{phase:?} begins"));
        let from = self.now;
        self.run_until(from + length);
        let (runs, revision) = (self.runs(), self.spec.revision());
        let knowledge = self.group.knowledge.clone();
        self.parts.push(Part { phase, from, until: self.now, knowledge, revision, runs });
    }

    /// Faults do not begin any more.
    fn healing(&self) -> bool {
        self.phase != Phase::Faults
    }

    fn run_until(&mut self, end: Ms) {
        while let Some(next) = self.calls.first_entry() {
            if next.key().0 > end {
                break;
            }
            let ((now, _), call) = next.remove_entry();
            self.now = now;
            self.call(call);
        }
        self.now = end;
    }

    fn call(&mut self, call: Call) {
        if let Some((number, life)) = Self::lead_called(&call) {
            let lead = &self.leads[number];
            if life.is_some_and(|life| life != lead.life) {
                return;
            }
            // A stopped process does nothing until it goes on.
            if lead.paused_until > self.now {
                return self.at(lead.paused_until, call);
            }
        }
        match call {
            Call::Core { lead, event, .. } => self.core(lead, *event),
            Call::Wake { lead, .. } => self.wake_lead(lead),
            Call::Fetch { lead, .. } => self.fetch(lead),
            Call::ReadSpec { lead, epoch, .. } => self.read_spec(lead, epoch),
            Call::Poll { lead, .. } => self.poll(lead),
            Call::Silence { lead, .. } => self.count_silence(lead),
            Call::Learn(lead) => self.learn(lead),
            Call::Propose(lead) => self.propose_next(lead),
            Call::Leadership(lead) => self.hear_of_leadership(lead),
            Call::Work { lead, .. } => self.work(lead),
            Call::Enqueue { lead, work, .. } => self.enqueue(lead, work),
            Call::Late { commit } => self.arrive_late(&commit),
            Call::Election => self.election(),
            Call::Start(lead) => self.start_lead(lead),
            Call::Beat { agent, wake } => self.beat(agent, wake),
            Call::Vouch { agent, asked } => self.vouch(agent, asked),
            Call::Vouched { agent, asked } => self.vouched(agent, asked),
            Call::Look(agent) => self.look_at_lease(agent),
            Call::Sync { agent, wake } => self.sync(agent, wake),
            Call::Report(agent) => self.report(agent),
            Call::StartAgent(agent) => self.start_agent(agent),
            Call::Read => self.read_somewhere(),
            Call::ReadAnswer { lead, cluster, began } => self.answer_read(lead, cluster, began),
            Call::Fault => self.fault(),
            Call::Person => self.person(),
            Call::Back(agent) => self.back(agent),
            Call::Off { agent, until } => self.fall_silent(agent, until, true),
            Call::Flap(agent) => self.flap(agent),
            Call::ReplaceLeader => self.replace_leader(),
            Call::Season(season) => self.season(season),
        }
    }

    /// The lead that is called, and in which of its lives if that counts.
    fn lead_called(call: &Call) -> Option<(usize, Option<u32>)> {
        match call {
            Call::Core { lead, life, .. }
            | Call::Wake { lead, life }
            | Call::Fetch { lead, life }
            | Call::ReadSpec { lead, life, .. }
            | Call::Poll { lead, life }
            | Call::Silence { lead, life }
            | Call::Work { lead, life }
            | Call::Enqueue { lead, life, .. } => Some((*lead, Some(*life))),
            Call::Learn(lead) | Call::Propose(lead) | Call::Leadership(lead) => Some((*lead, None)),
            _ => None,
        }
    }

    fn at(&mut self, at: Ms, call: Call) {
        self.number += 1;
        self.calls.insert((at.max(self.now), self.number), call);
    }

    fn after(&mut self, pause: Ms, call: Call) {
        self.at(self.now + pause, call);
    }

    /// Between half and one and a half times as long.
    fn about(&mut self, pause: Ms) -> Ms {
        self.rng.u64(pause / 2..=pause + pause / 2)
    }

    /// Once in so many times, and only while faults may happen.
    fn unlucky(&mut self, once_in: u32) -> bool {
        !self.healing() && self.rng.u32(0..once_in) == 0
    }

    fn met(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    fn tell(&mut self, line: impl Into<String>) {
        let (secs, ms) = (self.now / 1_000, self.now % 1_000);
        self.story.push(format!("{secs:>4}.{ms:03} {}", line.into()));
    }

    /// What happened, one line each.
    pub(crate) fn story(&self) -> String {
        self.story.join("\n")
    }

    fn clock(&self) -> Timestamp {
        self.clock_at(self.now)
    }

    pub(crate) fn clock_at(&self, at: Ms) -> Timestamp {
        let began = Timestamp::from_second(1_700_000_000).unwrap();
        began.checked_add(SignedDuration::from_millis(at.cast_signed())).unwrap()
    }
}
