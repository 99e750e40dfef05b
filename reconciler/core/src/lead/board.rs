//! What one leadership has a forge show: said anew whenever it is something else.

use std::sync::Arc;

use qonnect_schema::documents::approval::Request;
use qonnect_schema::documents::fleet::Branches;

use super::Effect;
use crate::forge::{PullRequest, Wanted, Wish, checks, statuses};
use crate::knowledge::{Knowledge, ProposalState};

#[derive(Debug)]
pub(super) struct Board {
    /// Somebody has a forge.
    used: bool,
    /// Absent until something was decided.
    branches: Option<Branches>,
    asked: Option<Asked>,
    /// A commit that was planned and changes nothing.
    settled: Option<String>,
    shown: Option<Arc<Wanted>>,
}

/// What people are asked, for as long as the proposal is of the same changes.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) settings: Request,
}

impl Board {
    pub(super) fn new(used: bool) -> Self {
        Self { used, branches: None, asked: None, settled: None, shown: None }
    }

    /// Texts for nobody are not written.
    pub(super) fn is_used(&self) -> bool {
        self.used
    }

    pub(super) fn decided(&mut self, branches: &Branches, settled: Option<&str>) {
        self.branches = Some(branches.clone());
        self.settled = settled.map(Into::into);
    }

    pub(super) fn asks(&mut self, asked: Asked) {
        self.asked = Some(asked);
    }

    pub(super) fn show(&mut self, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        let Some(branches) = self.branches.clone().filter(|_| self.used) else { return };
        let statuses = statuses(knowledge, self.settled.as_deref());
        let checks = checks(knowledge, &statuses);
        let wanted = Wanted { branches, request: self.request(knowledge), statuses, checks };
        if self.shown.as_deref() != Some(&wanted) {
            let wanted = Arc::new(wanted);
            self.shown = Some(wanted.clone());
            effects.push(Effect::Forge(wanted));
        }
    }

    fn request(&self, knowledge: &Knowledge) -> Wish {
        let Some(proposal) = knowledge.proposal.as_deref() else { return Wish::Closed };
        match (&proposal.state, &self.asked) {
            (ProposalState::Offered, Some(asked)) if asked.id == proposal.id => {
                let Asked { title, body, settings, .. } = asked;
                Wish::Open(Box::new(PullRequest {
                    commit: proposal.commit.clone(),
                    title: title.clone(),
                    body: body.clone(),
                    settings: settings.clone(),
                }))
            }
            // What is being written, or asked again, keeps its pull request.
            (ProposalState::Offered | ProposalState::Written | ProposalState::Void, _) => Wish::AsIs,
            (ProposalState::Approved { .. } | ProposalState::Rejected | ProposalState::Closed, _) => {
                Wish::Closed
            }
        }
    }
}
