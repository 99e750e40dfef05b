//! What outlives a restart: whole copies of the last two releases, and the mark below which nothing is accepted.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use qonnect_schema::api::ReleaseFolder;
use qonnect_schema::documents::release::Mark;
use serde::{Deserialize, Serialize};

#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot be {what}; is the disk full or read-only?")]
pub(crate) struct Error {
    path: PathBuf,
    what: &'static str,
    source: io::Error,
}

/// The error with what the system says.
pub(crate) fn text(error: &Error) -> String {
    format!("{error} ({})", error.source)
}

#[derive(Debug, Clone)]
pub(crate) struct Disk {
    folder: PathBuf,
}

impl Disk {
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let error = |source| Error { path: folder.into(), what: "made", source };
        fs::create_dir_all(folder).map_err(error)?;
        Ok(Self { folder: folder.into() })
    }

    pub(crate) fn clone_folder(&self) -> PathBuf {
        self.folder.join("repository.git")
    }

    fn copy_path(&self) -> PathBuf {
        self.folder.join("release.json")
    }

    fn copy_before_path(&self) -> PathBuf {
        self.folder.join("release-before.json")
    }

    fn mark_path(&self) -> PathBuf {
        self.folder.join("mark.json")
    }

    /// The mark of the last release; the lowest if there is none.
    pub(crate) fn mark(&self) -> Result<Mark, Error> {
        Ok(read(&self.mark_path())?.unwrap_or_default())
    }

    /// The last release; `None` if there is none, or if it is damaged. Its digest is checked by whoever uses it.
    pub(crate) fn copy(&self) -> Result<Option<ReleaseFolder>, Error> {
        read(&self.copy_path())
    }

    /// The release before that one; `None` also where the disk cannot keep two.
    pub(crate) fn copy_before(&self) -> Result<Option<ReleaseFolder>, Error> {
        read(&self.copy_before_path())
    }

    /// Before a release is carried out: from now on nothing older is accepted.
    pub(crate) fn save_mark(&self, mark: &Mark) -> Result<(), Error> {
        self.write(&self.mark_path(), mark)
    }

    /// The copy of before stays beside the new one, where the file system knows hard links.
    pub(crate) fn save_copy(&self, copy: &ReleaseFolder) -> Result<(), Error> {
        fs::remove_file(self.copy_before_path()).ok();
        fs::hard_link(self.copy_path(), self.copy_before_path()).ok();
        self.write(&self.copy_path(), copy)
    }

    /// All or nothing, also across a loss of power.
    fn write(&self, path: &Path, value: &impl Serialize) -> Result<(), Error> {
        let temporary = path.with_extension("new");
        let replace = || {
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec(value)?)?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            File::open(&self.folder)?.sync_all()
        };
        replace().map_err(|source| Error { path: path.into(), what: "written", source })
    }
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error { path: path.into(), what: "read", source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_reads_back_and_a_damaged_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::open(folder.path()).unwrap();
        assert_eq!(disk.copy().unwrap(), None);
        assert_eq!(disk.mark().unwrap(), Mark::default());
        let files = [("release.yaml".to_owned(), "text".to_owned())].into();
        let kept = ReleaseFolder { commit: "abc".into(), files };
        let mark = Mark { generation: 4, ..Mark::default() };
        disk.save_mark(&mark).unwrap();
        disk.save_copy(&kept).unwrap();
        assert_eq!(disk.copy().unwrap(), Some(kept.clone()));
        assert_eq!(disk.copy_before().unwrap(), None);
        assert_eq!(disk.mark().unwrap(), mark);
        let newer = ReleaseFolder { commit: "def".into(), ..kept.clone() };
        disk.save_copy(&newer).unwrap();
        assert_eq!((disk.copy().unwrap(), disk.copy_before().unwrap()), (Some(newer), Some(kept)));
        fs::write(disk.copy_path(), b"{\"commit\":").unwrap();
        assert_eq!(disk.copy().unwrap(), None);
        assert_eq!(disk.mark().unwrap(), mark, "the mark holds without the copy");
    }
}
