//! A hash of the state after each command: where two leads differ, and since when.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Answer, Change, Command, Knowledge};

/// Enough for a follower that lags, few enough to be copied with every command.
const HASHES_MAX: usize = 64;

/// The newest last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Hashes(Arc<VecDeque<(u64, String)>>);

impl Knowledge {
    /// Index and hash after each of the newest commands, the newest last.
    ///
    /// Guarantees: equal on two leads at an index if and only if every command up to there has left the same
    /// records and was given the same answer, by all that SHA-256 can tell.
    pub fn hashes(&self) -> impl Iterator<Item = &(u64, String)> {
        self.hashes.0.iter()
    }

    /// Each hash covers the one before and what the command has touched: hashing all of the state would cost as
    /// much as the fleet is large.
    pub(super) fn remember_hash(&mut self, command: &Command, answer: &Answer) {
        let mut hash = Sink(Sha256::new());
        hash.add(&(self.hashes.0.back(), &command.key, self.index, self.now, answer));
        hash.add(&(self.epoch, &self.group, &self.succeeds, &self.blocked));
        hash.add(&(self.events.back(), self.clusters.len(), self.placements.len(), self.intents.len()));
        self.touched(&command.change, &mut hash);
        let newest = (self.index, hex::encode(hash.0.finalize()));
        let hashes = Arc::make_mut(&mut self.hashes.0);
        hashes.push_back(newest);
        if hashes.len() > HASHES_MAX {
            hashes.pop_front();
        }
    }

    fn touched(&self, change: &Change, hash: &mut Sink) {
        let mut cluster = |name: &String| hash.add(&(name, self.clusters.get(name), self.stalled.get(name)));
        match change {
            Change::Register { cluster: name, .. }
            | Change::Report { cluster: name, .. }
            | Change::Reconcile { cluster: name } => cluster(name),
            Change::Status { clusters } => clusters.keys().for_each(cluster),
            Change::Forget { clusters } | Change::Expired { clusters } => clusters.iter().for_each(cluster),
            Change::Revision { record, .. } => {
                let known = self.revisions.iter().rev().find(|known| known.commit == record.commit);
                hash.add(&(known, &self.good, &self.approved));
            }
            Change::Settled { .. } => hash.add(&self.approved),
            Change::Proposed(_) | Change::Reviewed { .. } => hash.add(&self.proposal),
            Change::Intent(intent) => self.intent_and_placements(&intent.id, hash),
            Change::Outcome { intent, .. } => self.intent_and_placements(intent, hash),
            Change::Deployed { .. } => hash.add(&(&self.placements, &self.releases)),
            Change::Brake { .. } | Change::ReleaseBrake => hash.add(&self.brake),
            Change::OpenEpoch { .. }
            | Change::Blocked { .. }
            | Change::Recover { .. }
            | Change::Event { .. } => {}
        }
    }

    fn intent_and_placements(&self, id: &str, hash: &mut Sink) {
        let intent = self.intents.iter().rev().find(|intent| intent.id == id);
        hash.add(&(intent, &self.releases, &self.approved, &self.proposal));
        for (name, placement) in &*self.placements {
            hash.add(&(name, &placement.spec.revision, placement.spec.kb_index, placement.spec.epoch));
        }
    }
}

struct Sink(Sha256);

impl Sink {
    fn add(&mut self, value: &impl Serialize) {
        serde_json::to_writer(&mut *self, value).expect("the state has text for keys and no infinite number");
        self.0.update([0]);
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
