//! How a lead with an empty disk finds its place.
//!
//! A group is founded once every configured lead has said that its disk is empty: then the one with the lowest
//! number writes the first entry. From then on a majority is enough. A lead that finds its disk empty while others
//! belong to a group may have lost a disk that held votes: it says nothing until the leader has taken it out of the
//! voters. Then it is a learner, and votes again once it has caught up; that it did vote is kept on its disk before it
//! leaves, for a process that ends in between finds no other trace of it.
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
use super::log::Log;
use super::members::{Member, Membership};
use super::wire::{Ask, Standing, Tell};

/// Between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(200);

/// A lead that does not answer within this time is asked again in the next round.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// A change of the group is an entry of the log.
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
    Forgotten,
}

/// Asks the others until it is known how to begin.
pub(super) async fn settle(links: &Links, log: &Log, node: u64) -> Beginning {
    let others: Vec<u64> = links.known().keys().copied().filter(|other| *other != node).collect();
    let lowest = others.iter().all(|other| node < *other);
    let mut told = false;
    loop {
        let standings = join_all(others.iter().map(|other| standing(links, *other))).await;
        if standings.contains(&Some(Standing::Member)) {
            if leave(links, log, node, &others).await.is_some() {
                return Beginning::Forgotten;
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

/// The group counts us no more; `None` as long as no leader has said so.
async fn leave(links: &Links, log: &Log, node: u64, others: &[u64]) -> Option<()> {
    for other in others {
        let ask = async |ask: Ask| links.ask(*other, None, &ask, None, LEAVE_TIMEOUT).await;
        let Ok(Tell::Votes(votes)) = ask(Ask::Votes(node)).await else { continue };
        if votes {
            log.set_returns(true).await.ok()?;
        }
        if let Ok(Tell::Index(_)) = ask(Ask::Membership(Membership::Remove { node })).await {
            return Some(());
        }
    }
    None
}

/// Asks to be a voter again until we are.
pub(super) async fn return_as_voter(links: Arc<Links>, log: Log, raft: Handle, node: u64) {
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
    match log.set_returns(false).await {
        Ok(()) => tracing::info!("this lead votes again"),
        Err(error) => {
            tracing::warn!(%error, "this lead votes again, and will ask for it once more after a restart")
        }
    }
}
