//! What leads say to each other: frames of a length and JSON, a question and its answer in turn.

use std::io;

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::type_config::alias::{SnapshotMetaOf, VoteOf};
use qonnect_core::knowledge::{Answer, Command};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Types;
use super::members::Membership;
use crate::consensus::Note;

/// Another number, another language: both sides must speak the same.
pub(super) const PROTOCOL: u32 = 1;

/// What a stranger may make us read before it has said who it is.
pub(super) const HELLO_BYTES_MAX: usize = 4 << 10;

/// So many entries in one message, each at most a report of 8 MiB.
pub(super) const ENTRIES_MAX: u64 = 32;

/// The longest message: [`ENTRIES_MAX`] of the longest reports, or a snapshot of some 50,000 nodes.
pub(super) const FRAME_BYTES_MAX: usize = 256 << 20;

/// Memory for a message grows with what has arrived, not with what was announced.
const READ_AHEAD_BYTES: usize = 64 << 10;

pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

pub(super) type Stream = Box<dyn Wire>;

/// The first words on a connection.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) protocol: u32,
    pub(super) from: u64,
    pub(super) name: String,
    /// Whom the caller means to reach: addresses may have changed hands.
    pub(super) to: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Types>),
    PreVote(VoteRequest<Types>),
    Transfer(TransferLeaderRequest<Types>),
    /// The state itself follows in a frame of its own.
    Snapshot {
        vote: VoteOf<Types>,
        meta: SnapshotMetaOf<Types>,
    },
    Standing,
    /// What follows only the leader answers.
    Propose(Command),
    ReadIndex,
    Note(Note),
    /// Does this node vote?
    Votes(u64),
    Membership(Membership),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Tell {
    Welcome,
    Append(AppendEntriesResponse<Types>),
    Vote(VoteResponse<Types>),
    Transfer(TransferLeaderResponse<Types>),
    Snapshot(SnapshotResponse<Types>),
    Standing(Standing),
    Written {
        answer: Answer,
        index: u64,
    },
    /// What was asked for is done, or can be read, from this index on.
    Index(u64),
    Votes(bool),
    NotLeader {
        leader: Option<u64>,
    },
    Unknown,
    Refused(String),
}

/// How far a lead is on its way into a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    /// Its disk is empty.
    Empty,
    /// It has seen that no lead belongs to a group yet, and takes part in founding one.
    Ready,
    Member,
}

pub(super) async fn send(stream: &mut Stream, message: &impl Serialize) -> io::Result<()> {
    send_bytes(stream, &serde_json::to_vec(message)?).await
}

pub(super) async fn send_bytes(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other(format!("{} bytes are too long", bytes.len())))?;
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

pub(super) async fn receive<T: DeserializeOwned>(stream: &mut Stream, bytes_max: usize) -> io::Result<T> {
    Ok(serde_json::from_slice(&receive_bytes(stream, bytes_max).await?)?)
}

pub(super) async fn receive_bytes(stream: &mut Stream, bytes_max: usize) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await? as usize;
    if length > bytes_max {
        return Err(io::Error::other(format!("{length} bytes are more than {bytes_max}")));
    }
    let mut bytes = Vec::with_capacity(length.min(READ_AHEAD_BYTES));
    stream.take(length as u64).read_to_end(&mut bytes).await?;
    match bytes.len() == length {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Stream, Stream) {
        let (a, b) = tokio::io::duplex(1 << 20);
        (Box::new(a), Box::new(b))
    }

    #[tokio::test]
    async fn frames_arrive_whole_or_as_an_error() {
        let (mut a, mut b) = pair();
        send(&mut a, &Standing::Ready).await.unwrap();
        assert_eq!(receive::<Standing>(&mut b, 100).await.unwrap(), Standing::Ready);
        send_bytes(&mut a, &[0; 101]).await.unwrap();
        let error = receive_bytes(&mut b, 100).await.unwrap_err();
        assert!(error.to_string().contains("more than 100"), "{error}");
        let (mut a, mut b) = pair();
        a.write_all(&[0, 0, 0, 9, b'x']).await.unwrap();
        drop(a);
        assert_eq!(receive_bytes(&mut b, 100).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
