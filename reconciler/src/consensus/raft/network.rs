//! The seam to the other leads, as openraft wants it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotOf, VoteOf};

use super::Types;
use super::links::Links;
use super::members::Member;
use super::snapshot::Bytes;
use super::wire::{Ask, Tell};

/// Entries wait for the disk of the follower, which may be slow without being dead.
const ENTRIES_TIMEOUT: Duration = Duration::from_secs(5);

/// A snapshot is sent, written and synced.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(120);

pub(super) struct Network(pub(super) Arc<Links>);

pub(super) struct Client {
    links: Arc<Links>,
    target: u64,
    member: Member,
}

impl Client {
    /// Whatever fails is told as a peer that is down: openraft then backs off instead of trying again at once.
    async fn ask(
        &self,
        ask: Ask,
        state: Option<&[u8]>,
        within: Duration,
    ) -> Result<Tell, Unreachable<Types>> {
        let answer = self.links.ask(self.target, Some(&self.member), &ask, state, within).await;
        answer.map_err(|broken| Unreachable::new(&broken))
    }
}

fn nonsense(tell: &Tell) -> Unreachable<Types> {
    Unreachable::from_string(format!("a lead answers {tell:?} to another question"))
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, member: &Member) -> Client {
        Client { links: self.0.clone(), target, member: member.clone() }
    }
}

impl RaftNetworkV2<Types> for Client {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let within = if request.entries.is_empty() { option.soft_ttl() } else { ENTRIES_TIMEOUT };
        match self.ask(Ask::Append(request), None, within).await? {
            Tell::Append(response) => Ok(response),
            other => Err(nonsense(&other).into()),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.ask(Ask::Vote(request), None, option.soft_ttl()).await? {
            Tell::Vote(response) => Ok(response),
            other => Err(nonsense(&other).into()),
        }
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.ask(Ask::PreVote(request), None, option.soft_ttl()).await? {
            Tell::Vote(response) => Ok(response),
            other => Err(nonsense(&other).into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        match self.ask(Ask::Transfer(request), None, option.soft_ttl()).await? {
            Tell::Transfer(response) => Ok(response),
            other => Err(nonsense(&other).into()),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: VoteOf<Types>,
        snapshot: SnapshotOf<Types, Bytes>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let ask = Ask::Snapshot { vote, meta: snapshot.meta };
        let sent = tokio::select! {
            sent = self.ask(ask, Some(&snapshot.snapshot), SNAPSHOT_TIMEOUT) => sent?,
            closed = cancel => return Err(closed.into()),
        };
        match sent {
            Tell::Snapshot(response) => Ok(response),
            other => Err(nonsense(&other).into()),
        }
    }
}
