//! The log as openraft wants it, over [`Disk`].

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::{OptionalSend, RaftLogReader};
use serde::{Serialize, de::DeserializeOwned};

use super::Types;
use super::disk::{Disk, Write, fact};
use crate::consensus::Error;

/// The format of the file; it changes with that of openraft's entries.
const FORMAT: u32 = 1;

/// Synced entries kept in memory, so that applying them reads no disk.
const RECENT_MAX: usize = 128;

/// A handle; clones share one log.
#[derive(Clone)]
pub(super) struct Log {
    disk: Arc<Disk>,
    mirror: Arc<Mutex<Mirror>>,
}

/// What must be readable before it is durable, and what is asked often.
struct Mirror {
    /// Every entry that is not synced yet, and the newest that are.
    recent: BTreeMap<u64, EntryOf<Types>>,
    last: Option<LogIdOf<Types>>,
    purged: Option<LogIdOf<Types>>,
    vote: Option<VoteOf<Types>>,
    committed: Option<LogIdOf<Types>>,
    returns: bool,
}

impl Log {
    pub(super) fn open(path: &Path, node: u64) -> Result<Self, Error> {
        Self::over(Disk::open(path)?, path, node)
    }

    pub(super) fn over(disk: Disk, path: &Path, node: u64) -> Result<Self, Error> {
        let damaged = |why: io::Error| Error::Damaged { file: path.into(), why: why.to_string() };
        let mirror = Mirror::read(&disk).map_err(damaged)?;
        match (read::<u32>(&disk, fact::FORMAT), read::<u64>(&disk, fact::NODE)) {
            (Ok(None), Ok(None)) => {
                for (key, value) in [(fact::FORMAT, u64::from(FORMAT)), (fact::NODE, node)] {
                    disk.queue(Write::Hint { key, value: encode(&value).map_err(damaged)? })
                        .map_err(damaged)?;
                }
            }
            (Ok(Some(FORMAT)), Ok(Some(holds))) if holds == node => {}
            (Ok(Some(FORMAT)), Ok(Some(holds))) => {
                return Err(Error::OtherNode { folder: path.into(), holds, wanted: node });
            }
            (Err(why), _) | (_, Err(why)) => return Err(damaged(why)),
            (format, _) => {
                return Err(damaged(io::Error::other(format!("its format {format:?} is not {FORMAT}"))));
            }
        }
        Ok(Self { disk: Arc::new(disk), mirror: Arc::new(Mutex::new(mirror)) })
    }

    /// Nothing was ever written: neither an entry nor a vote.
    pub(super) fn is_empty(&self) -> bool {
        let mirror = self.mirror();
        mirror.last.is_none() && mirror.vote.is_none()
    }

    /// Whether this lead lost its disk as a voter, and does not vote again yet.
    pub(super) fn returns(&self) -> bool {
        self.mirror().returns
    }

    pub(super) async fn set_returns(&self, returns: bool) -> io::Result<()> {
        let value = encode(&returns)?;
        self.disk.sync(|done| Write::Fact { key: fact::RETURNS, value, done }).await?;
        self.mirror().returns = returns;
        Ok(())
    }

    /// Writes what waits and closes the file.
    pub(super) async fn close(&self) {
        self.disk.sync(|done| Write::Close { done }).await.ok();
    }

    fn mirror(&self) -> MutexGuard<'_, Mirror> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mirror {
    fn read(disk: &Disk) -> io::Result<Self> {
        let purged: Option<LogIdOf<Types>> = read(disk, fact::PURGED)?;
        let newest = disk.last()?.map(|bytes| decode::<EntryOf<Types>>(&bytes)).transpose()?;
        Ok(Self {
            recent: BTreeMap::new(),
            last: newest.map(|entry| entry.log_id).or(purged),
            purged,
            vote: read(disk, fact::VOTE)?,
            committed: read(disk, fact::COMMITTED)?,
            returns: read(disk, fact::RETURNS)?.unwrap_or_default(),
        })
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<Range>(&mut self, range: Range) -> io::Result<Vec<EntryOf<Types>>>
    where
        Range: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last + 1,
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        // First the memory: what is not there was synced before, so the disk has it.
        let recent: Vec<_> = match from < end {
            true => self.mirror().recent.range(from..end).map(|(_, entry)| entry.clone()).collect(),
            false => return Ok(Vec::new()),
        };
        let older = self.disk.entries(from, recent.first().map_or(end, |entry| entry.log_id.index))?;
        let mut entries = older.iter().map(|bytes| decode(bytes)).collect::<io::Result<Vec<_>>>()?;
        entries.extend(recent);
        Ok(entries)
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<Types>>> {
        Ok(self.mirror().vote)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let mirror = self.mirror();
        Ok(LogState { last_purged_log_id: mirror.purged, last_log_id: mirror.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> io::Result<()> {
        let value = encode(vote)?;
        self.disk.sync(|done| Write::Fact { key: fact::VOTE, value, done }).await?;
        self.mirror().vote = Some(*vote);
        Ok(())
    }

    /// Not synced for itself, that would double the time of every proposal: after a crash an older index is
    /// read, and openraft applies the rest as soon as there is a leader.
    async fn save_committed(&mut self, committed: Option<LogIdOf<Types>>) -> io::Result<()> {
        self.mirror().committed = committed;
        self.disk.queue(Write::Hint { key: fact::COMMITTED, value: encode(&committed)? })
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogIdOf<Types>>> {
        Ok(self.mirror().committed)
    }

    async fn append<Entries>(&mut self, entries: Entries, done: IOFlushed<Types>) -> io::Result<()>
    where
        Entries: IntoIterator<Item = EntryOf<Types>> + OptionalSend,
        Entries::IntoIter: OptionalSend,
    {
        let entries: Vec<EntryOf<Types>> = entries.into_iter().collect();
        let bytes = entries.iter().map(|entry| Ok((entry.log_id.index, encode(entry)?)));
        let bytes = bytes.collect::<io::Result<Vec<_>>>()?;
        {
            let mut mirror = self.mirror();
            for entry in entries {
                mirror.last = Some(entry.log_id);
                mirror.recent.insert(entry.log_id.index, entry);
            }
            let synced = self.disk.synced();
            while mirror.recent.len() > RECENT_MAX
                && let Some(oldest) = mirror.recent.first_entry()
                && *oldest.key() <= synced
            {
                oldest.remove();
            }
        }
        self.disk.queue(Write::Append { entries: bytes, done })
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        {
            let mut mirror = self.mirror();
            mirror.recent.split_off(&from);
            mirror.last = mirror.last.min(last).max(mirror.purged);
        }
        self.disk.sync(|done| Write::Truncate { from, done }).await
    }

    async fn purge(&mut self, upto: LogIdOf<Types>) -> io::Result<()> {
        {
            let mut mirror = self.mirror();
            mirror.purged = mirror.purged.max(Some(upto));
            mirror.last = mirror.last.max(Some(upto));
            mirror.recent = mirror.recent.split_off(&(upto.index + 1));
        }
        let fact = encode(&upto)?;
        self.disk.sync(|done| Write::Purge { upto: upto.index, fact, done }).await
    }
}

fn encode(value: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(io::Error::other)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn read<T: DeserializeOwned>(disk: &Disk, key: &str) -> io::Result<Option<T>> {
    disk.fact(key)?.map(|bytes| decode(&bytes)).transpose()
}
