//! A repository on the same disk: opened directly, and its branch swapped under the lock of the reference.
//!
//! libgit2 can push to a path, but such a push is no compare-and-swap: it overwrites what came in between.

use std::io::Write;
use std::path::Path;

use git2::{Direction, ErrorCode, Oid, Repository};

use crate::error::Error;
use crate::publish::{Push, Update, pack};

/// The tip of the branch, with all that it needs copied here.
pub(crate) fn fetch(repository: &Repository, path: &Path, reference: &str) -> Result<Option<Oid>, Error> {
    let tip = tip(&open(path)?, reference)?;
    let Some(tip) = tip.filter(|tip| repository.find_commit(*tip).is_err()) else { return Ok(tip) };
    let url = path.to_str().ok_or_else(|| Error::NotFound { detail: path.display().to_string() })?;
    let mut remote = repository.remote_anonymous(url)?;
    remote.connect(Direction::Fetch)?;
    remote.download(&[format!("{reference}:{reference}")], None)?;
    Ok(Some(tip))
}

pub(crate) fn publish(repository: &Repository, path: &Path, update: &Update<'_>) -> Result<Push, Error> {
    let target = open(path)?;
    let Update { reference, expected, .. } = *update;
    let Some(commit) = update.commit else { return remove(&target, reference, expected) };
    let checked_out =
        !target.is_bare() && target.find_reference("HEAD")?.symbolic_target() == Ok(Some(reference));
    if checked_out {
        return Ok(Push::Refused(format!("{reference} is checked out in {}", path.display())));
    }
    if target.find_commit(commit).is_err() {
        let odb = target.odb()?;
        let mut objects = odb.packwriter()?;
        objects
            .write_all(&pack(repository, commit, expected)?)
            .map_err(|source| Error::Disk { path: path.to_owned(), source })?;
        objects.commit()?;
    }
    let swapped = match expected {
        Some(expected) => target.reference_matching(reference, commit, true, expected, "qonnect: publish"),
        None => target.reference(reference, commit, false, "qonnect: publish"),
    };
    match swapped {
        Ok(_) => Ok(Push::Published),
        Err(error) => match (tip(&target, reference)?, error.code()) {
            (tip, _) if tip == Some(commit) => Ok(Push::Published),
            (tip, _) if tip != expected => Ok(Push::Lost { tip: tip.map(|tip| tip.to_string()) }),
            (_, ErrorCode::Locked) => {
                Ok(Push::Refused(format!("another process holds the lock of {reference}")))
            }
            _ => Err(error.into()),
        },
    }
}

/// libgit2 deletes a reference only as long as it stands where it was when it was looked up.
fn remove(target: &Repository, reference: &str, expected: Option<Oid>) -> Result<Push, Error> {
    match target.find_reference(reference) {
        Ok(mut found) if found.target() == expected => found.delete()?,
        Ok(found) => return Ok(Push::Lost { tip: found.target().map(|tip| tip.to_string()) }),
        Err(error) if error.code() == ErrorCode::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Push::Published)
}

fn open(path: &Path) -> Result<Repository, Error> {
    Repository::open(path).map_err(|error| match error.code() {
        ErrorCode::Owner => Error::Auth {
            detail: format!(
                "{} belongs to another user; add it to git's safe.directory or change its owner",
                path.display()
            ),
        },
        _ => Error::NotFound { detail: format!("{}: {}", path.display(), error.message()) },
    })
}

fn tip(repository: &Repository, reference: &str) -> Result<Option<Oid>, Error> {
    match repository.refname_to_id(reference) {
        Ok(tip) => Ok(Some(tip)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
