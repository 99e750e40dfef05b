//! Proposals to the Knowledge Base, one after the other: their order is part of what they mean.

use std::time::Duration;

use qonnect_core::knowledge::{Answer, Change};
use qonnect_core::lead::Event;
use tokio::sync::mpsc;
use tracing::{Instrument as _, Span};

use super::run::Events;
use crate::consensus::{Consensus, Error, Leadership};

/// Between two tries of the same command: a quorum that is gone does not come back sooner.
const RETRY: Duration = Duration::from_millis(200);

/// What one leadership wants to be known.
#[derive(Debug)]
pub(super) struct Proposal {
    pub(super) leadership: Leadership,
    pub(super) change: Change,
    /// What it is a step of.
    pub(super) span: Span,
}

/// Goes on until every sender is gone.
pub(super) async fn run(
    consensus: Consensus,
    mut proposals: mpsc::UnboundedReceiver<Proposal>,
    events: Events,
) {
    while let Some(Proposal { leadership, change, span }) = proposals.recv().await {
        let intent = match &change {
            Change::Intent(intent) => Some(intent.id.clone()),
            _ => None,
        };
        let answer = propose(&consensus, leadership, change).instrument(span).await;
        if let Some(intent) = intent {
            let accepted = answer.is_some_and(|answer| !matches!(answer, Answer::Superseded));
            events.send(Event::Recorded { intent, accepted });
        }
    }
}

/// Proposes until the answer is known; `None` if the leadership ended before.
pub(super) async fn propose(consensus: &Consensus, leadership: Leadership, change: Change) -> Option<Answer> {
    let command = consensus.command(change);
    loop {
        match consensus.propose_as(leadership, command.clone()).await {
            Ok(answer) => return Some(answer),
            Err(Error::Unknown) => {
                tracing::warn!(%command, "the Knowledge Base does not answer; proposing again");
                tokio::time::sleep(RETRY).await;
            }
            Err(error) => {
                tracing::warn!(%command, %error, "a proposal was given up");
                return None;
            }
        }
    }
}
