//! The replicated log, as consensus promises it: one order, extended by one leader at a time.

use std::sync::Arc;

use jiff::Timestamp;
use qonnect_core::knowledge::{Answer, Change, Command, Knowledge};

use super::{Call, LEADS, Ms, World};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leadership {
    pub(super) term: u64,
    pub(super) lead: usize,
}

impl Leadership {
    pub(super) fn node(self) -> u64 {
        self.lead as u64 + 1
    }
}

/// One entry, and when it was committed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) at: Ms,
    pub(crate) command: Command,
    pub(crate) answer: Answer,
}

pub(crate) struct Group {
    pub(crate) leader: Option<Leadership>,
    term: u64,
    pub(crate) log: Vec<Entry>,
    pub(crate) knowledge: Arc<Knowledge>,
    /// The id that it draws.
    pub(super) id: String,
    commands: u64,
    /// When every lead lost its disk.
    pub(crate) rebuilt: Option<Ms>,
}

impl Group {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            leader: None,
            term: 0,
            log: Vec::new(),
            knowledge: Arc::default(),
            id: format!("group-{seed}"),
            commands: 0,
            rebuilt: None,
        }
    }

    pub(super) fn command(&mut self, now: Timestamp, change: Change) -> Command {
        self.commands += 1;
        Command { key: self.commands.to_string(), now, change }
    }

    pub(super) fn commit(&mut self, at: Ms, command: &Command) -> Answer {
        // As on disk: a command is read again as it was written.
        let bytes = serde_json::to_vec(command).unwrap();
        let command: Command = serde_json::from_slice(&bytes).unwrap();
        let mut knowledge = Knowledge::clone(&self.knowledge);
        let answer = knowledge.apply(self.log.len() as u64 + 1, &command);
        self.knowledge = Arc::new(knowledge);
        self.log.push(Entry { at, command, answer: answer.clone() });
        answer
    }

    pub(super) fn lose_everything(&mut self, now: Ms) {
        *self = Self { commands: self.commands, rebuilt: Some(now), ..Self::new(0) };
        self.id = format!("heirs-{now}");
    }
}

impl World {
    /// One of the leads that run and reach each other becomes the leader.
    pub(super) fn election(&mut self) {
        let able: Vec<usize> = (0..LEADS).filter(|lead| self.leads[*lead].votes(self.now)).collect();
        if able.len() <= LEADS / 2 {
            self.group.leader = None;
            return self.after(500, Call::Election);
        }
        if self.group.leader.is_some_and(|leader| able.contains(&leader.lead)) {
            return;
        }
        // One term may see two leaders, the later one of a higher node.
        let before = self.group.leader.take();
        let higher: Vec<_> =
            able.iter().filter(|lead| before.is_some_and(|before| **lead > before.lead)).collect();
        let same_term = !higher.is_empty() && self.rng.u32(0..4) == 0;
        let lead = if same_term { *higher[0] } else { able[self.rng.usize(..able.len())] };
        self.group.term += u64::from(!same_term);
        let leadership = Leadership { term: self.group.term, lead };
        self.group.leader = Some(leadership);
        self.tell(format!("lead {} is elected in term {}", leadership.node(), leadership.term));
        self.count_takeover();
        self.after(50, Call::Leadership(lead));
        if let Some(deposed) = before.map(|before| before.lead).filter(|deposed| *deposed != lead) {
            let late = self.about(2_000);
            self.after(late, Call::Leadership(deposed));
        }
    }

    /// Writes to the log, if this is still the leadership that may. All leads learn of it.
    pub(super) fn commit_as(&mut self, leadership: Leadership, command: &Command) -> Option<Answer> {
        if self.group.leader != Some(leadership) {
            return None;
        }
        Some(self.commit(command))
    }

    pub(super) fn commit(&mut self, command: &Command) -> Answer {
        let answer = self.group.commit(self.now, command);
        for lead in 0..LEADS {
            let late = if self.leads[lead].is_cut_off(self.now) { 2_000 } else { 20 };
            let late = self.about(late);
            self.after(late, Call::Learn(lead));
        }
        answer
    }
}
