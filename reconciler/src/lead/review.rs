//! The review branches, in the clone of the deploy branch: read, written, and brought to the remote.

use std::collections::BTreeSet;
use std::sync::Arc;

use qonnect_core::decision::{Draft, Trailers};
use qonnect_core::lead::{Ask, Pushed, Told};
use qonnect_core::review::{Pair, Place};
use qonnect_git::{CommitDraft, Depth, Error, Mirror, OURS};
use qonnect_schema::documents::fleet::Branches;

use super::deploy::{DEADLINE, outcome};

/// The file of a hydrated branch, at its root.
const HYDRATED: &str = "hydrator.metadata";
/// Leaderships in a row that decided nothing; far more than there ever were.
const BARRIERS_MAX: usize = 1_000;

pub(super) fn carry_out(mirror: &mut Mirror, ask: Ask) -> Told {
    match ask {
        Ask::Read { branches, asks } => match read(mirror, &branches, &asks) {
            Ok(pair) => Told::Read(Box::new(pair)),
            Err(error) => {
                tracing::warn!(branch = branches.review, %error, "the review branches cannot be read");
                Told::Unreadable
            }
        },
        Ask::Write { draft, message, review } => match write(mirror, *draft, message, review.as_deref()) {
            Ok(told) => told,
            Err(error) => {
                tracing::error!(%error, "a proposal cannot be written into the local clone");
                Told::NotWritten
            }
        },
        Ask::Push { branches, seen, review, commit } => {
            Told::Pushed(push(mirror, &branches, &seen, &review, &commit))
        }
        Ask::Remove { branches, commit } => {
            let branch = branches.proposal();
            let removed = mirror.swap(&branch, None, Some(&commit), DEADLINE);
            Told::Pushed(outcome(&branch, "", removed))
        }
    }
}

fn read(mirror: &mut Mirror, branches: &Branches, asks: &BTreeSet<String>) -> Result<Pair, Error> {
    let review = place(mirror, &branches.review, asks)?;
    let proposal = place(mirror, &branches.proposal(), asks)?;
    Ok(Pair { review, proposal })
}

fn place(mirror: &mut Mirror, branch: &str, asks: &BTreeSet<String>) -> Result<Option<Place>, Error> {
    let Some(tip) = mirror.fetch(branch, Depth::Full, DEADLINE)? else { return Ok(None) };
    let commit = mirror.commit(&tip)?;
    let mut contains = BTreeSet::new();
    for ask in asks {
        if mirror.descends(&tip, ask)? {
            contains.insert(ask.clone());
        }
    }
    // The author of a merge has merged; a rebase keeps us as the author, and a web page commits for its user.
    let by = [commit.author, commit.committer].into_iter().find(|person| person != OURS).unwrap_or_default();
    Ok(Some(Place { commit: commit.id, tree: commit.tree, by, contains }))
}

/// The review branch follows what is deployed, so that the proposal shows what would change, and nothing else.
fn write(mirror: &Mirror, draft: Draft, message: String, review: Option<&str>) -> Result<Told, Error> {
    let deployed = draft.base.unwrap_or_default();
    let time_secs = draft.time.as_second();
    let follows = CommitDraft {
        base: review.map(str::to_owned),
        like: Some(deployed.clone()),
        files: revision(mirror, &deployed)?.map(|revision| hydrated(&revision)).into_iter().collect(),
        message: format!("follow the deploy branch\n\nQonnect-Deployed: {deployed}\n"),
        time_secs,
    };
    let follows = mirror.write_commit(&follows)?;
    let review = match review {
        Some(review) if mirror.commit(review)?.tree == mirror.commit(&follows)?.tree => review.to_owned(),
        _ => follows,
    };
    let files = draft.files.into_iter().chain([hydrated(&draft.revision)]).collect();
    let proposal = CommitDraft { base: Some(review.clone()), like: None, files, message, time_secs };
    let commit = mirror.write_commit(&proposal)?;
    let tree = mirror.commit(&commit)?.tree;
    Ok(Told::Written { review, commit, tree })
}

/// Says which commit of the spec branch the files are made from, where Argo CD's hydrator says it: by this the GitOps
/// Promoter compares the branches of a pair.
fn hydrated(revision: &str) -> (String, Option<Arc<[u8]>>) {
    let text = format!("{}\n", serde_json::json!({"drySha": revision}));
    (HYDRATED.into(), Some(text.into_bytes().into()))
}

/// The commit of the spec branch that is deployed; barriers name none, and stand for what is below them.
fn revision(mirror: &Mirror, deployed: &str) -> Result<Option<String>, Error> {
    let mut commit = mirror.commit(deployed)?;
    for _ in 0..BARRIERS_MAX {
        let trailers = Trailers::parse(&commit.message);
        if let Some(trailers) = trailers.filter(|trailers| !trailers.revision.is_empty()) {
            return Ok(Some(trailers.revision));
        }
        let Some(parent) = commit.parents.first() else { break };
        commit = mirror.commit(parent)?;
    }
    Ok(None)
}

/// The review branch first: without it the proposal would be one onto something else.
fn push(mirror: &mut Mirror, branches: &Branches, seen: &Pair, review: &str, commit: &str) -> Pushed {
    let before = seen.review.as_ref().map(|place| place.commit.as_str());
    if before != Some(review) {
        let pushed = mirror.publish(&branches.review, review, before, DEADLINE);
        let pushed = outcome(&branches.review, review, pushed);
        if pushed != Pushed::Published {
            return pushed;
        }
    }
    let branch = branches.proposal();
    let before = seen.proposal.as_ref().map(|place| place.commit.as_str());
    let pushed = mirror.swap(&branch, Some(commit), before, DEADLINE);
    outcome(&branch, commit, pushed)
}
