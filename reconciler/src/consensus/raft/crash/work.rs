//! What a lead does to its log, and what the log must then hold.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use fastrand::Rng;
use openraft::RaftLogReader;
use openraft::storage::{IOFlushed, RaftLogStorage, RaftLogStorageExt};
use openraft::type_config::alias::{EntryOf, LogIdOf, VoteOf};

use super::super::disk::Disk;
use super::super::log::Log;
use super::super::tests::entry;
use super::Types;
use super::file::File;
use crate::consensus::Error;

/// Everything that a restart reads and that must not lag.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Content {
    vote: Option<VoteOf<Types>>,
    purged: Option<LogIdOf<Types>>,
    last: Option<LogIdOf<Types>>,
    entries: BTreeMap<u64, EntryOf<Types>>,
}

impl Content {
    pub(super) async fn read(log: &mut Log) -> io::Result<Self> {
        let state = log.get_log_state().await?;
        let entries = log.try_get_log_entries(..).await?;
        Ok(Self {
            vote: log.read_vote().await?,
            purged: state.last_purged_log_id,
            last: state.last_log_id,
            entries: entries.into_iter().map(|entry| (entry.log_id.index, entry)).collect(),
        })
    }

    fn next(&self) -> u64 {
        self.last.map_or(1, |last| last.index + 1)
    }
}

/// One write, as it was asked for and as it was answered.
pub(super) struct Moment {
    /// Steps of the file before it was asked for.
    pub(super) asked: usize,
    /// Steps of the file when it was acknowledged; absent if it never was.
    pub(super) acknowledged: Option<usize>,
    pub(super) content: Content,
}

pub(super) fn open(file: &File) -> Result<Log, Error> {
    let path = Path::new("log.redb");
    let disk = Disk::open_with(path, |builder| builder.create_with_backend(file.clone()), give_up)?;
    Log::over(disk, path, 1)
}

/// Where a lead ends its process, only the writer ends here: without a word, as tests fail it on purpose.
fn give_up(error: &redb::Error) -> ! {
    std::panic::resume_unwind(Box::new(error.to_string()))
}

/// Carries out writes until one fails; the first moment is the empty log.
pub(super) async fn work(log: &mut Log, file: &File, writes: usize, rng: &mut Rng) -> Vec<Moment> {
    let mut moments =
        vec![Moment { asked: 0, acknowledged: Some(file.steps()), content: Content::default() }];
    let mut content = Content::default();
    for term in 1..=writes as u64 {
        let asked = file.steps();
        let done = write(log, &mut content, term, rng).await;
        let acknowledged = done.is_ok().then(|| file.steps());
        moments.push(Moment { asked, acknowledged, content: content.clone() });
        if done.is_err() {
            break;
        }
    }
    moments
}

async fn write(log: &mut Log, content: &mut Content, term: u64, rng: &mut Rng) -> io::Result<()> {
    let kept = content.entries.len() as u64;
    match rng.u32(0..10) {
        0 | 1 => {
            let vote = VoteOf::<Types>::new(term, rng.u64(1..4));
            content.vote = Some(vote);
            log.save_vote(&vote).await
        }
        2 if kept > 2 => {
            let last = content.entries.values().nth(rng.usize(1..content.entries.len() - 1));
            let last = last.map(|entry| entry.log_id);
            content.entries.retain(|index, _| Some(*index) <= last.map(|last| last.index));
            content.last = last;
            log.truncate_after(last).await
        }
        3 if kept > 4 => {
            let upto = content.entries.values().nth(rng.usize(..content.entries.len() / 2));
            let upto = upto.expect("the number is below the length").log_id;
            content.entries.retain(|index, _| *index > upto.index);
            content.purged = Some(upto);
            log.save_committed(Some(upto)).await?;
            log.purge(upto).await
        }
        _ => {
            // What is asked for together is often written together.
            let mut number = || rng.u64(1..6);
            let (waiting, awaited) = (number(), number());
            for _ in 1..waiting {
                log.append([add(content)], IOFlushed::noop()).await?;
            }
            let entries: Vec<_> = (0..awaited).map(|_| add(content)).collect();
            log.blocking_append(entries).await.map_err(io::Error::other)
        }
    }
}

fn add(content: &mut Content) -> EntryOf<Types> {
    let entry = entry(content.next());
    content.last = Some(entry.log_id);
    content.entries.insert(entry.log_id.index, entry.clone());
    entry
}

impl Content {
    /// Whether it holds all of `before`, and of `after` only some of the entries that were added.
    pub(super) fn is_between(&self, before: &Self, after: &Self) -> bool {
        let added = |content: &Self| (content.vote, content.purged);
        let alike = added(before) == added(self) && added(self) == added(after);
        let prefix = self.entries.iter().all(|(index, entry)| after.entries.get(index) == Some(entry));
        let all = before.entries.iter().all(|(index, entry)| self.entries.get(index) == Some(entry));
        let last = self.entries.last_key_value().map(|(_, entry)| entry.log_id).or(self.purged);
        alike && prefix && all && self.last == last && self.entries.len() <= after.entries.len()
    }
}
