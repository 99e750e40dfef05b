//! The folder of a clone: it is a cache, so whatever is wrong with it, it is made anew.

use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use git2::{Oid, Repository, RepositoryInitOptions};

use crate::Error;

/// Marks a folder as ours to empty, and says of which remote it is a clone.
const MARK: &str = "qonnect-mirror";
/// libgit2 never collects garbage. More packs make each look-up slower, and fetching anew is cheap.
const PACKS_MAX: usize = 256;
const PACK_BYTES_MAX: u64 = 2 << 30;
/// One folder of 256 is counted, as `git gc --auto` does: some 50,000 loose objects in all.
const LOOSE_PER_FOLDER_MAX: usize = 200;

pub(crate) fn open(path: &Path, url: &str) -> Result<Repository, Error> {
    let disk = |source| Error::Disk { path: path.to_owned(), source };
    match fs::read_to_string(path.join(MARK)) {
        Ok(mark) if mark == url => match Repository::open_bare(path) {
            Ok(repository) => Ok(repository),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "making a damaged clone anew");
                renew(path, url)
            }
        },
        Ok(_) => renew(path, url),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path).map_err(disk)?;
            if fs::read_dir(path).map_err(disk)?.next().is_some() {
                return Err(Error::Occupied { path: path.to_owned() });
            }
            create(path, url)
        }
        Err(error) => Err(disk(error)),
    }
}

/// Empties the folder, which may be a mount point, and begins again.
pub(crate) fn renew(path: &Path, url: &str) -> Result<Repository, Error> {
    empty(path).map_err(|source| Error::Disk { path: path.to_owned(), source })?;
    create(path, url)
}

fn empty(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // The mark goes last, with the next one written over it: a crash in between leaves the folder ours.
        if entry.file_name() == MARK {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn create(path: &Path, url: &str) -> Result<Repository, Error> {
    fs::write(path.join(MARK), url).map_err(|source| Error::Disk { path: path.to_owned(), source })?;
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false);
    Ok(Repository::init_opts(path, &options)?)
}

/// Whether the clone has grown past its bounds.
pub(crate) fn outgrown(path: &Path) -> bool {
    let files = |folder: &str| fs::read_dir(path.join(folder)).into_iter().flatten().flatten();
    let bytes =
        files("objects/pack").filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum::<u64>();
    // Each pack has an index beside it.
    files("objects/pack").count() > 2 * PACKS_MAX
        || bytes > PACK_BYTES_MAX
        || files("objects/17").count() > LOOSE_PER_FOLDER_MAX
}

/// The commits whose parents the clone leaves out.
pub(crate) fn boundary(path: &Path) -> BTreeSet<Oid> {
    let text = fs::read_to_string(path.join("shallow")).unwrap_or_default();
    text.lines().filter_map(|line| Oid::from_str(line).ok()).collect()
}

pub(crate) fn set_boundary(path: &Path, boundary: &BTreeSet<Oid>) -> Result<(), Error> {
    let file = path.join("shallow");
    let written = if boundary.is_empty() {
        fs::remove_file(&file).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
    } else {
        let text: String = boundary.iter().map(|id| format!("{id}\n")).collect();
        let beside = path.join("shallow.new");
        fs::write(&beside, text).and_then(|()| fs::rename(&beside, &file))
    };
    written.map_err(|source| Error::Disk { path: path.to_owned(), source })
}
