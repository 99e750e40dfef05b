//! The state machine: the Knowledge Base in memory, its snapshots on disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::type_config::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use qonnect_core::knowledge::{Answer, Knowledge};
use tokio::sync::watch;

use super::Types;
use super::snapshot::{self, Bytes};
use crate::consensus::Error;

pub(super) struct Machine {
    knowledge: Knowledge,
    applied: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
    publish: watch::Sender<Arc<Knowledge>>,
    file: PathBuf,
}

impl Machine {
    /// The state of the newest snapshot; openraft then applies what the log holds beyond it.
    pub(super) fn open(file: PathBuf) -> Result<(Self, watch::Receiver<Arc<Knowledge>>), Error> {
        let (publish, readers) = watch::channel(Arc::default());
        let mut machine = Self {
            knowledge: Knowledge::default(),
            applied: None,
            membership: StoredMembershipOf::<Types>::default(),
            publish,
            file,
        };
        let damaged = |why: io::Error| Error::Damaged { file: machine.file.clone(), why: why.to_string() };
        if let Some((meta, state)) = snapshot::read(&machine.file).map_err(damaged)? {
            let knowledge = decode(&state).map_err(damaged)?;
            machine.adopt(&meta, knowledge);
        }
        Ok((machine, readers))
    }

    fn adopt(&mut self, meta: &SnapshotMetaOf<Types>, knowledge: Knowledge) {
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.knowledge = knowledge;
        self.publish.send_replace(Arc::new(self.knowledge.clone()));
    }
}

fn decode(state: &[u8]) -> io::Result<Knowledge> {
    serde_json::from_slice(state).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>)> {
        Ok((self.applied, self.membership.clone()))
    }

    /// Publishes once for all entries, and before anybody is answered: who is answered finds what they wrote.
    async fn apply<Entries>(&mut self, mut entries: Entries) -> io::Result<()>
    where
        Entries: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let mut answers = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            self.applied = Some(entry.log_id);
            let answer = match entry.payload {
                EntryPayload::Normal(command) => self.knowledge.apply(entry.log_id.index, &command),
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembershipOf::<Types>::new(self.applied, membership);
                    Answer::Done
                }
                EntryPayload::Blank => Answer::Done,
            };
            answers.extend(responder.map(|responder| (responder, answer)));
        }
        self.publish.send_replace(Arc::new(self.knowledge.clone()));
        for (responder, answer) in answers {
            responder.send(answer);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let meta =
            SnapshotMetaOf::<Types> { last_log_id: self.applied, last_membership: self.membership.clone() };
        Builder { meta, knowledge: self.knowledge.clone(), file: self.file.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMetaOf<Types>, state: Bytes) -> io::Result<()> {
        let knowledge = decode(&state)?;
        let (file, kept) = (self.file.clone(), meta.clone());
        off_thread(move || snapshot::write(&file, &kept, &state)).await?;
        self.adopt(meta, knowledge);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, Bytes>>> {
        let file = self.file.clone();
        let current = off_thread(move || snapshot::read(&file)).await?;
        Ok(current.map(|(meta, snapshot)| SnapshotOf::<Types, Bytes> { meta, snapshot }))
    }
}

/// The state at one moment, on its way to disk.
pub(super) struct Builder {
    meta: SnapshotMetaOf<Types>,
    knowledge: Knowledge,
    file: PathBuf,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, Bytes>> {
        let (meta, knowledge, file) = (self.meta.clone(), self.knowledge.clone(), self.file.clone());
        off_thread(move || {
            let state: Bytes = serde_json::to_vec(&knowledge)?.into();
            snapshot::write(&file, &meta, &state)?;
            Ok(SnapshotOf::<Types, Bytes> { meta, snapshot: state })
        })
        .await
    }
}

/// Disks are slow: not on a thread that counts heartbeats.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
