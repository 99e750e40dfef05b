//! A bare clone of one remote on this disk, and what is done with it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{Oid, Repository};
use qonnect_schema::tree::Tree;
use tokio_util::sync::CancellationToken;

use crate::commit::{self, Commit, CommitDraft};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::link::{Link, Service};
use crate::publish::{self, Push, Update};
use crate::remote::Remote;
use crate::signature::{self, Distrust, Key, Signer, Trust};
use crate::tree::{self, Limits};
use crate::{fetch, local, store};

/// How much history comes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Full,
    /// The tip alone. A repository on the same disk gives everything all the same.
    Shallow,
}

/// The calls block: asynchronous code makes them on threads that may.
pub struct Mirror {
    path: PathBuf,
    url: String,
    repository: Repository,
    source: Source,
    /// Something could not be read: the next fetch begins with an empty clone.
    damaged: Cell<bool>,
    end: CancellationToken,
    key: Option<Key>,
}

enum Source {
    Local(PathBuf),
    Network(Link),
}

impl Mirror {
    /// Opens the clone at `path`, which is made when it is absent, damaged, or of another remote.
    pub fn open(path: &Path, remote: Remote) -> Result<Self, Error> {
        let source = match Link::new(remote.clone())? {
            Ok(link) => Source::Network(link),
            Err(local) => Source::Local(local),
        };
        let repository = store::open(path, &remote.url)?;
        let (path, damaged, end) = (path.to_owned(), Cell::new(false), CancellationToken::new());
        Ok(Self { path, url: remote.url, repository, source, damaged, end, key: None })
    }

    /// Signs every commit that is written from now on.
    pub fn sign_with(&mut self, key: Key) {
        self.key = Some(key);
    }

    /// Whatever follows ends when this is cancelled, a remote that hangs or not.
    pub fn end_with(&mut self, end: CancellationToken) {
        self.end = end;
    }

    /// Brings the tip of a branch here and returns it; `None` says that the remote has no such branch.
    pub fn fetch(&mut self, branch: &str, depth: Depth, allowed: Duration) -> Result<Option<String>, Error> {
        let deadline = &Deadline::after(allowed, self.end.clone());
        let reference = reference(branch)?;
        if self.damaged.get() || store::outgrown(&self.path) {
            self.renew()?;
        }
        let tip = match self.fetch_once(&reference, depth, deadline) {
            Err(Error::Clone(error)) => {
                tracing::warn!(path = %self.path.display(), %error, "making a damaged clone anew");
                self.renew()?;
                self.fetch_once(&reference, depth, deadline)?
            }
            result => result?,
        };
        Ok(tip.map(|tip| tip.to_string()))
    }

    /// As `fetch`, for one who was told where the branch stands: it costs one exchange, or none.
    ///
    /// If the remote no longer gives that commit, this is `fetch`. The returned tip says which came.
    pub fn fetch_commit(
        &mut self,
        branch: &str,
        commit: &str,
        depth: Depth,
        allowed: Duration,
    ) -> Result<Option<String>, Error> {
        let deadline = &Deadline::after(allowed, self.end.clone());
        let reference = reference(branch)?;
        let usable = !self.damaged.get() && !store::outgrown(&self.path);
        if let (true, Ok(want)) = (usable, Oid::from_str(commit)) {
            match self.bring(want, depth, deadline) {
                Ok(true) => {
                    self.point(&reference, Some(want))?;
                    return Ok(Some(commit.to_owned()));
                }
                // The server gives only what its branches show, or the clone is damaged.
                Ok(false) | Err(Error::Remote { .. } | Error::Protocol { .. } | Error::Clone(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.fetch(branch, depth, deadline.left()?)
    }

    pub fn commit(&self, id: &str) -> Result<Commit, Error> {
        let id = Oid::from_str(id).map_err(|_| Error::NoCommit { id: id.to_owned() })?;
        commit::read(&self.repository, id)
    }

    /// Who signed a commit, or why it is not trusted.
    pub fn signer(&self, commit: &str, trust: &Trust) -> Result<Result<Signer, Distrust>, Error> {
        Ok(signature::verify(&commit::bytes(&self.repository, commit)?, trust))
    }

    /// Whether `ancestor` is in the history of `commit`, or is that commit.
    pub fn descends(&self, commit: &str, ancestor: &str) -> Result<bool, Error> {
        let commit = commit::find(&self.repository, commit)?.id();
        let Ok(ancestor) = commit::find(&self.repository, ancestor) else { return Ok(false) };
        Ok(commit == ancestor.id() || self.repository.graph_descendant_of(commit, ancestor.id())?)
    }

    /// The files below `folder`, by their paths within it; an empty folder means all.
    pub fn tree(&self, commit: &str, folder: &str, limits: &Limits) -> Result<Tree, Error> {
        self.noting_damage(tree::read(&self.repository, commit, folder, limits))
    }

    /// Writes a commit here; nobody else sees it before it is published.
    pub fn write_commit(&self, draft: &CommitDraft) -> Result<String, Error> {
        self.noting_damage(commit::write(&self.repository, draft, self.key.as_ref())).map(|id| id.to_string())
    }

    /// Moves a branch of the remote from `expected` (`None`: it must not exist) to `commit`, or not at all.
    ///
    /// *Guarantees:* an `Err` means that the remote has not acted.
    pub fn publish(
        &mut self,
        branch: &str,
        commit: &str,
        expected: Option<&str>,
        allowed: Duration,
    ) -> Result<Push, Error> {
        if let Some(base) = expected
            && !self.descends(commit, base)?
        {
            return Err(Error::NotDescendant { commit: commit.to_owned(), base: base.to_owned() });
        }
        self.swap(branch, Some(commit), expected, allowed)
    }

    /// Moves a branch of the remote from `expected` to `commit`, which need not descend from it, or removes it; or
    /// changes nothing.
    ///
    /// *Guarantees:* an `Err` means that the remote has not acted.
    pub fn swap(
        &mut self,
        branch: &str,
        commit: Option<&str>,
        expected: Option<&str>,
        allowed: Duration,
    ) -> Result<Push, Error> {
        let deadline = &Deadline::after(allowed, self.end.clone());
        let reference = reference(branch)?;
        let find = |id: &str| Ok::<_, Error>(commit::find(&self.repository, id)?.id());
        let (commit, expected) = (commit.map(find).transpose()?, expected.map(find).transpose()?);
        let update = Update { reference: &reference, commit, expected };
        let push = match &mut self.source {
            Source::Local(path) => local::publish(&self.repository, path, &update)?,
            Source::Network(link) => publish::publish(&self.repository, link, &update, deadline)?,
        };
        if push == Push::Published {
            self.point(&reference, commit)?;
        }
        Ok(push)
    }

    fn fetch_once(
        &mut self,
        reference: &str,
        depth: Depth,
        deadline: &Deadline,
    ) -> Result<Option<Oid>, Error> {
        let tip = match &mut self.source {
            Source::Local(path) => local::fetch(&self.repository, path, reference)?,
            Source::Network(link) => link.ask(Service::UploadPack, deadline)?.tip(reference),
        };
        if let Some(tip) = tip {
            self.bring(tip, depth, deadline)?;
        }
        if let Source::Network(link) = &mut self.source {
            link.hang_up();
        }
        self.point(reference, tip)?;
        Ok(tip)
    }

    /// Gets a commit over the network unless it is here; false if there is no network to get it from.
    fn bring(&mut self, want: Oid, depth: Depth, deadline: &Deadline) -> Result<bool, Error> {
        let before = store::boundary(&self.path);
        let deep_enough = depth == Depth::Shallow || before.is_empty();
        if deep_enough && self.repository.find_commit(want).is_ok() {
            return Ok(true);
        }
        let Source::Network(link) = &mut self.source else { return Ok(false) };
        let mut boundary = before.clone();
        fetch::fetch(&self.repository, link, want, depth, &mut boundary, deadline)?;
        let tips = self.tips()?;
        boundary.retain(|id| depth == Depth::Full || *id == want || tips.contains(id));
        if boundary != before {
            store::set_boundary(&self.path, &boundary)?;
            // libgit2 reads the boundary when it opens a repository.
            self.repository = Repository::open_bare(&self.path)?;
        }
        self.repository.find_commit(want)?;
        Ok(true)
    }

    fn tips(&self) -> Result<BTreeSet<Oid>, Error> {
        let mut tips = BTreeSet::new();
        for reference in self.repository.references_glob("refs/heads/*")? {
            tips.extend(reference?.target());
        }
        Ok(tips)
    }

    /// Records where a branch of the remote stands.
    fn point(&self, reference: &str, tip: Option<Oid>) -> Result<(), Error> {
        match (self.repository.find_reference(reference), tip) {
            (Ok(old), Some(tip)) if old.target() == Some(tip) => {}
            (_, Some(tip)) => drop(self.repository.reference(reference, tip, true, "fetch")?),
            (Ok(mut old), None) => old.delete()?,
            (Err(_), None) => {}
        }
        Ok(())
    }

    fn renew(&mut self) -> Result<(), Error> {
        self.repository = store::renew(&self.path, &self.url)?;
        self.damaged.set(false);
        Ok(())
    }

    fn noting_damage<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if matches!(result, Err(Error::Clone(_))) {
            self.damaged.set(true);
        }
        result
    }
}

fn reference(branch: &str) -> Result<String, Error> {
    let name = format!("refs/heads/{branch}");
    if branch.starts_with('-') || !git2::Reference::is_valid_name(&name) {
        return Err(Error::Branch { name: branch.to_owned() });
    }
    Ok(name)
}
