//! Readers who ask the leader, and when each read and each report began and ended.

use std::collections::BTreeMap;

use super::{Call, Ms, World};

const READ_MS: Ms = 1_500;

#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// An agent's registration or report, by a number that grows with each.
    Wrote(u64),
    /// The number of the newest report.
    Read(u64),
}

#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) began: Ms,
    /// Absent while nobody knows whether it happened.
    pub(crate) ended: Option<Ms>,
    pub(crate) outcome: Outcome,
}

/// By cluster, since the Knowledge Base began.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    pub(crate) operations: BTreeMap<String, Vec<Operation>>,
}

/// One number for an incarnation and a report of it: a later one is always higher.
pub(super) fn number(incarnation: u64, seq: u64) -> u64 {
    incarnation * 10_000 + seq
}

impl World {
    /// A linearizable read: a lead answers from its own state, once the log has confirmed that it still leads.
    pub(super) fn read_somewhere(&mut self) {
        let pause = self.about(READ_MS);
        self.after(pause, Call::Read);
        let (lead, began) = (self.rng.usize(..self.leads.len()), self.now);
        let agent = self.rng.usize(..self.agents.len());
        let cluster = self.agents[agent].cluster.clone();
        // Asked now, confirmed and answered a little later.
        let answered = self.now + self.about(20);
        self.at(answered, Call::ReadAnswer { lead, cluster, began });
    }

    pub(super) fn answer_read(&mut self, lead: usize, cluster: String, began: Ms) {
        let Some(state) = self.leads[lead].confirmed(&self.group, self.now) else { return };
        let found = state.clusters.get(&cluster).map_or(0, |state| number(state.incarnation, state.seq));
        let operation = Operation { began, ended: Some(self.now), outcome: Outcome::Read(found) };
        self.reads.operations.entry(cluster).or_default().push(operation);
    }
}
