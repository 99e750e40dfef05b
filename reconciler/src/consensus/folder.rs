//! The folder of the Knowledge Base: one process at a time, and files that are whole or absent.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Error;

/// Holds the lock until it is dropped.
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    pub(super) fn open(data: &Path) -> Result<Self, Error> {
        let path = data.join("knowledge");
        let failed = |source| Error::Io { path: path.clone(), source };
        fs::create_dir_all(&path).map_err(failed)?;
        let lock = File::options().create(true).append(true).open(path.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, lock }),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(path)),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// From here on another process may use it.
    pub(super) fn release(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the folder of the Knowledge Base stays locked until this process ends");
        }
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("log.redb")
    }

    pub(super) fn snapshot(&self) -> PathBuf {
        self.path.join("snapshot.json")
    }
}

/// Replaces a file so that a crash leaves the old one or the new one.
pub(super) fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    let mut file = File::create(&draft)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(path.parent().expect("a file lies in a folder"))?.sync_all()
}
