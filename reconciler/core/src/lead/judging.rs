//! When a commit of the spec branch is judged, and what becomes known of it.

use qonnect_schema::api::RevisionRecord;

use super::{Effect, Lead, Restoring, intents};
use crate::hold::{self, Effective};
use crate::knowledge::Change;

impl Lead {
    /// Judges the newest commit of the spec branch, once what counted before is known.
    pub(super) fn judge(&mut self) {
        let waits = self.effective.is_none() && matches!(self.restoring, Restoring::Reading(_));
        if self.leadership.is_none() || !self.current || waits || self.judged {
            return;
        }
        let Some(candidate) = &self.candidate else { return };
        if intents::knows_nothing(&self.knowledge) && !candidate.refused {
            return;
        }
        let good = self.knowledge.good.as_deref();
        if self.good.as_ref() == good && good.is_some_and(|good| good.commit == candidate.revision.commit) {
            return self.judged = true;
        }
        let judged = hold::judge(candidate, self.effective.as_ref(), &self.knowledge);
        self.judged = !judged.provisional;
        let makes = judged.effective.as_ref().map(Effective::good);
        let waits = self.asks_people(judged.effective.as_ref());
        // The same verdict may have been given before another commit counted.
        if !self.is_known(&judged.record) || makes.as_ref().is_some_and(|makes| good != Some(makes)) {
            let record = Box::new(judged.record);
            self.effects.push(Effect::Propose(Change::Revision { record, good: makes.clone(), waits }));
        }
        if let (Some(effective), Some(good)) = (judged.effective, makes) {
            self.waiting.counts(waits);
            self.adopt(effective, good);
        }
    }

    /// Whether something of a new revision may wait for people, as it, the one before or the approved one wants it.
    fn asks_people(&self, newest: Option<&Effective>) -> bool {
        let asks = |known: &Effective| known.revision.fleet.approval.is_some();
        self.knowledge.approved.is_some()
            || self.effective.as_ref().is_some_and(asks)
            || newest.is_some_and(asks)
    }

    fn is_known(&self, record: &RevisionRecord) -> bool {
        let known = self.knowledge.revisions.iter().rev().find(|known| known.commit == record.commit);
        known.is_some_and(|known| {
            let RevisionRecord { seen, published, .. } = &**known;
            **known == RevisionRecord { seen: *seen, published: published.clone(), ..record.clone() }
        })
    }
}
