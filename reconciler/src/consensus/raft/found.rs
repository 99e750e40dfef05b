//! How a lead with an empty disk finds its place.
//!
//! A group is founded once every configured lead has said that its disk is empty: then the one with the lowest
//! number writes the first entry. From then on a majority is enough. A lead that finds its disk empty while others
//! belong to a group may have lost a disk that held votes: it says nothing until the leader has taken it out of the
//! voters. Then it is a learner, and votes again once it has caught up.
//!
//! ```text
//! empty ─▶ all others empty or ready ─▶ ready ─▶ (lowest number, all others ready) founds
//!   └────▶ another is a member ─▶ the leader removes us ─▶ learner ─▶ voter, if we were one
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::Handle;
use super::links::Links;
use super::members::{Member, Membership};
use super::wire::{Ask, Standing, Tell};

/// Between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(200);

/// A lead that does not answer within this time is asked again in the next round.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Long, since an answer that is lost would not say again that we were a voter.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than the leader waits for a learner to catch up.
const JOIN_TIMEOUT: Duration = Duration::from_secs(70);

/// How a lead with an empty disk begins.
pub(super) enum Beginning {
    /// It writes the first entry, with these members.
    Founder(BTreeMap<u64, Member>),
    /// Somebody else writes it.
    Ready,
    /// The group counts it no more, and knows that its disk is empty.
    Forgotten { was_voter: bool },
}

/// Asks the others until it is known how to begin.
pub(super) async fn settle(links: &Links, node: u64) -> Beginning {
    let others: Vec<u64> = links.known().keys().copied().filter(|other| *other != node).collect();
    let lowest = others.iter().all(|other| node < *other);
    let mut told = false;
    loop {
        let standings = join_all(others.iter().map(|other| standing(links, *other))).await;
        if standings.contains(&Some(Standing::Member)) {
            if let Some(was_voter) = leave(links, node, &others).await {
                return Beginning::Forgotten { was_voter };
            }
        } else if lowest && standings.iter().all(|standing| *standing == Some(Standing::Ready)) {
            return Beginning::Founder(links.known().clone());
        } else if !lowest && standings.iter().all(Option::is_some) {
            return Beginning::Ready;
        }
        if !std::mem::replace(&mut told, true) {
            tracing::info!("an empty disk: waiting for the other leads");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn standing(links: &Links, node: u64) -> Option<Standing> {
    match links.ask(node, None, &Ask::Standing, None, ASK_TIMEOUT).await {
        Ok(Tell::Standing(standing)) => Some(standing),
        Ok(_) | Err(_) => None,
    }
}

/// Whether we were a voter; `None` as long as no leader has said so.
async fn leave(links: &Links, node: u64, others: &[u64]) -> Option<bool> {
    for other in others {
        let ask = Ask::Membership(Membership::Forget { node });
        if let Ok(Tell::Forgotten { was_voter }) = links.ask(*other, None, &ask, None, LEAVE_TIMEOUT).await {
            return Some(was_voter);
        }
    }
    None
}

/// Asks to be a voter again until we are.
pub(super) async fn return_as_voter(links: Arc<Links>, raft: Handle, node: u64) {
    let Some(member) = links.known().get(&node).cloned() else { return };
    let others: Vec<u64> = links.known().keys().copied().filter(|other| *other != node).collect();
    while !raft.voter_ids().any(|voter| voter == node) {
        for other in &others {
            let ask = Ask::Membership(Membership::Add { node, member: member.clone() });
            let answer = links.ask(*other, None, &ask, None, JOIN_TIMEOUT).await;
            if matches!(answer, Ok(Tell::Index(_))) {
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    tracing::info!("this lead votes again");
}
