//! What people did with a proposal, by where the two review branches stand.

use std::collections::BTreeSet;

use crate::knowledge::{Proposal, ProposalState, Reviewed};

/// The review branch and the one with the proposal, as they were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pair {
    pub review: Option<Place>,
    pub proposal: Option<Place>,
}

/// Where a branch stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    pub commit: String,
    pub tree: String,
    /// Who has made the commit, as far as it says; empty if leads have.
    pub by: String,
    /// Those of the commits asked for that are in its history.
    pub contains: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It waits, as it was written.
    Waits,
    /// The push has not arrived, or only half of it.
    Unwritten,
    Became(Reviewed),
}

/// Judges an open proposal.
pub fn judge(proposal: &Proposal, pair: &Pair) -> Standing {
    let Some(review) = &pair.review else { return absent(proposal) };
    if review.commit == proposal.review {
        return unmerged(proposal, pair.proposal.as_ref());
    }
    if review.tree == proposal.tree {
        let by = match review.by.is_empty() {
            true => "whoever may push there".into(),
            false => review.by.clone(),
        };
        return Standing::Became(Reviewed::Approved { by, merge: review.commit.clone() });
    }
    let merge = short(&review.commit);
    if review.contains.contains(&proposal.commit) {
        return void(format!(
            "{merge} merges {} with other files than were proposed",
            short(&proposal.commit)
        ));
    }
    let mut replaced = proposal.earlier.iter().rev();
    let merged =
        |(commit, tree): &&(String, String)| *tree == review.tree || review.contains.contains(commit);
    if let Some((earlier, _)) = replaced.find(merged) {
        return void(format!(
            "{merge} merges {}, which {} has replaced",
            short(earlier),
            short(&proposal.commit)
        ));
    }
    match proposal.state {
        ProposalState::Written if !review.contains.contains(&proposal.review) => Standing::Unwritten,
        _ => void(format!("{merge} on the review branch is neither the proposal nor ours")),
    }
}

fn unmerged(proposal: &Proposal, place: Option<&Place>) -> Standing {
    match (place, &proposal.state) {
        (Some(place), _) if place.commit == proposal.commit => Standing::Waits,
        (_, ProposalState::Written) => Standing::Unwritten,
        (None, _) => Standing::Became(Reviewed::Rejected),
        (Some(place), _) => void(format!(
            "somebody else has written {} over {} on its branch",
            short(&place.commit),
            short(&proposal.commit)
        )),
    }
}

fn absent(proposal: &Proposal) -> Standing {
    match proposal.state {
        ProposalState::Written => Standing::Unwritten,
        _ => void("the review branch was removed".into()),
    }
}

fn void(why: String) -> Standing {
    Standing::Became(Reviewed::Void(why))
}

/// As people write commits.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
