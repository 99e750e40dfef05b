//! The way of one leadership onto the review branches: it offers, looks what people did, and takes back.
//!
//! ```text
//! offer ─▶ read both branches ─▶ write ─▶ record ─▶ push ─▶ offered ─ look at every poll ─▶ approved, rejected, void
//! ```
//!
//! *Guarantees:* what is pushed was recorded before, onto branches that stand where they were read; what people did
//! with the proposal before it is judged first.

use std::collections::BTreeSet;

use qonnect_schema::Epoch;
use qonnect_schema::api::EventSeverity;
use qonnect_schema::documents::fleet::Branches;

use super::{Effect, Pushed, tell};
use crate::decision::Draft;
use crate::knowledge::{Change, Knowledge, Proposal, ProposalState, Reviewed};
use crate::review::{Pair, Standing, judge};

/// A thing to do with the review branches.
#[derive(Debug, Clone)]
pub enum Ask {
    Read {
        branches: Branches,
        /// Which of these are in the history of each?
        asks: BTreeSet<String>,
    },
    /// Writes what the review branch should stand at, with the files that are deployed, and the proposal onto that.
    Write {
        draft: Box<Draft>,
        message: String,
        /// Where the review branch stands.
        review: Option<String>,
    },
    /// Brings both there, if they still stand where they were read.
    Push { branches: Branches, seen: Box<Pair>, review: String, commit: String },
    /// Removes the branch of the proposal, if it still stands there.
    Remove { branches: Branches, commit: String },
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Told {
    Read(Box<Pair>),
    Unreadable,
    Written {
        review: String,
        commit: String,
        tree: String,
    },
    NotWritten,
    Pushed(Pushed),
    /// Somebody says that people have done something.
    Moved,
    /// People have closed the pull request of this commit, and have not merged it.
    Closed {
        commit: String,
    },
}

/// Changes about which people are to be asked.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub(super) id: String,
    pub(super) draft: Draft,
    pub(super) message: String,
}

#[derive(Debug)]
pub(super) struct Desk {
    epoch: Epoch,
    branches: Branches,
    stage: Stage,
    /// Something could not be done, and is tried at the next poll.
    again: bool,
    /// People may have done something since the branches were read.
    moved: bool,
    /// It is to be decided anew.
    due: bool,
    /// Why the server refused the last push.
    refused: Option<String>,
}

#[derive(Debug)]
enum Stage {
    Idle,
    Reading(Purpose),
    Writing(Box<Offer>, Box<Pair>),
    Recording { seen: Box<Pair>, review: String, commit: String },
    Pushing(String),
    Removing(String),
}

#[derive(Debug)]
enum Purpose {
    Look,
    Offer(Box<Offer>),
    Withdraw,
}

impl Purpose {
    fn asks(&self, id: &str) -> bool {
        matches!(self, Self::Offer(offer) if offer.id == id)
    }
}

impl Desk {
    pub(super) fn new(epoch: Epoch) -> Self {
        let (branches, stage) = (Branches::default(), Stage::Idle);
        Self { epoch, branches, stage, again: false, moved: false, due: false, refused: None }
    }

    /// Whether something has become of a proposal, or could not be done; asked once.
    pub(super) fn take_due(&mut self) -> bool {
        matches!(self.stage, Stage::Idle) && std::mem::take(&mut self.due)
    }

    /// Asks people, unless they are asked the same already or have said no.
    pub(super) fn offer(
        &mut self,
        offer: Offer,
        branches: &Branches,
        knowledge: &Knowledge,
        effects: &mut Vec<Effect>,
    ) {
        let same = knowledge.proposal.as_deref().filter(|proposal| proposal.id == offer.id);
        let answered = same.is_some_and(|proposal| match proposal.state {
            ProposalState::Offered => true,
            ProposalState::Rejected => proposal.revision == offer.draft.revision,
            _ => false,
        });
        self.begin(branches, answered, Purpose::Offer(Box::new(offer)), knowledge, effects);
    }

    /// Nothing is left to be asked.
    pub(super) fn withdraw(&mut self, branches: &Branches, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        self.begin(branches, knowledge.proposal.is_none(), Purpose::Withdraw, knowledge, effects);
    }

    /// Looks what people did.
    pub(super) fn poll(&mut self, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        self.due |= std::mem::take(&mut self.again);
        if !self.due {
            self.look(knowledge, effects);
        }
    }

    fn look(&mut self, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        let waits = knowledge.proposal.as_deref().is_some_and(Proposal::is_open);
        if waits && matches!(self.stage, Stage::Idle) {
            self.read(Purpose::Look, knowledge, effects);
        }
    }

    fn begin(
        &mut self,
        branches: &Branches,
        done: bool,
        purpose: Purpose,
        knowledge: &Knowledge,
        effects: &mut Vec<Effect>,
    ) {
        let idle = matches!(self.stage, Stage::Idle);
        if idle {
            self.branches = branches.clone();
        }
        match (done, idle) {
            (true, _) => {}
            (false, true) => self.read(purpose, knowledge, effects),
            (false, false) => self.due = true,
        }
    }

    fn read(&mut self, purpose: Purpose, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        let proposal = knowledge.proposal.as_deref();
        let asks = proposal.into_iter().flat_map(|proposal| {
            let earlier = proposal.earlier.iter().map(|(commit, _)| commit);
            earlier.chain([&proposal.commit, &proposal.review]).cloned()
        });
        effects.push(Effect::Review(Ask::Read { branches: self.branches.clone(), asks: asks.collect() }));
        self.stage = Stage::Reading(purpose);
    }

    /// The Knowledge Base has moved on: what is recorded can be pushed.
    pub(super) fn learned(&mut self, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        let Stage::Recording { commit, .. } = &self.stage else { return };
        let recorded = |known: &Proposal| known.commit == *commit && known.state == ProposalState::Written;
        if !knowledge.proposal.as_deref().is_some_and(recorded) {
            return;
        }
        if let Stage::Recording { seen, review, commit } = std::mem::replace(&mut self.stage, Stage::Idle) {
            self.stage = Stage::Pushing(commit.clone());
            let branches = self.branches.clone();
            effects.push(Effect::Review(Ask::Push { branches, seen, review, commit }));
        }
    }

    pub(super) fn told(&mut self, told: Told, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        match (told, std::mem::replace(&mut self.stage, Stage::Idle)) {
            (Told::Read(pair), Stage::Reading(purpose)) => self.seen(pair, purpose, knowledge, effects),
            (Told::Written { review, commit, tree }, Stage::Writing(offer, seen)) => {
                let Offer { id, draft, message } = *offer;
                let proposal = Proposal {
                    id,
                    epoch: self.epoch,
                    revision: draft.revision,
                    subject: message.lines().next().unwrap_or_default().into(),
                    review: review.clone(),
                    commit: commit.clone(),
                    tree,
                    state: ProposalState::Written,
                    earlier: Vec::new(),
                };
                effects.push(Effect::Propose(Change::Proposed(Box::new(proposal))));
                self.stage = Stage::Recording { seen, review, commit };
            }
            (Told::Pushed(Pushed::Published), Stage::Pushing(commit)) => {
                self.refused = None;
                effects.push(reviewed(&commit, Reviewed::Offered));
            }
            (Told::Pushed(Pushed::Published), Stage::Removing(commit)) => {
                effects.push(reviewed(&commit, Reviewed::Withdrawn));
            }
            (Told::Pushed(result), Stage::Pushing(_) | Stage::Removing(_)) => self.failed(result, effects),
            (Told::Unreadable | Told::NotWritten, _) => self.again = true,
            (Told::Closed { commit }, stage) => {
                self.stage = stage;
                let open = |proposal: &Proposal| proposal.commit == commit && proposal.is_open();
                if knowledge.proposal.as_deref().is_some_and(open) {
                    effects.push(reviewed(&commit, Reviewed::Rejected));
                }
            }
            (Told::Moved, stage) => (self.moved, self.stage) = (true, stage),
            // Nobody waits for it any more.
            (_, stage) => self.stage = stage,
        }
        if matches!(self.stage, Stage::Idle) && std::mem::take(&mut self.moved) {
            self.look(knowledge, effects);
        }
    }

    fn seen(&mut self, pair: Box<Pair>, purpose: Purpose, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        let proposal = knowledge.proposal.as_deref();
        if let Some(open) = proposal.filter(|proposal| proposal.is_open()) {
            match judge(open, &pair) {
                Standing::Became(what) => return effects.push(reviewed(&open.commit, what)),
                Standing::Waits if open.state == ProposalState::Written => {
                    return effects.push(reviewed(&open.commit, Reviewed::Offered));
                }
                // Recorded as offered since it was to be asked.
                Standing::Waits if purpose.asks(&open.id) => return,
                Standing::Waits => {}
                Standing::Unwritten => self.again = matches!(purpose, Purpose::Look),
            }
        }
        match purpose {
            Purpose::Look => {}
            Purpose::Offer(offer) => {
                let (draft, message) = (Box::new(offer.draft.clone()), offer.message.clone());
                let review = pair.review.as_ref().map(|place| place.commit.clone());
                effects.push(Effect::Review(Ask::Write { draft, message, review }));
                self.stage = Stage::Writing(offer, pair);
            }
            Purpose::Withdraw => {
                let Some(proposal) = proposal else { return };
                let stands = pair.proposal.is_some_and(|place| place.commit == proposal.commit);
                let (branches, commit) = (self.branches.clone(), proposal.commit.clone());
                if stands {
                    self.stage = Stage::Removing(commit.clone());
                    effects.push(Effect::Review(Ask::Remove { branches, commit }));
                } else {
                    effects.push(reviewed(&commit, Reviewed::Withdrawn));
                }
            }
        }
    }

    fn failed(&mut self, result: Pushed, effects: &mut Vec<Effect>) {
        self.again = true;
        if let Pushed::Refused(why) = result
            && self.refused.as_ref() != Some(&why)
        {
            let branch = self.branches.proposal();
            let message =
                format!("the server refuses what is proposed on {branch}: {why}; see its rules for it");
            effects.push(tell(EventSeverity::Warning, "ProposalNotPushed", message));
            self.refused = Some(why);
        }
    }
}

fn reviewed(commit: &str, reviewed: Reviewed) -> Effect {
    Effect::Propose(Change::Reviewed { commit: commit.into(), reviewed })
}
