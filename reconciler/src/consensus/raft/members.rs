//! Who belongs to the group, and how that changes.

use std::collections::BTreeSet;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use openraft::raft::{ClientWriteResponse, ReadPolicy};
use openraft::{ChangeMembers, RaftMetrics, ServerState};
use qonnect_schema::api::{LeadRole, LeadView};
use serde::{Deserialize, Serialize};

use super::wire::Tell;
use super::{Handle, Types};
use crate::consensus::group::Peer;

/// A new member gets a snapshot and what came after it; then it votes.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(60);

/// After this long a successor that was asked to lead does not want to.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(3);

/// What the log says about a lead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Member {
    pub(super) name: String,
    pub(super) peer: String,
    pub(super) api: String,
}

impl From<&Peer> for Member {
    fn from(peer: &Peer) -> Self {
        Self { name: peer.name.clone(), peer: peer.peer.clone(), api: peer.api.clone() }
    }
}

/// A wish about the group, which the leader carries out. Each may be asked for twice.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Membership {
    /// First a learner, a voter once it has caught up.
    Add { node: u64, member: Member },
    /// It counts no more: neither its votes nor what it has confirmed.
    Remove { node: u64 },
    /// Another voter leads; without a name, the one that is furthest.
    Transfer { to: Option<u64> },
}

/// Carried out by the leader; others say who that is.
pub(super) async fn change(raft: &Handle, wish: Membership) -> Tell {
    let result = match wish {
        Membership::Add { node, member } => add(raft, node, member).await,
        Membership::Remove { node } => remove(raft, node).await,
        Membership::Transfer { to } => transfer(raft, to).await,
    };
    result.unwrap_or_else(|tell| tell)
}

async fn add(raft: &Handle, node: u64, member: Member) -> Result<Tell, Tell> {
    confirm(raft).await?;
    if is_voter(raft, node) {
        return Ok(applied(raft));
    }
    tracing::info!(node, name = member.name, "a lead joins as learner");
    let learns = tokio::time::timeout(CATCH_UP_TIMEOUT, raft.add_learner(node, member, true)).await;
    learns
        .map_err(|_| {
            Tell::Refused(format!(
                "node {node} has not caught up within {} s and stays a learner; look at its log, then add it \
                 again",
                CATCH_UP_TIMEOUT.as_secs()
            ))
        })?
        .map_err(refusal)?;
    let change = ChangeMembers::AddVoterIds(BTreeSet::from([node]));
    let written = raft.change_membership(change, true).await.map_err(refusal)?;
    tracing::info!(node, "a lead has caught up and votes");
    Ok(index(&written))
}

async fn remove(raft: &Handle, node: u64) -> Result<Tell, Tell> {
    let members = confirm(raft).await?;
    let voters: Vec<u64> = raft.voter_ids().collect();
    if voters == [node] {
        return Err(Tell::Refused(format!("node {node} is the last voter: without it nothing is left")));
    }
    if node == *raft.node_id() {
        // The caller finds the successor, which then removes us.
        return transfer(raft, None).await;
    }
    if !members.contains(&node) {
        return Ok(applied(raft));
    }
    let change = match voters.contains(&node) {
        true => ChangeMembers::RemoveVoters(BTreeSet::from([node])),
        false => ChangeMembers::RemoveNodes(BTreeSet::from([node])),
    };
    let written = raft.change_membership(change, false).await.map_err(refusal)?;
    tracing::info!(node, "a lead belongs to the group no more");
    Ok(index(&written))
}

/// Whether its votes count, as the leader knows.
pub(super) async fn votes(raft: &Handle, node: u64) -> Tell {
    confirm(raft).await.map_or_else(|tell| tell, |_| Tell::Votes(is_voter(raft, node)))
}

/// Ends with `NotLeader` once another one leads.
async fn transfer(raft: &Handle, to: Option<u64>) -> Result<Tell, Tell> {
    confirm(raft).await?;
    let me = *raft.node_id();
    if to == Some(me) {
        return Ok(applied(raft));
    }
    let to = match to {
        Some(to) if is_voter(raft, to) => to,
        Some(to) => return Err(Tell::Refused(format!("node {to} is no voter: it cannot lead"))),
        None => furthest(raft).ok_or_else(|| Tell::Refused("there is no other voter".into()))?,
    };
    tracing::info!(to, "handing the leadership over");
    raft.trigger().transfer_leader(to).await.map_err(|error| Tell::Refused(error.to_string()))?;
    let another = |metrics: &RaftMetrics<Types>| metrics.current_leader.is_some_and(|leader| leader != me);
    match raft.wait(Some(HAND_OVER_TIMEOUT)).metrics(another, "another leader").await {
        Ok(metrics) => Err(Tell::NotLeader { leader: metrics.current_leader }),
        Err(_) => Err(Tell::Refused(format!("node {to} has not taken over; it may be down or behind"))),
    }
}

/// The voter that has most of the log: it is elected at once.
pub(super) fn furthest(raft: &Handle) -> Option<u64> {
    let metrics = raft.metrics().borrow_watched().clone();
    let voters: BTreeSet<u64> = metrics.membership_config.membership().voter_ids().collect();
    let others = voters.into_iter().filter(|node| node != raft.node_id());
    let replication = metrics.replication.unwrap_or_default();
    others.max_by_key(|node| replication.get(node).cloned().flatten().map(|log_id| log_id.index))
}

/// The leader, and no other one meanwhile: the nodes that it counts.
async fn confirm(raft: &Handle) -> Result<BTreeSet<u64>, Tell> {
    raft.ensure_linearizable(ReadPolicy::ReadIndex).await.map_err(read_refusal)?;
    let metrics = raft.metrics().borrow_watched().clone();
    Ok(metrics.membership_config.membership().nodes().map(|(node, _)| *node).collect())
}

fn is_voter(raft: &Handle, node: u64) -> bool {
    raft.voter_ids().any(|voter| voter == node)
}

fn applied(raft: &Handle) -> Tell {
    Tell::Index(raft.metrics().borrow_watched().last_applied.map_or(0, |applied| applied.index))
}

fn index(written: &ClientWriteResponse<Types>) -> Tell {
    Tell::Index(written.log_id.index)
}

fn refusal(error: RaftError<Types, ClientWriteError<Types>>) -> Tell {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            Tell::NotLeader { leader: forward.leader_id }
        }
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => Tell::Unknown,
        error => Tell::Refused(error.to_string()),
    }
}

pub(super) fn read_refusal(error: RaftError<Types, LinearizableReadError<Types>>) -> Tell {
    match error {
        RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) => {
            Tell::NotLeader { leader: forward.leader_id }
        }
        // Nobody has confirmed that this lead still leads.
        RaftError::APIError(_) => Tell::NotLeader { leader: None },
        error => Tell::Refused(error.to_string()),
    }
}

/// The group, as this lead sees it.
pub(super) fn views(raft: &Handle) -> Vec<LeadView> {
    let metrics = raft.metrics().borrow_watched().clone();
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let leads = metrics.state == ServerState::Leader;
    let view = |(node, member): (&u64, &Member)| {
        let replicated = metrics.replication.as_ref().and_then(|all| all.get(node).cloned().flatten());
        let own = (*node == metrics.id).then_some(metrics.last_log_index).flatten();
        LeadView {
            name: member.name.clone(),
            node: *node,
            role: match voters.contains(node) {
                true if metrics.current_leader == Some(*node) => LeadRole::Leader,
                true => LeadRole::Follower,
                false => LeadRole::Learner,
            },
            peer: member.peer.clone(),
            api: member.api.clone(),
            term: metrics.current_term,
            index: own.or(replicated.filter(|_| leads).map(|log_id| log_id.index)),
        }
    };
    membership.nodes().map(view).collect()
}
