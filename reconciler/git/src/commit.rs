//! Commits: read as values, and written from their inputs alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use git2::{ObjectType, Oid, Repository, Signature, Time, Tree};

use crate::Error;
use crate::signature::Key;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub id: String,
    pub parents: Vec<String>,
    /// Equal for commits with the same files, and only for them.
    pub tree: String,
    /// When it was committed, in seconds since 1970.
    pub time_secs: i64,
    /// `Name <address>`.
    pub author: String,
    /// The same of the one who put it onto the branch.
    pub committer: String,
    /// The first line of the message.
    pub subject: String,
    pub message: String,
}

/// A commit to be written.
///
/// *Guarantees:* the same draft gives the same id, on every machine that signs with the same key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitDraft {
    /// The parent; without one it begins a history.
    pub base: Option<String>,
    /// The commit whose files it keeps where `files` does not say otherwise; absent: the parent.
    pub like: Option<String>,
    /// Files by path; `None` deletes a file or a whole folder, and empty folders vanish.
    pub files: BTreeMap<String, Option<Arc<[u8]>>>,
    pub message: String,
    pub time_secs: i64,
}

/// Author and committer of what is written here.
pub const OURS: &str = "QONNECT <qonnect@localhost>";

const NAME: &str = "QONNECT";
const ADDRESS: &str = "qonnect@localhost";
const FILE: i32 = 0o100_644;
const FOLDER: i32 = 0o040_000;

pub(crate) fn read(repository: &Repository, id: Oid) -> Result<Commit, Error> {
    let commit = repository.find_commit(id).map_err(|_| Error::NoCommit { id: id.to_string() })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let message = text(commit.message_bytes());
    let person = |of: &Signature<'_>| format!("{} <{}>", text(of.name_bytes()), text(of.email_bytes()));
    Ok(Commit {
        id: id.to_string(),
        parents: commit.parent_ids().map(|parent| parent.to_string()).collect(),
        tree: commit.tree_id().to_string(),
        time_secs: commit.time().seconds(),
        author: person(&commit.author()),
        committer: person(&commit.committer()),
        subject: message.lines().next().unwrap_or_default().to_owned(),
        message,
    })
}

/// The bytes of a commit, signature and all.
pub(crate) fn bytes(repository: &Repository, id: &str) -> Result<Vec<u8>, Error> {
    let id = find(repository, id)?.id();
    Ok(repository.odb()?.read(id)?.data().to_vec())
}

pub(crate) fn write(repository: &Repository, draft: &CommitDraft, key: Option<&Key>) -> Result<Oid, Error> {
    let base = draft.base.as_deref().map(|id| find(repository, id)).transpose()?;
    let like = draft.like.as_deref().map(|id| find(repository, id)).transpose()?;
    let before = like.as_ref().or(base.as_ref()).map(git2::Commit::tree).transpose()?;
    let mut root = Change::default();
    for (path, bytes) in &draft.files {
        root.at(path)?.file = Some(bytes.as_deref());
    }
    let tree = match root.write(repository, before.as_ref())? {
        Some(tree) => tree,
        None => repository.treebuilder(None)?.write()?,
    };
    let (tree, message) = (repository.find_tree(tree)?, &draft.message);
    commit(repository, &tree, base.as_ref(), message, draft.time_secs, key)
}

fn commit(
    repository: &Repository,
    tree: &Tree<'_>,
    parent: Option<&git2::Commit<'_>>,
    message: &str,
    time_secs: i64,
    key: Option<&Key>,
) -> Result<Oid, Error> {
    let author = Signature::new(NAME, ADDRESS, &Time::new(time_secs, 0))?;
    let parents: Vec<_> = parent.into_iter().collect();
    let Some(key) = key else {
        return Ok(repository.commit(None, &author, &author, message, tree, &parents)?);
    };
    let unsigned = repository.commit_create_buffer(&author, &author, message, tree, &parents)?;
    let text = std::str::from_utf8(&unsigned).expect("our messages and names are UTF-8");
    Ok(repository.commit_signed(text, &key.sign(&unsigned)?, None)?)
}

pub(crate) fn find<'a>(repository: &'a Repository, id: &str) -> Result<git2::Commit<'a>, Error> {
    Oid::from_str(id)
        .and_then(|id| repository.find_commit(id))
        .map_err(|_| Error::NoCommit { id: id.to_owned() })
}

/// What changes at one path and below it.
#[derive(Default)]
struct Change<'a> {
    file: Option<Option<&'a [u8]>>,
    below: BTreeMap<&'a str, Change<'a>>,
}

impl<'a> Change<'a> {
    fn at(&mut self, path: &'a str) -> Result<&mut Self, Error> {
        let sound = |name: &str| !matches!(name, "" | "." | "..") && !name.eq_ignore_ascii_case(".git");
        if !path.split('/').all(sound) || path.contains('\0') {
            return Err(Error::Path { path: path.to_owned() });
        }
        Ok(path.split('/').fold(self, |change, name| change.below.entry(name).or_default()))
    }

    fn keeps_something(&self) -> bool {
        matches!(self.file, Some(Some(_))) || self.below.values().any(Self::keeps_something)
    }

    /// Writes the folder as it is after the change; `None` if nothing is left in it.
    fn write(&self, repository: &Repository, before: Option<&Tree<'_>>) -> Result<Option<Oid>, Error> {
        let mut folder = repository.treebuilder(before)?;
        for (name, change) in &self.below {
            let old = before.and_then(|before| before.get_name(name));
            match change.file {
                Some(Some(_)) if change.below.values().any(Self::keeps_something) => {
                    return Err(Error::Path { path: format!("{name}, as a file and as a folder") });
                }
                Some(Some(bytes)) => {
                    folder.insert(name, repository.blob(bytes)?, FILE)?;
                    continue;
                }
                Some(None) | None => {}
            }
            let kept = match (&old, change.file) {
                (Some(old), None) if old.kind() == Some(ObjectType::Tree) => {
                    Some(repository.find_tree(old.id())?)
                }
                _ => None,
            };
            match change.write(repository, kept.as_ref())? {
                Some(tree) => drop(folder.insert(name, tree, FOLDER)?),
                // A change that only deletes below something that is no folder leaves it alone.
                None if change.file.is_none() && kept.is_none() => {}
                None if old.is_some() => folder.remove(name)?,
                None => {}
            }
        }
        Ok(if folder.is_empty() { None } else { Some(folder.write()?) })
    }
}
