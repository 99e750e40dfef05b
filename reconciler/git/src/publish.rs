//! An exact compare-and-swap of a branch, and an honest word on its outcome.

use std::collections::BTreeMap;
use std::io::Read;

use git2::{Buf, ObjectType, Oid, Repository, Tree};

use crate::deadline::Deadline;
use crate::error::{Error, plain};
use crate::link::{Link, Service};
use crate::packet::{self, Packet, SideBand};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// The branch stands at the commit: the server said so.
    Published,
    /// The branch did not stand where it was expected.
    Lost { tip: Option<String> },
    /// The branch stands where it was expected, and a hook or a rule of the server keeps it there.
    Refused(String),
    /// The server may or may not have moved the branch: look, never assume.
    Unknown(String),
}

pub(crate) struct Update<'a> {
    pub(crate) reference: &'a str,
    /// `None`: the branch is removed.
    pub(crate) commit: Option<Oid>,
    /// `None`: the branch must not exist.
    pub(crate) expected: Option<Oid>,
}

/// *Guarantees:* an `Err` means that the remote has not acted.
pub(crate) fn publish(
    repository: &Repository,
    link: &mut Link,
    update: &Update<'_>,
    deadline: &Deadline,
) -> Result<Push, Error> {
    let request = request(repository, update)?;
    let answer = link
        .prepare(Service::ReceivePack, deadline)
        .and_then(|()| link.call(Service::ReceivePack, request, deadline))
        .and_then(|reply| read_report(reply, update, deadline));
    match answer {
        Ok(Answer::Accepted) => Ok(Push::Published),
        Ok(Answer::Rejected(why)) => Ok(after_rejection(link, update, why, deadline)),
        Err(
            error @ (Error::Deadline { .. } | Error::Ended | Error::Broken { .. } | Error::Protocol { .. }),
        ) => Ok(Push::Unknown(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Servers word a lost race in many ways; where the branch stands now tells it from a refusal.
fn after_rejection(link: &mut Link, update: &Update<'_>, why: String, deadline: &Deadline) -> Push {
    let tip = match link.ask(Service::UploadPack, deadline) {
        Ok(references) => references.tip(update.reference),
        Err(error) => return Push::Unknown(format!("{why}; then {error}")),
    };
    link.hang_up();
    if tip == update.commit {
        Push::Published
    } else if tip == update.expected {
        Push::Refused(why)
    } else {
        Push::Lost { tip: tip.map(|tip| tip.to_string()) }
    }
}

fn request(repository: &Repository, update: &Update<'_>) -> Result<Vec<u8>, Error> {
    let (old, new) = (update.expected.unwrap_or(Oid::ZERO_SHA1), update.commit.unwrap_or(Oid::ZERO_SHA1));
    let mut request = Vec::new();
    packet::write(
        &mut request,
        format!("{old} {new} {}\0 report-status side-band-64k agent=qonnect", update.reference),
    );
    request.extend_from_slice(packet::FLUSH);
    if let Some(commit) = update.commit {
        request.extend_from_slice(&pack(repository, commit, update.expected)?);
    }
    Ok(request)
}

/// The objects that `commit` adds to `base`; without a base, to what was fetched from the remote.
pub(crate) fn pack(repository: &Repository, commit: Oid, base: Option<Oid>) -> Result<Buf, Error> {
    let mut walk = repository.revwalk()?;
    walk.push(commit)?;
    match base {
        Some(base) => walk.hide(base)?,
        None => walk.hide_glob("refs/heads/*")?,
    }
    let mut pack = repository.packbuilder()?;
    for id in walk {
        let commit = repository.find_commit(id?)?;
        pack.insert_object(commit.id(), None)?;
        let before = commit.parents().next().map(|parent| parent.tree()).transpose()?;
        insert_new(repository, &mut pack, &commit.tree()?, before.as_ref())?;
    }
    let mut bytes = Buf::new();
    pack.write_buf(&mut bytes)?;
    Ok(bytes)
}

/// Only what differs is visited, however large the trees are.
fn insert_new(
    repository: &Repository,
    pack: &mut git2::PackBuilder<'_>,
    tree: &Tree<'_>,
    before: Option<&Tree<'_>>,
) -> Result<(), Error> {
    if before.is_some_and(|before| before.id() == tree.id()) {
        return Ok(());
    }
    pack.insert_object(tree.id(), None)?;
    let known: BTreeMap<Vec<u8>, Oid> = before
        .into_iter()
        .flat_map(Tree::iter)
        .map(|entry| (entry.name_bytes().to_vec(), entry.id()))
        .collect();
    for entry in tree {
        let old = known.get(entry.name_bytes()).copied();
        if old == Some(entry.id()) {
            continue;
        }
        match entry.kind() {
            Some(ObjectType::Blob) => pack.insert_object(entry.id(), entry.name().ok())?,
            Some(ObjectType::Tree) => {
                let old = old.and_then(|old| repository.find_tree(old).ok());
                insert_new(repository, pack, &repository.find_tree(entry.id())?, old.as_ref())?;
            }
            _ => {}
        }
    }
    Ok(())
}

enum Answer {
    Accepted,
    Rejected(String),
}

/// `unpack ok`, then `ok <ref>` or `ng <ref> <reason>`.
fn read_report(reply: impl Read, update: &Update<'_>, deadline: &Deadline) -> Result<Answer, Error> {
    let mut report = SideBand::new(reply);
    let mut lines = Vec::new();
    // What follows the report, such as the words of later hooks, changes nothing and is not waited for.
    while let Packet::Line(line) = packet::read(&mut report).map_err(|error| deadline.explain(&error))? {
        lines.push(plain(&line));
    }
    let accepted = format!("ok {}", update.reference);
    let rejected = format!("ng {} ", update.reference);
    if lines.iter().any(|line| *line == "unpack ok") && lines.contains(&accepted) {
        return Ok(Answer::Accepted);
    }
    let reason = lines
        .iter()
        .find_map(|line| line.strip_prefix(&rejected))
        .or_else(|| lines.iter().find_map(|line| line.strip_prefix("unpack ")))
        .ok_or_else(|| Error::Protocol { detail: format!("a report without a verdict: {lines:?}") })?;
    let said = plain(&report.said);
    Ok(Answer::Rejected(if said.is_empty() { reason.to_owned() } else { format!("{reason}: {said}") }))
}
