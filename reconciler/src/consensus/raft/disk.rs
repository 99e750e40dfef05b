//! One thread that writes: what waits together becomes durable together.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, mpsc};

use openraft::storage::IOFlushed;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};
use tokio::sync::oneshot;

use super::Types;
use crate::consensus::Error;

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");

/// The keys of `FACTS`; their values are JSON.
pub(super) mod fact {
    pub(in super::super) const FORMAT: &str = "format";
    pub(in super::super) const NODE: &str = "node";
    pub(in super::super) const VOTE: &str = "vote";
    pub(in super::super) const COMMITTED: &str = "committed";
    pub(in super::super) const PURGED: &str = "purged";
    /// Its node was a voter before this file was empty.
    pub(in super::super) const RETURNS: &str = "returns";
}

/// Writes in one transaction at most: bounds the memory of a burst.
const BATCH_MAX: usize = 1_024;

/// Pages of the file kept in memory; what is asked often is mirrored above.
const CACHE_BYTES: usize = 16 << 20;

/// A write; each but `Hint` is answered after it is synced.
pub(super) enum Write {
    Append {
        entries: Vec<(u64, Vec<u8>)>,
        done: IOFlushed<Types>,
    },
    Fact {
        key: &'static str,
        value: Vec<u8>,
        done: oneshot::Sender<()>,
    },
    /// A fact that may lag: it becomes durable with the next write.
    Hint {
        key: &'static str,
        value: Vec<u8>,
    },
    /// Removes everything from here on.
    Truncate {
        from: u64,
        done: oneshot::Sender<()>,
    },
    /// Removes everything up to here. The fact is durable no later than the removal.
    Purge {
        upto: u64,
        fact: Vec<u8>,
        done: oneshot::Sender<()>,
    },
    Close {
        done: oneshot::Sender<()>,
    },
}

pub(super) struct Disk {
    /// Absent once it is closed.
    database: Arc<RwLock<Option<Database>>>,
    queue: mpsc::Sender<Write>,
    /// The highest index that is synced.
    synced: Arc<AtomicU64>,
}

impl Disk {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with(path, |builder| builder.create(path), end)
    }

    /// `create` says where the pages go, `fail` what follows a write that failed: it ends the writer at least.
    pub(super) fn open_with(
        path: &Path,
        create: impl FnOnce(&Builder) -> Result<Database, DatabaseError>,
        fail: fn(&redb::Error) -> !,
    ) -> Result<Self, Error> {
        let database = open(create).map_err(|error| match error {
            redb::Error::Io(source) => Error::Io { path: path.into(), source },
            error => Error::Damaged { file: path.into(), why: error.to_string() },
        })?;
        let database = Arc::new(RwLock::new(Some(database)));
        let (queue, writes) = mpsc::channel();
        let synced = Arc::new(AtomicU64::new(0));
        let thread = std::thread::Builder::new().name("raft-log".into());
        let writer = Writer { database: database.clone(), synced: synced.clone(), fail };
        thread
            .spawn(move || writer.run(&writes))
            .map_err(|source| Error::Io { path: path.into(), source })?;
        Ok(Self { database, queue, synced })
    }

    pub(super) fn synced(&self) -> u64 {
        self.synced.load(Ordering::Acquire)
    }

    pub(super) fn queue(&self, write: Write) -> io::Result<()> {
        self.queue.send(write).map_err(|_| closed())
    }

    /// Queues a write and waits until it is synced.
    pub(super) async fn sync(&self, write: impl FnOnce(oneshot::Sender<()>) -> Write) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        self.queue(write(done))?;
        wait.await.map_err(|_| closed())
    }

    pub(super) fn fact(&self, key: &str) -> io::Result<Option<Vec<u8>>> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(FACTS)?;
            Ok(table.get(key)?.map(|value| value.value().to_vec()))
        })
    }

    /// The entries from `from` up to, and without, `end`.
    pub(super) fn entries(&self, from: u64, end: u64) -> io::Result<Vec<Vec<u8>>> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(LOG)?;
            table.range(from..end)?.map(|row| Ok(row?.1.value().to_vec())).collect()
        })
    }

    pub(super) fn last(&self) -> io::Result<Option<Vec<u8>>> {
        self.read(|database| {
            let table = database.begin_read()?.open_table(LOG)?;
            Ok(table.last()?.map(|row| row.1.value().to_vec()))
        })
    }

    fn read<T>(&self, read: impl FnOnce(&Database) -> Result<T, redb::Error>) -> io::Result<T> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        read(database.as_ref().ok_or_else(closed)?).map_err(io::Error::other)
    }
}

fn open(create: impl FnOnce(&Builder) -> Result<Database, DatabaseError>) -> Result<Database, redb::Error> {
    // The log is small: looking at every page costs milliseconds, and a flipped bit is found before it counts.
    let mut builder = Database::builder();
    let database = create(builder.set_check_integrity_on_open(true).set_cache_size(CACHE_BYTES))?;
    let transaction = begin(&database)?;
    transaction.open_table(LOG)?;
    transaction.open_table(FACTS)?;
    transaction.commit()?;
    Ok(database)
}

fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    Ok(transaction)
}

fn closed() -> io::Error {
    io::Error::other("the log is closed")
}

struct Writer {
    database: Arc<RwLock<Option<Database>>>,
    synced: Arc<AtomicU64>,
    fail: fn(&redb::Error) -> !,
}

impl Writer {
    fn run(self, writes: &mpsc::Receiver<Write>) {
        let mut hints = BTreeMap::new();
        while let Ok(first) = writes.recv() {
            let mut batch = Vec::new();
            for write in std::iter::once(first).chain(writes.try_iter().take(BATCH_MAX)) {
                match write {
                    Write::Hint { key, value } => drop(hints.insert(key, value)),
                    write => batch.push(write),
                }
            }
            if batch.is_empty() {
                continue;
            }
            if let Err(error) = self.write(&batch, std::mem::take(&mut hints)) {
                (self.fail)(&error);
            }
            for write in batch {
                match write {
                    Write::Append { done, .. } => done.io_completed(Ok(())),
                    Write::Fact { done, .. } | Write::Truncate { done, .. } | Write::Purge { done, .. } => {
                        done.send(()).ok();
                    }
                    Write::Hint { .. } => {}
                    Write::Close { done } => {
                        self.database.write().unwrap_or_else(PoisonError::into_inner).take();
                        done.send(()).ok();
                        return;
                    }
                }
            }
        }
    }

    /// All writes in one transaction.
    fn write(&self, batch: &[Write], hints: BTreeMap<&'static str, Vec<u8>>) -> Result<(), redb::Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().expect("only this thread closes it, and ends with that");
        let mut synced = self.synced.load(Ordering::Relaxed);
        let transaction = begin(database)?;
        {
            let mut log = transaction.open_table(LOG)?;
            let mut facts = transaction.open_table(FACTS)?;
            for (key, value) in hints {
                facts.insert(key, &*value)?;
            }
            for write in batch {
                match write {
                    Write::Append { entries, .. } => {
                        for (index, bytes) in entries {
                            log.insert(index, &**bytes)?;
                            synced = *index;
                        }
                    }
                    Write::Fact { key, value, .. } => drop(facts.insert(*key, &**value)?),
                    Write::Truncate { from, .. } => {
                        log.retain_in::<u64, _>(from.., |_, _| false)?;
                        synced = synced.min(from.saturating_sub(1));
                    }
                    Write::Purge { upto, fact, .. } => {
                        facts.insert(fact::PURGED, &**fact)?;
                        log.retain_in::<u64, _>(..=upto, |_, _| false)?;
                    }
                    Write::Hint { .. } | Write::Close { .. } => {}
                }
            }
        }
        transaction.commit()?;
        self.synced.store(synced, Ordering::Release);
        Ok(())
    }
}

/// After a failed sync nobody knows what the disk holds, and a later sync may report success for pages that are
/// lost. Only a restart, which reads the file again, is honest.
fn end(error: &redb::Error) -> ! {
    tracing::error!(%error, "the log of the Knowledge Base cannot be written; ending");
    eprintln!(
        "error: the log of the Knowledge Base cannot be written: {error}\n\
         Free or replace the disk, then start the lead again; nothing that was acknowledged is lost."
    );
    std::process::exit(74)
}
