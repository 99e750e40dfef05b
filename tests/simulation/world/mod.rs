//! Everything that a run consists of, and the clock that drives it.

use std::collections::BTreeMap;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use qonnect_core::lead::Event;
use qonnect_schema::Epoch;

pub(crate) mod agent;
pub(crate) mod faults;
pub(crate) mod git;
mod group;
mod lead;
mod lease;
pub(crate) mod reads;
mod spec;
mod work;

use agent::{Agent, Beginning};
use faults::Fault;
use git::Git;
use group::Group;
use lead::Lead;
use reads::Reads;
use spec::Spec;

/// Milliseconds since the run began.
pub(crate) type Ms = u64;

pub(crate) const LEADS: usize = 3;

/// Long enough for a cluster to be lost, re-placed and found again.
const FAULTS_MS: Ms = 120_000;

/// Once in so many seeds what must not run twice runs by a lease, and faults go on until some have ended.
const LEASED_ONCE_IN: u64 = 10;
const FAULTS_OF_LEASES_MS: Ms = 500_000;

/// After the last fault: the longest deadline of an exchange, of a lease and of a backoff, one after the other.
const HEALING_MS: Ms = 150_000;

/// A call at a moment.
#[derive(Debug)]
enum Call {
    /// To the core of a lead, in the life of the process that it was meant for.
    Core {
        lead: usize,
        life: u32,
        event: Box<Event>,
    },
    /// A lead looks at the spec branch.
    Fetch(usize),
    /// A leadership that begins does so, until the server answers.
    ReadSpec {
        lead: usize,
        life: u32,
        epoch: Epoch,
    },
    /// A lead looks whether somebody else has written the deploy branch.
    Poll(usize),
    Silence(usize),
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
    Beat(usize),
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
    Sync(usize),
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
}

pub(crate) struct World {
    pub(crate) now: Ms,
    /// What must not run twice runs by a lease.
    leased: bool,
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
    pub(crate) faults: BTreeMap<Fault, usize>,
    story: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let leased = seed % LEASED_ONCE_IN == LEASED_ONCE_IN - 1;
        let mut world = Self {
            now: 0,
            leased,
            rng: Rng::with_seed(seed),
            calls: BTreeMap::new(),
            number: 0,
            git: Git::default(),
            spec: Spec::new(leased),
            group: Group::new(seed),
            leads: (0..LEADS).map(|_| Lead::default()).collect(),
            agents: spec::CLUSTERS.iter().map(|name| Agent::new(name)).collect(),
            reads: Reads::default(),
            beginnings: Vec::new(),
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
        world.after(20_000, Call::Fault);
        world.after(5_000, Call::Person);
        world.after(5_000, Call::Read);
        world
    }

    pub(crate) fn live_through_faults(&mut self) {
        self.run_until(self.faults_until());
    }

    /// No further fault begins; what began passes.
    pub(crate) fn heal(&mut self) {
        self.end_faults();
        self.run_until(self.faults_until() + HEALING_MS);
    }

    fn faults_until(&self) -> Ms {
        if self.leased { FAULTS_OF_LEASES_MS } else { FAULTS_MS }
    }

    fn healing(&self) -> bool {
        self.now >= self.faults_until()
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
        if let Some(until) = self.paused(&call) {
            return self.at(until, call);
        }
        match call {
            Call::Core { lead, life, event } if self.leads[lead].life == life => self.core(lead, *event),
            Call::Core { .. } => {}
            Call::Fetch(lead) => self.fetch(lead),
            Call::ReadSpec { lead, life, epoch } if self.leads[lead].life == life => {
                self.read_spec(lead, epoch)
            }
            Call::ReadSpec { .. } => {}
            Call::Poll(lead) => self.poll(lead),
            Call::Silence(lead) => self.count_silence(lead),
            Call::Learn(lead) => self.learn(lead),
            Call::Propose(lead) => self.propose_next(lead),
            Call::Leadership(lead) => self.hear_of_leadership(lead),
            Call::Work { lead, life } if self.leads[lead].life == life => self.work(lead),
            Call::Enqueue { lead, life, work } if self.leads[lead].life == life => self.enqueue(lead, work),
            Call::Work { .. } | Call::Enqueue { .. } => {}
            Call::Late { commit } => self.arrive_late(&commit),
            Call::Election => self.election(),
            Call::Start(lead) => self.start_lead(lead),
            Call::Beat(agent) => self.beat(agent),
            Call::Vouch { agent, asked } => self.vouch(agent, asked),
            Call::Vouched { agent, asked } => self.vouched(agent, asked),
            Call::Look(agent) => self.look_at_lease(agent),
            Call::Sync(agent) => self.sync(agent),
            Call::Report(agent) => self.report(agent),
            Call::StartAgent(agent) => self.start_agent(agent),
            Call::Read => self.read_somewhere(),
            Call::ReadAnswer { lead, cluster, began } => self.answer_read(lead, cluster, began),
            Call::Fault => self.fault(),
            Call::Person => self.person(),
        }
    }

    /// A stopped process does nothing until it goes on.
    fn paused(&self, call: &Call) -> Option<Ms> {
        let lead = match call {
            Call::Core { lead, .. }
            | Call::ReadSpec { lead, .. }
            | Call::Work { lead, .. }
            | Call::Enqueue { lead, .. } => *lead,
            Call::Fetch(lead)
            | Call::Poll(lead)
            | Call::Silence(lead)
            | Call::Learn(lead)
            | Call::Propose(lead)
            | Call::Leadership(lead) => *lead,
            _ => return None,
        };
        let until = self.leads[lead].paused_until;
        (until > self.now).then_some(until)
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
        let began = Timestamp::from_second(1_700_000_000).unwrap();
        began.checked_add(SignedDuration::from_millis(self.now.cast_signed())).unwrap()
    }
}
