//! What people are asked to approve, and what they said.

use std::sync::Arc;

use qonnect_schema::Epoch;
use qonnect_schema::api::EventSeverity;
use serde::{Deserialize, Serialize};

use super::apply::abbreviated;
use super::{Answer, Knowledge};

/// Proposals that this one has replaced: whoever merges one of them is told that it is out of date.
const EARLIER_MAX: usize = 20;

/// Changes that wait for people, as a commit for the review branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// What is decided, without what changes from one plan to the next: the same for the same changes.
    pub id: String,
    pub epoch: Epoch,
    /// The commit of the spec branch that was planned.
    pub revision: String,
    pub subject: String,
    /// What the review branch stands at before the merge.
    pub review: String,
    pub commit: String,
    /// The files of `commit`, which a merge leaves as they are.
    pub tree: String,
    pub state: ProposalState,
    /// Commits and files of the proposals that this one has replaced, the newest last.
    pub earlier: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProposalState {
    /// Recorded; whether it was pushed is not known.
    Written,
    /// It stands on the branch, and waits for people.
    Offered,
    /// It was merged as it is: the same changes may be published.
    Approved { by: String },
    /// Its branch was deleted or its pull request closed: it is not offered again for the same revision.
    Rejected,
    /// What people did is no approval; the changes are proposed again.
    Void,
    /// Nothing is left to be approved.
    Closed,
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reviewed {
    Offered,
    Approved {
        by: String,
        merge: String,
    },
    Rejected,
    /// Why that is no approval.
    Void(String),
    /// Its branch is gone, or was left to whoever has written it.
    Withdrawn,
}

impl Proposal {
    /// It may still be merged.
    pub fn is_open(&self) -> bool {
        matches!(self.state, ProposalState::Written | ProposalState::Offered)
    }
}

impl Knowledge {
    pub(super) fn propose(&mut self, proposal: &Proposal) -> Answer {
        // Recorded only by the leadership that planned it.
        if proposal.epoch != self.epoch {
            return Answer::Superseded;
        }
        let before = self.proposal.as_deref().filter(|before| before.commit != proposal.commit);
        let mut earlier = before.map(|before| before.earlier.clone()).unwrap_or_default();
        earlier.extend(before.map(|before| (before.commit.clone(), before.tree.clone())));
        earlier.drain(..earlier.len().saturating_sub(EARLIER_MAX));
        self.proposal = Some(Arc::new(Proposal { earlier, ..proposal.clone() }));
        Answer::Done
    }

    pub(super) fn reviewed(&mut self, commit: &str, reviewed: &Reviewed) -> Answer {
        let Some(proposal) = self.proposal.as_deref().filter(|proposal| proposal.commit == commit).cloned()
        else {
            return Answer::NotFound;
        };
        use EventSeverity::{Normal, Warning};
        let regarding = format!("revision/{}", abbreviated(&proposal.revision));
        let short = abbreviated(commit);
        let subject = &proposal.subject;
        let (state, told) = match reviewed {
            Reviewed::Offered if proposal.state == ProposalState::Written => {
                let message = format!("{subject}: waits for the merge of {short}");
                (ProposalState::Offered, Some((Normal, "Proposed", message)))
            }
            Reviewed::Approved { by, merge } if proposal.is_open() => {
                let message = format!("{subject}: {short} was merged as {} by {by}", abbreviated(merge));
                (ProposalState::Approved { by: by.clone() }, Some((Normal, "Approved", message)))
            }
            Reviewed::Rejected if proposal.is_open() => {
                let message = format!(
                    "{subject}: the pull request of {short} was closed, or its branch deleted; it is proposed again \
                     once the spec branch or what it changes is another"
                );
                (ProposalState::Rejected, Some((Warning, "Rejected", message)))
            }
            Reviewed::Void(why) if !matches!(proposal.state, ProposalState::Void | ProposalState::Closed) => {
                let message = format!("{subject}: {why}; it is planned and proposed again");
                (ProposalState::Void, Some((Warning, "ApprovalRefused", message)))
            }
            Reviewed::Withdrawn => {
                let message = format!("{subject}: nothing of it is left to be approved");
                self.proposal = None;
                if proposal.is_open() {
                    self.tell(Normal, "ProposalWithdrawn", regarding, message);
                }
                return Answer::Done;
            }
            _ => return Answer::Superseded,
        };
        self.proposal = Some(Arc::new(Proposal { state, ..proposal }));
        if let Some((severity, reason, message)) = told {
            self.tell(severity, reason, regarding, message);
        }
        Answer::Done
    }

    /// An approval is for one commit.
    pub(super) fn use_up_approval(&mut self) {
        if let Some(proposal) = self.proposal.as_mut().filter(|known| known.is_approved()) {
            Arc::make_mut(proposal).state = ProposalState::Closed;
        }
    }
}

impl Proposal {
    fn is_approved(&self) -> bool {
        matches!(self.state, ProposalState::Approved { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Change, Command, Good, Intent, Outcome};
    use super::*;

    #[derive(Default)]
    struct Log(Knowledge);

    impl Log {
        fn apply(&mut self, change: Change) -> Answer {
            let index = self.0.index + 1;
            self.0.apply(index, &Command { key: index.to_string(), now: Default::default(), change })
        }

        fn revision(&mut self, commit: &str) {
            let record = serde_json::from_value(serde_json::json!({
                "commit": commit, "subject": "s", "seen": "1970-01-01T00:00:00Z", "verdict": "Accepted",
            }));
            let record = Box::new(record.unwrap());
            self.apply(Change::Revision { record, good: Some(good(commit)), waits: true });
        }

        fn published(&mut self, id: &str, completes: &str) {
            let intent = serde_json::json!({
                "id": id, "epoch": Epoch::default(), "base": null, "commit": id, "revision": completes, "kb_index": 1,
                "files": {}, "message": "", "time": "1970-01-01T00:00:00Z", "placements": {}, "releases": {},
                "notes": [], "completes": good(completes), "outcome": "Unknown",
            });
            let intent: Intent = serde_json::from_value(intent).unwrap();
            self.apply(Change::Intent(Box::new(intent)));
            self.apply(Change::Outcome { intent: id.into(), outcome: Outcome::Published });
        }

        fn approved(&self) -> Option<&str> {
            self.0.approved.as_ref().map(|good| good.commit.as_str())
        }

        fn reviewed(&mut self, commit: &str, reviewed: Reviewed) -> Answer {
            self.apply(Change::Reviewed { commit: commit.into(), reviewed })
        }
    }

    fn good(commit: &str) -> Good {
        Good { commit: commit.into(), ..Good::default() }
    }

    fn proposal(commit: &str) -> Change {
        Change::Proposed(Box::new(Proposal {
            id: "id".into(),
            epoch: Epoch::default(),
            revision: "r1".into(),
            subject: "place shop".into(),
            review: "base".into(),
            commit: commit.into(),
            tree: format!("tree of {commit}"),
            state: ProposalState::Written,
            earlier: Vec::new(),
        }))
    }

    #[test]
    fn what_was_approved_is_what_was_published_last_whatever_came_meanwhile() {
        let mut log = Log::default();
        log.revision("r1");
        assert_eq!(log.approved(), Some(""), "nothing ever was");
        log.revision("r2");
        assert_eq!(log.approved(), Some(""));
        // Decided from the first, and known to be published after the second came.
        log.published("c1", "r1");
        assert_eq!(log.approved(), Some("r1"));
        log.published("c2", "r2");
        assert_eq!(log.approved(), None, "all that counts");
        log.revision("r3");
        assert_eq!(log.approved(), Some("r2"));
        log.apply(Change::Settled { good: good("r3") });
        assert_eq!(log.approved(), None);
    }

    #[test]
    fn an_approval_is_for_one_proposal_and_for_one_commit() {
        let mut log = Log::default();
        log.revision("r1");
        log.apply(proposal("p1"));
        log.apply(proposal("p2"));
        let approved = || Reviewed::Approved { by: "Ada".into(), merge: "m".into() };
        assert_eq!(log.reviewed("p1", approved()), Answer::NotFound);
        assert_eq!(log.reviewed("p2", approved()), Answer::Done);
        assert_eq!(log.reviewed("p2", Reviewed::Rejected), Answer::Superseded);
        log.published("c1", "r1");
        let proposal = log.0.proposal.as_deref().unwrap();
        assert_eq!(proposal.state, ProposalState::Closed);
        assert_eq!(proposal.earlier, [("p1".to_owned(), "tree of p1".to_owned())]);
        assert_eq!(log.reviewed("p2", approved()), Answer::Superseded);
    }

    #[test]
    fn an_older_leadership_proposes_nothing() {
        let mut log = Log::default();
        log.apply(Change::OpenEpoch { node: 2, term: 2, group: "g".into() });
        assert_eq!(log.apply(proposal("p1")), Answer::Superseded);
        assert_eq!(log.0.proposal, None);
    }
}
