//! What people have approved, while something newer waits for them.

use super::Effect;
use crate::hold::Effective;
use crate::knowledge::{Good, Knowledge};

/// What is carried out without asking anybody.
#[derive(Debug, Clone, Copy)]
pub(super) enum Approved<'a> {
    /// All that counts.
    All,
    Older(&'a Effective),
    Nothing,
    /// It was, and cannot be read any more: people are asked about everything.
    Lost,
    /// It is still being read: nothing is decided before.
    Unread,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    known: Option<(Good, Effective)>,
    asked: Option<Good>,
    failed: bool,
    /// What counts now may wait for people: the Knowledge Base says since when.
    asks: bool,
}

impl Waiting {
    /// What counted so far may be what was approved last.
    pub(super) fn keep(&mut self, good: Good, effective: Effective, knowledge: &Knowledge) {
        let known = self.known.as_ref().map(|(known, _)| known);
        if known.is_none() || known != knowledge.approved.as_deref() {
            self.known = Some((good, effective));
        }
    }

    pub(super) fn counts(&mut self, asks: bool) {
        self.asks = asks;
    }

    pub(super) fn learn(&mut self, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        let Some(approved) = knowledge.approved.as_deref().filter(|good| !good.commit.is_empty()) else {
            return;
        };
        let known = self.known.as_ref().is_some_and(|(known, _)| known == approved);
        if !known && self.asked.as_ref() != Some(approved) {
            self.ask(approved.clone(), effects);
        }
    }

    /// It was read again, or cannot be.
    pub(super) fn read(&mut self, good: Good, effective: Option<Effective>) {
        if self.asked.as_ref() == Some(&good) {
            self.failed = effective.is_none();
            self.known = effective.map(|effective| (good, effective)).or(self.known.take());
        }
    }

    /// What could not be read is tried again.
    pub(super) fn poll(&mut self, effects: &mut Vec<Effect>) {
        if self.failed
            && let Some(good) = self.asked.take()
        {
            self.ask(good, effects);
        }
    }

    /// While `good` counts.
    pub(super) fn approved(&self, good: Option<&Good>, knowledge: &Knowledge) -> Approved<'_> {
        if self.asks && knowledge.good.as_deref() != good {
            return Approved::Unread;
        }
        match (knowledge.approved.as_deref(), &self.known) {
            (None, _) => Approved::All,
            (Some(good), _) if good.commit.is_empty() => Approved::Nothing,
            (Some(good), Some((known, effective))) if known == good => Approved::Older(effective),
            _ if self.failed => Approved::Lost,
            _ => Approved::Unread,
        }
    }

    fn ask(&mut self, good: Good, effects: &mut Vec<Effect>) {
        (self.asked, self.failed) = (Some(good.clone()), false);
        effects.push(Effect::ReadApproved(good));
    }
}
