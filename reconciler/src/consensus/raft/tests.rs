//! The storage below openraft, without openraft.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::vote::RaftLeaderId;
use openraft::vote::leader_id_adv::CommittedLeaderId;
use openraft::{EntryPayload, RaftLogReader, StorageError};
use qonnect_core::knowledge::{Change, Command};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::Types;
use super::log::Log;
use super::machine::Machine;

struct Stores;

impl StoreBuilder<Types, Log, Machine, TempDir> for Stores {
    async fn build(&self) -> Result<(TempDir, Log, Machine), StorageError<Types>> {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let log = Log::open(&folder.path().join("log.redb"), 0).expect("an empty folder opens");
        let (machine, _) = Machine::open(folder.path().join("snapshot.json")).expect("an empty folder opens");
        Ok((folder, log, machine))
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn the_storage_passes_openrafts_own_suite() {
    runtime().block_on(Suite::test_all(Stores)).unwrap();
}

/// Everything that a restart reads.
type Content = (Option<VoteOf<Types>>, Option<LogIdOf<Types>>, Vec<EntryOf<Types>>);

async fn content(log: &mut Log) -> std::io::Result<Content> {
    Ok((log.read_vote().await?, log.get_log_state().await?.last_log_id, log.try_get_log_entries(..).await?))
}

pub(super) fn entry(index: u64) -> EntryOf<Types> {
    let change = Change::OpenEpoch { node: 1, term: index, group: "g".into() };
    let command = Command { key: format!("key-{index}"), now: Timestamp::UNIX_EPOCH, change };
    let log_id = LogIdOf::<Types>::new(CommittedLeaderId::new(1, 1), index);
    EntryOf::<Types> { log_id, payload: EntryPayload::Normal(Arc::new(command)) }
}

/// A log of 200 entries that was closed in order.
async fn written(path: &Path) -> Content {
    let mut log = Log::open(path, 1).unwrap();
    log.save_vote(&VoteOf::<Types>::new(1, 1)).await.unwrap();
    for index in 1..=200 {
        log.append([entry(index)], IOFlushed::noop()).await.unwrap();
    }
    let content = content(&mut log).await.unwrap();
    log.close().await;
    content
}

#[test]
fn a_flipped_bit_is_refused_or_of_no_consequence() {
    let runtime = runtime();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.redb");
    let before = runtime.block_on(written(&path));
    let bytes = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for page in 0..bytes.len() / 4096 {
        for at in [8, 40, 1_000, 2_500, 4_000] {
            let mut flipped = bytes.clone();
            flipped[page * 4096 + at] ^= 0x10;
            std::fs::write(&path, flipped).unwrap();
            // redb panics in debug builds where it refuses in others: loud either way.
            let opened = catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(async {
                    let mut log = Log::open(&path, 1).ok()?;
                    let after = content(&mut log).await.ok()?;
                    log.close().await;
                    Some(after)
                })
            }));
            match opened {
                Ok(Some(after)) => assert_eq!(after, before, "a bit of page {page} at {at} went unseen"),
                Ok(None) | Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 0, "no flip was refused");
}
