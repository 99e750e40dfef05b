//! A folder on disk as a [`Tree`], within limits and without following links.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use qonnect_schema::layout::{APPLICATIONS, CLUSTERS, SIGNALS};
use qonnect_schema::tree::{Entry, Tree};
use qonnect_schema::yaml;

/// More files than this are no repository of documents.
const FILES_MAX: usize = 200_000;
/// Of all files together.
const BYTES_MAX: u64 = 1 << 30;
/// As deep as git's own tools go without complaint.
const DEPTH_MAX: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is not a folder; name the root of a repository")]
    NotAFolder { path: PathBuf },
    #[error("{path} has a name that is not UTF-8; rename it")]
    Name { path: PathBuf },
    #[error("{path} holds {what}; name the root of a repository of documents")]
    TooMuch { path: PathBuf, what: String },
}

/// Reads what QONNECT reads of a repository: the files at its root, `clusters/`, `signals/` and `apps/`.
pub fn tree(root: &Path) -> Result<Tree, Error> {
    let meta = fs::metadata(root).map_err(|source| Error::Read { path: root.into(), source })?;
    if !meta.is_dir() {
        return Err(Error::NotAFolder { path: root.into() });
    }
    let mut reader = Reader { root, tree: Tree::new(), bytes: 0 };
    reader.folder(root, "", 1)?;
    Ok(reader.tree)
}

struct Reader<'a> {
    root: &'a Path,
    tree: Tree,
    bytes: u64,
}

impl Reader<'_> {
    fn folder(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), Error> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Read { path, source }
        };
        if depth > DEPTH_MAX {
            return Err(self.too_much(format!("folders more than {DEPTH_MAX} levels deep")));
        }
        for item in fs::read_dir(folder).map_err(failed(folder))? {
            let item = item.map_err(failed(folder))?;
            let path = item.path();
            let Ok(name) = item.file_name().into_string() else { return Err(Error::Name { path }) };
            let inside = format!("{prefix}{name}");
            let kind = item.file_type().map_err(failed(&path))?;
            if kind.is_dir() {
                if prefix.is_empty() && ![CLUSTERS, SIGNALS, APPLICATIONS].contains(&name.as_str()) {
                    continue;
                }
                self.folder(&path, &format!("{inside}/"), depth + 1)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).map_err(failed(&path))?;
                self.keep(inside, Entry::Link(target.to_string_lossy().as_bytes().into()))?;
            } else if kind.is_file() {
                let entry = file(&path).map_err(failed(&path))?;
                self.keep(inside, entry)?;
            }
        }
        Ok(())
    }

    fn keep(&mut self, path: String, entry: Entry) -> Result<(), Error> {
        self.bytes += entry.bytes().map_or(0, |bytes| bytes.len() as u64);
        self.tree.insert(path, entry);
        if self.tree.len() > FILES_MAX {
            return Err(self.too_much(format!("more than {FILES_MAX} files")));
        }
        if self.bytes > BYTES_MAX {
            return Err(self.too_much(format!("more than {} MiB", BYTES_MAX >> 20)));
        }
        Ok(())
    }

    fn too_much(&self, what: String) -> Error {
        Error::TooMuch { path: self.root.into(), what }
    }
}

/// A file that grows while it is read is cut off by the limit, too.
fn file(path: &Path) -> io::Result<Entry> {
    let limit = yaml::Limits::DEFAULT.bytes as u64;
    let file = fs::File::open(path)?;
    let size = file.metadata()?.len();
    if size > limit {
        return Ok(Entry::TooLarge(size));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() as u64 > limit { Entry::TooLarge(bytes.len() as u64) } else { Entry::file(bytes) })
}
