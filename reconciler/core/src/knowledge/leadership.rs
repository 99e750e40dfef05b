//! Epochs of leaderships, and whose branch this group may write.

use std::sync::Arc;

use qonnect_schema::api::EventSeverity;
use qonnect_schema::{Epoch, Origin};

use super::{Answer, Knowledge};

impl Knowledge {
    /// Whether commits of this group may stand above those of `group`.
    pub fn follows(&self, group: &str) -> bool {
        group == self.group || self.succeeds.contains(group)
    }

    pub(super) fn open_epoch(&mut self, node: u64, term: u64, group: &str) -> Answer {
        let epoch = Epoch { era: self.epoch.era, term, node };
        if epoch < self.epoch {
            return Answer::Superseded;
        }
        if self.group.is_empty() {
            self.group = group.into();
        }
        self.epoch = epoch;
        Answer::Epoch(epoch)
    }

    pub(super) fn block(&mut self, origin: Option<&Origin>) -> Answer {
        if self.blocked.as_deref() == origin {
            return Answer::Unchanged;
        }
        self.blocked = origin.map(|origin| Arc::new(origin.clone()));
        let Some(Origin { group, epoch }) = origin else {
            self.tell(EventSeverity::Normal, "Unblocked", "repository".into(), "the deploy branch is ours");
            return Answer::Done;
        };
        let message = match self.follows(group) {
            true => format!(
                "the deploy branch is at epoch {epoch}, this Knowledge Base only at {}: it is older than the branch. \
                 Nothing is published. If it was restored from a backup, run `qonnect raft recover --adopt {group}`",
                self.epoch
            ),
            false => format!(
                "the deploy branch belongs to the group of leads {group}, at epoch {epoch}. Nothing is published. If \
                 that group is gone for good, run `qonnect raft recover --adopt {group}`; if it lives, give these \
                 leads another deploy branch"
            ),
        };
        self.tell(EventSeverity::Warning, "BranchOfOthers", "repository".into(), message);
        Answer::Done
    }

    /// Agents count too: their disks may remember an era that no branch holds any more.
    pub(super) fn recover(&mut self, adopt: Option<&str>) -> Answer {
        let blocked = self.blocked.as_deref();
        if blocked.map(|origin| origin.group.as_str()) != adopt {
            return Answer::NotFound;
        }
        let marks = self.clusters.values().map(|state| state.mark.epoch.era);
        let eras = marks.chain(blocked.map(|origin| origin.epoch.era));
        let era = 1 + eras.fold(self.epoch.era, u64::max);
        if let Some(group) = adopt.filter(|group| *group != self.group) {
            Arc::make_mut(&mut self.succeeds).insert(group.into());
        }
        self.blocked = None;
        self.epoch.era = era;
        let message = match adopt {
            Some(group) => format!("the deploy branch of {group} was handed to this group: era {era} begins"),
            None => format!("era {era} begins"),
        };
        self.tell(EventSeverity::Warning, "Recovered", "repository".into(), message);
        Answer::Epoch(self.epoch)
    }
}
