//! The files of a commit, read from its objects: nothing is checked out, no link is followed.

use git2::{ObjectType, Odb, Repository};
use qonnect_schema::tree::{Entry, Tree};

use crate::Error;
use crate::commit::find;

/// How much of a repository is read; what is larger is an error, except that a file is marked as too large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub files: usize,
    pub file_bytes: u64,
    pub total_bytes: u64,
    /// Folders within folders.
    pub depth: usize,
}

/// Ample for ten thousand applications.
impl Default for Limits {
    fn default() -> Self {
        Self { files: 200_000, file_bytes: 2 << 20, total_bytes: 512 << 20, depth: 32 }
    }
}

const LINK: i32 = 0o120_000;

/// The files below `folder`, by their paths within it; an absent folder holds none.
pub(crate) fn read(
    repository: &Repository,
    commit: &str,
    folder: &str,
    limits: &Limits,
) -> Result<Tree, Error> {
    let root = find(repository, commit)?.tree()?;
    let folder = folder.trim_matches('/');
    let start = if folder.is_empty() {
        root
    } else {
        match root.get_path(folder.as_ref()) {
            Ok(entry) if entry.kind() == Some(ObjectType::Tree) => repository.find_tree(entry.id())?,
            _ => return Ok(Tree::new()),
        }
    };
    let odb = repository.odb()?;
    let mut reader = Reader { repository, odb, limits, tree: Tree::new(), bytes: 0 };
    reader.read(&start, "", limits.depth)?;
    Ok(reader.tree)
}

struct Reader<'a> {
    repository: &'a Repository,
    odb: Odb<'a>,
    limits: &'a Limits,
    tree: Tree,
    bytes: u64,
}

impl Reader<'_> {
    fn read(&mut self, folder: &git2::Tree<'_>, prefix: &str, depth_left: usize) -> Result<(), Error> {
        for entry in folder {
            let path = format!("{prefix}{}", String::from_utf8_lossy(entry.name_bytes()));
            if entry.kind() == Some(ObjectType::Tree) {
                let deeper = depth_left.checked_sub(1).ok_or_else(|| Error::Limit {
                    what: format!("the depth of {path}"),
                    limit: self.limits.depth as u64,
                })?;
                let folder = self.repository.find_tree(entry.id())?;
                self.read(&folder, &format!("{path}/"), deeper)?;
                continue;
            }
            let file = self.file(&entry)?;
            self.tree.insert(path, file);
            if self.tree.len() > self.limits.files {
                let limit = self.limits.files as u64;
                return Err(Error::Limit { what: "the number of files".into(), limit });
            }
        }
        Ok(())
    }

    fn file(&mut self, entry: &git2::TreeEntry<'_>) -> Result<Entry, Error> {
        if entry.kind() != Some(ObjectType::Blob) {
            return Ok(Entry::Link(entry.id().to_string().into_bytes().into()));
        }
        let (bytes, _) = self.odb.read_header(entry.id())?;
        let bytes = bytes as u64;
        if bytes > self.limits.file_bytes {
            return Ok(Entry::TooLarge(bytes));
        }
        self.bytes += bytes;
        if self.bytes > self.limits.total_bytes {
            let limit = self.limits.total_bytes;
            return Err(Error::Limit { what: "the size of all files in bytes".into(), limit });
        }
        let content = self.odb.read(entry.id())?.data().into();
        Ok(if entry.filemode() == LINK { Entry::Link(content) } else { Entry::File(content) })
    }
}
