//! A person's own checkout: what its files were where its branch left another one.

use std::path::Path;

use git2::{Commit, ErrorCode, Repository};
use qonnect_schema::tree::Tree;

use crate::error::Error;
use crate::tree::{self, Limits};

/// Where a branch began.
#[derive(Debug, Clone)]
pub struct Base {
    pub commit: String,
    /// The files below the folder that was asked for.
    pub tree: Tree,
}

/// The files of `folder` at the newest commit that is in the history of both `HEAD` and `revision`, as
/// `git diff revision...` counts. A branch that is not here by its own name is that of `origin`.
pub fn base(folder: &Path, revision: &str) -> Result<Base, Error> {
    let unusable = |error: git2::Error| Error::Checkout { path: folder.into(), why: error.message().into() };
    let repository = Repository::discover(folder).map_err(unusable)?;
    let absent = || Error::NoRevision { revision: revision.into() };
    let head = repository.head().and_then(|head| head.peel_to_commit()).map_err(unusable)?;
    let other = match find(&repository, revision)? {
        Some(other) => other,
        None => find(&repository, &format!("origin/{revision}"))?.ok_or_else(absent)?,
    };
    let base = match repository.merge_base(head.id(), other.id()) {
        Ok(base) => base,
        Err(error) if error.code() == ErrorCode::NotFound => return Err(absent()),
        Err(error) => return Err(unusable(error)),
    };
    let inside = inside(&repository, folder)?;
    let tree = tree::read(&repository, &base.to_string(), &inside, &Limits::default())?;
    Ok(Base { commit: base.to_string(), tree })
}

fn find<'a>(repository: &'a Repository, revision: &str) -> Result<Option<Commit<'a>>, Error> {
    match repository.revparse_single(revision).and_then(|object| object.peel_to_commit()) {
        Ok(commit) => Ok(Some(commit)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(_) => Err(Error::NoRevision { revision: revision.into() }),
    }
}

/// The path of a folder within the checkout.
fn inside(repository: &Repository, folder: &Path) -> Result<String, Error> {
    let unusable = |why: &str| Error::Checkout { path: folder.into(), why: why.into() };
    let root = repository.workdir().ok_or_else(|| unusable("it is a bare repository"))?;
    let (root, folder) = (root.canonicalize(), folder.canonicalize());
    let (Ok(root), Ok(folder)) = (root, folder) else { return Err(unusable("it cannot be read")) };
    let inside = folder.strip_prefix(&root).map_err(|_| unusable("it lies outside of its checkout"))?;
    Ok(inside.to_str().ok_or_else(|| unusable("its name is not UTF-8"))?.into())
}
