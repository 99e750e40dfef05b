//! Leases of what must not run twice: an agent asks, a lead vouches, the clock goes on.

use qonnect_schema::layout::LEASE;

use super::agent::Agent;
use super::faults::Fault;
use super::{Call, Ms, World};

const START_MS: Ms = 5_000;
const LOOK_MS: Ms = 1_000;

/// As an agent keeps it.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// When the process began.
    began: Ms,
    until: Ms,
    /// Whether a lead vouches; absent for some seconds after the start.
    held: Option<bool>,
}

impl Agent {
    pub(super) fn knows_leases(&self) -> bool {
        !self.state.is_leased() || self.lease.held.is_some()
    }
}

impl World {
    pub(super) fn begin_lease(&mut self, number: usize) {
        self.agents[number].lease = Lease { began: self.now, until: self.now + START_MS, held: None };
        self.after(LOOK_MS, Call::Look(number));
    }

    pub(super) fn ask_for_lease(&mut self, number: usize) {
        if self.agents[number].state.is_leased() {
            let travels = self.about(20);
            self.after(travels, Call::Vouch { agent: number, asked: self.now });
        }
    }

    /// Only a leader that knows that it leads, and has applied all that is in the log.
    pub(super) fn vouch(&mut self, number: usize, asked: Ms) {
        let leader = self.group.leader.map(|leader| &self.leads[leader.lead]);
        let knowledge = leader.and_then(|lead| lead.confirmed(&self.group, self.now));
        if knowledge.is_some_and(|knowledge| knowledge.vouches_for(&self.agents[number].cluster)) {
            // A lead may be stopped between its look and its answer.
            let travels = if self.unlucky(10) { 10_000 } else { 20 };
            let travels = self.about(travels);
            self.after(travels, Call::Vouched { agent: number, asked });
        }
    }

    pub(super) fn vouched(&mut self, number: usize, asked: Ms) {
        let now = self.now;
        if !self.is_connected(number) || asked < self.agents[number].lease.began {
            return;
        }
        let lease = &mut self.agents[number].lease;
        lease.until = lease.until.max(asked + LEASE.as_millis() as Ms);
        if lease.until > now {
            self.lease_is(number, true);
        }
    }

    pub(super) fn look_at_lease(&mut self, number: usize) {
        if !self.agents[number].runs {
            return;
        }
        self.after(LOOK_MS, Call::Look(number));
        if self.agents[number].lease.until <= self.now {
            self.lease_is(number, false);
        }
    }

    fn lease_is(&mut self, number: usize, held: bool) {
        let agent = &mut self.agents[number];
        if agent.lease.held.replace(held) == Some(held) {
            return;
        }
        if agent.state.lease(held) {
            let line =
                format!("{} {} what runs by a lease", agent.cluster, if held { "runs" } else { "ends" });
            self.tell(line);
            if !held {
                self.met(Fault::LeaseEnded);
            }
        }
        self.carry_out_release(number);
    }
}
