//! One leadership: when to plan again, and what becomes of a plan.

use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::Epoch;

use super::planning::Planning;
use super::{Effect, Fence, relevant};
use crate::decision::{self, Input};
use crate::hold::Effective;
use crate::knowledge::Knowledge;
use crate::rollout;

#[derive(Debug)]
pub(super) struct Leadership {
    pub(super) fence: Fence,
    /// Something that decisions depend on has changed.
    pub(super) due: bool,
    /// What the last decision was made on.
    planned_on: Arc<Knowledge>,
    planning: Planning,
}

impl Leadership {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            fence: Fence::new(epoch),
            due: true,
            planned_on: Arc::default(),
            planning: Planning::default(),
        }
    }

    pub(super) fn decide(
        &mut self,
        effective: &Effective,
        knowledge: &Arc<Knowledge>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let branch = &effective.revision.fleet.branches.deploy;
        if !self.fence.ready(branch, knowledge, effects) {
            return;
        }
        self.due |= self.fence.take_due();
        if !std::mem::take(&mut self.due) {
            return;
        }
        self.planned_on = knowledge.clone();
        let mut snapshot = knowledge.snapshot();
        snapshot.now = snapshot.now.max(now);
        let (plan, snapshot) = self.planning.plan(&effective.revision, snapshot);
        let frozen = effective.untouched();
        let draft = decision::decide(&Input {
            revision: &effective.revision,
            frozen: &frozen,
            plan,
            snapshot,
            releases: &knowledge.releases,
            deployed: self.fence.deployed(),
            epoch: self.fence.epoch(),
            group: &knowledge.group,
        });
        let signals = effective.revision.signals.values().filter_map(|signals| signals.spec.valid_until);
        let now = snapshot.now;
        let signals = signals.filter(move |until| *until > now);
        let deadline = rollout::next_deadline(snapshot, &effective.revision);
        let wake = signals.chain(deadline).chain(self.planning.review());
        effects.extend(wake.min().map(Effect::WakeAt));
        if let Some(draft) = draft {
            self.fence.submit(draft, effects);
        }
    }

    /// The Knowledge Base has moved on.
    pub(super) fn learned(&mut self, knowledge: &Knowledge) {
        if self.fence.learned(knowledge) {
            // A phase of a move may be over without anybody's report.
            self.due |= relevant::moving(knowledge);
        }
        self.due = self.due || relevant::changed(&self.planned_on, knowledge);
    }
}
