//! The review branches, in the clone of the deploy branch: read, written, and brought to the remote.

use std::collections::BTreeSet;

use qonnect_core::decision::Draft;
use qonnect_core::lead::{Ask, Pushed, Told};
use qonnect_core::review::{Pair, Place};
use qonnect_git::{CommitDraft, Depth, Error, Mirror, OURS};
use qonnect_schema::documents::fleet::Branches;

use super::deploy::{DEADLINE, outcome};

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
    let tree = mirror.commit(&deployed)?.tree;
    let follows = match review {
        Some(review) => mirror.commit(review)?.tree == tree,
        None => false,
    };
    let review = match review.filter(|_| follows) {
        Some(review) => review.to_owned(),
        None => {
            let message = format!("follow the deploy branch\n\nQonnect-Deployed: {deployed}\n");
            mirror.write_like(&deployed, review, &message, time_secs)?
        }
    };
    let proposal = CommitDraft { base: Some(review.clone()), files: draft.files, message, time_secs };
    let commit = mirror.write_commit(&proposal)?;
    let tree = mirror.commit(&commit)?.tree;
    Ok(Told::Written { review, commit, tree })
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
