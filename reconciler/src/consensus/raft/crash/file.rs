//! A file in memory that remembers what was synced, and fails when it is told to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use redb::StorageBackend;

/// What a disk writes at once, or not at all.
const SECTOR: usize = 512;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Write(u64, Vec<u8>),
    Resize(u64),
    Sync,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The disk is full: nothing can be written or lengthened.
    NoSpace,
    /// A sync fails, and what it should have kept may be gone.
    SyncFailed,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Every step since the file was given to the database.
    journal: Vec<Step>,
    /// From this step on.
    fails: Option<(usize, Failure)>,
    /// It has failed: whatever follows fails too.
    failed: bool,
}

/// Clones are the same file.
#[derive(Debug, Clone, Default)]
pub(super) struct File(Arc<Mutex<State>>);

impl File {
    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { bytes, ..State::default() })))
    }

    pub(super) fn failing(from: usize, failure: Failure) -> Self {
        Self(Arc::new(Mutex::new(State { fails: Some((from, failure)), ..State::default() })))
    }

    pub(super) fn steps(&self) -> usize {
        self.state().journal.len()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state().failed
    }

    pub(super) fn journal(&self) -> Vec<Step> {
        self.state().journal.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, step: Step) -> io::Result<()> {
        let mut state = self.state();
        let failure =
            state.fails.filter(|(from, _)| state.journal.len() >= *from).map(|(_, failure)| failure);
        let fails = match (failure, &step) {
            (Some(Failure::SyncFailed), Step::Sync) => true,
            (Some(Failure::NoSpace), Step::Write(..) | Step::Resize(_)) => true,
            _ => state.failed,
        };
        if fails {
            state.failed = true;
            let code = if failure == Some(Failure::NoSpace) { ENOSPC } else { EIO };
            return Err(io::Error::from_raw_os_error(code));
        }
        act(&mut state.bytes, &step);
        state.journal.push(step);
        Ok(())
    }
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = state.bytes.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step(Step::Resize(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step(Step::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.step(Step::Write(offset, data.to_vec()))
    }
}

fn act(bytes: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write(offset, data) => {
            let from = usize::try_from(*offset).expect("files here are small");
            if bytes.len() < from + data.len() {
                bytes.resize(from + data.len(), 0);
            }
            bytes[from..from + data.len()].copy_from_slice(data);
        }
        Step::Resize(len) => bytes.resize(usize::try_from(*len).expect("files here are small"), 0),
        Step::Sync => {}
    }
}

/// What becomes of steps that no sync has followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsynced {
    Dropped,
    Kept,
    /// Each is kept or not, in any order that a disk may choose.
    Some,
    /// Of each write, each sector is kept or not.
    Torn,
}

/// What the disk holds if the power fails after the first `cut` steps.
pub(super) fn image(journal: &[Step], cut: usize, unsynced: Unsynced, rng: &mut Rng) -> Vec<u8> {
    let done = &journal[..cut];
    let synced = done.iter().rposition(|step| matches!(step, Step::Sync)).map_or(0, |at| at + 1);
    let mut bytes = Vec::new();
    for step in &done[..synced] {
        act(&mut bytes, step);
    }
    for step in &done[synced..] {
        match (unsynced, step) {
            (Unsynced::Dropped, _) => {}
            (Unsynced::Kept, _) => act(&mut bytes, step),
            (Unsynced::Torn, Step::Write(offset, data)) => {
                for (number, sector) in data.chunks(SECTOR).enumerate().filter(|_| rng.bool()) {
                    act(&mut bytes, &Step::Write(offset + (number * SECTOR) as u64, sector.to_vec()));
                }
            }
            (Unsynced::Some | Unsynced::Torn, _) if rng.bool() => act(&mut bytes, step),
            _ => {}
        }
    }
    bytes
}
