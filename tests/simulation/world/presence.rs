//! When an agent looks after its cluster, and when nobody hears of it.
//!
//! An agent that rests has applied and reported everything. It is woken by what happens to it; its heartbeats are
//! counted when a lead looks.

use super::agent::Agent;
use super::{Call, Ms, World};

/// From when until when nobody heard of a cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    pub(crate) from: Ms,
    pub(crate) until: Ms,
}

impl Agent {
    pub(super) fn end_silence(&mut self, now: Ms) {
        self.cut_off_until = self.cut_off_until.min(now);
        for silence in &mut self.silences {
            silence.until = silence.until.min(now);
        }
    }

    pub(super) fn is_awake(&self, wake: u32) -> bool {
        self.runs && self.awake && self.wakes == wake
    }
}

impl World {
    /// It has a reason to look after its cluster.
    pub(super) fn wake(&mut self, number: usize) {
        let agent = &mut self.agents[number];
        if agent.runs && !std::mem::replace(&mut agent.awake, true) {
            agent.wakes += 1;
            let wake = agent.wakes;
            self.after(10, Call::Beat { agent: number, wake });
            let late = if self.setting.pace.rests { self.rng.u64(20..self.setting.pace.sync) } else { 20 };
            self.after(late, Call::Sync { agent: number, wake });
        }
    }

    /// Nothing is left to do or to say until something happens.
    pub(super) fn rests(&self, number: usize) -> bool {
        let agent = &self.agents[number];
        self.setting.pace.rests
            && self.is_connected(number)
            && agent.registered
            && agent.has_checked(self.git.folder(&agent.cluster))
            && (agent.checked.is_none() || (agent.state.is_complete() && agent.refused.is_empty()))
            && !self.group.knowledge.learns_from(&agent.cluster, &agent.report())
    }

    /// A commit has landed: those whose folder it changed are told.
    pub(super) fn tell_agents(&mut self) {
        for number in 0..self.agents.len() {
            let agent = &self.agents[number];
            if !agent.awake && !agent.has_checked(self.git.folder(&agent.cluster)) {
                self.wake(number);
            }
        }
    }

    /// Nobody hears of it until then; if it is off, nothing runs there either.
    pub(super) fn fall_silent(&mut self, number: usize, until: Ms, off: bool) {
        if self.is_connected(number) {
            // Its last beat; while it rested, nobody played them.
            let cluster = self.agents[number].cluster.clone();
            self.heard(&cluster);
        }
        let now = self.now;
        let agent = &mut self.agents[number];
        agent.cut_off_until = agent.cut_off_until.max(until);
        if off {
            agent.kill();
            agent.off_since = agent.off_since.or(Some(now));
        }
        agent.silences.push(Silence { from: now, until });
        self.at(until, Call::Back(number));
        self.watch();
    }

    pub(super) fn back(&mut self, number: usize) {
        if self.agents[number].cut_off_until > self.now {
            return;
        }
        if self.agents[number].off_since.take().is_some() {
            self.start_agent(number);
        }
        self.watch();
        self.wake(number);
    }
}
