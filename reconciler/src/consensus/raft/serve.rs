//! What a lead answers to the others.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use openraft::raft::ReadPolicy;
use openraft::type_config::alias::SnapshotOf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use super::members::{self, read_refusal};
use super::secured::Secured;
use super::snapshot::Bytes;
use super::wire::{self, Ask, FRAME_BYTES_MAX, HELLO_BYTES_MAX, Hello, PROTOCOL, Standing, Stream, Tell};
use super::{Handle, Types, write};
use crate::consensus::Note;
use crate::tls::names;

/// Seven peers with a dozen connections each; more is no group of leads.
const CONNECTIONS_MAX: usize = 128;

/// A caller says who it is within this time.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);

/// Heartbeats come many times a second: a connection that is silent for so long is one that nobody needs.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Between two failures to accept: the machine is short of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The way in. It is open before this lead belongs to the group, so that leads can find each other.
pub(super) struct Door {
    node: u64,
    raft: OnceLock<Handle>,
    standing: AtomicU8,
    notes: mpsc::Sender<Note>,
    secured: Secured,
}

impl Door {
    pub(super) fn new(node: u64, standing: Standing, notes: mpsc::Sender<Note>, secured: Secured) -> Self {
        Self { node, raft: OnceLock::new(), standing: AtomicU8::new(standing as u8), notes, secured }
    }

    pub(super) fn opened(&self, raft: Handle, standing: Standing) {
        self.raft.set(raft).ok();
        self.standing.store(standing as u8, Ordering::Release);
    }

    async fn standing(&self) -> Standing {
        if let Some(raft) = self.raft.get()
            && raft.is_initialized().await.unwrap_or(true)
        {
            return Standing::Member;
        }
        match self.standing.load(Ordering::Acquire) {
            0 => Standing::Empty,
            1 => Standing::Ready,
            _ => Standing::Member,
        }
    }

    async fn answer(&self, ask: Ask, stream: &mut Stream) -> std::io::Result<Tell> {
        if let Ask::Standing = ask {
            return Ok(Tell::Standing(self.standing().await));
        }
        let state = match ask {
            Ask::Snapshot { .. } => Some(wire::receive_bytes(stream, FRAME_BYTES_MAX).await?),
            _ => None,
        };
        // Until then it must not vote: it may have forgotten for whom it voted before.
        let Some(raft) = self.raft.get() else {
            return Ok(Tell::Refused(
                "it does not take part yet: it is starting, or its disk is empty".into(),
            ));
        };
        Ok(self.answer_as_member(raft, ask, state).await.unwrap_or_else(Tell::Refused))
    }

    async fn answer_as_member(
        &self,
        raft: &Handle,
        ask: Ask,
        state: Option<Vec<u8>>,
    ) -> Result<Tell, String> {
        Ok(match ask {
            Ask::Append(request) => Tell::Append(raft.append_entries(request).await.map_err(text)?),
            Ask::Vote(request) => Tell::Vote(raft.vote(request).await.map_err(text)?),
            Ask::PreVote(request) => Tell::Vote(raft.pre_vote(request).await.map_err(text)?),
            Ask::Transfer(request) => {
                Tell::Transfer(raft.handle_transfer_leader(request).await.map_err(text)?)
            }
            Ask::Snapshot { vote, meta } => {
                let snapshot: Bytes = state.unwrap_or_default().into();
                let snapshot = SnapshotOf::<Types, Bytes> { meta, snapshot };
                Tell::Snapshot(raft.install_full_snapshot(vote, snapshot).await.map_err(text)?)
            }
            Ask::Standing => Tell::Standing(self.standing().await),
            Ask::Propose(command) => match write(raft, Arc::new(command), None).await {
                Ok((answer, index)) => Tell::Written { answer, index },
                Err(crate::consensus::Error::NotLeader { leader }) => Tell::NotLeader { leader },
                Err(crate::consensus::Error::Unknown) => Tell::Unknown,
                Err(error) => return Err(error.to_string()),
            },
            Ask::ReadIndex => match raft.get_read_log_id(ReadPolicy::ReadIndex).await {
                Ok((read, _)) => Tell::Index(read.index()),
                Err(error) => read_refusal(error),
            },
            Ask::Note(_) if !raft.is_leader() => Tell::NotLeader { leader: raft.current_leader().await },
            // What cannot be taken in now is said again by the next note.
            Ask::Note(note) => match self.notes.try_send(note) {
                Ok(()) => Tell::Index(0),
                Err(_) => return Err("it has too much to do".into()),
            },
            Ask::Votes(node) => members::votes(raft, node).await,
            Ask::Membership(wish) => members::change(raft, wish).await,
        })
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Goes on until it is dropped.
pub(super) async fn serve(listener: TcpListener, door: Arc<Door>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, from)) => {
                let door = door.clone();
                tokio::spawn(async move {
                    let _permit = permit;
                    if let Err(error) = converse(socket, &door).await {
                        tracing::debug!(%from, %error, "a connection of a peer has ended");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection of a peer cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(socket: TcpStream, door: &Door) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let greeted = tokio::time::timeout(GREETING_TIMEOUT, greet(socket, door)).await;
    let Some(mut stream) = greeted.map_err(|_| std::io::ErrorKind::TimedOut)?? else { return Ok(()) };
    loop {
        let asked = tokio::time::timeout(IDLE_TIMEOUT, wire::receive(&mut stream, FRAME_BYTES_MAX)).await;
        let Ok(asked) = asked else { return Ok(()) };
        let tell = match asked {
            Ok(ask) => door.answer(ask, &mut stream).await?,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        wire::send(&mut stream, &tell).await?;
    }
}

/// Learns who calls, and lets in who means us.
async fn greet(socket: TcpStream, door: &Door) -> std::io::Result<Option<Stream>> {
    let (mut stream, may_be) = door.secured.answer(socket).await?;
    let hello: Hello = wire::receive(&mut stream, HELLO_BYTES_MAX).await?;
    let refused = if hello.protocol != PROTOCOL {
        Some(format!("it speaks protocol {PROTOCOL}, not {}: run the same version", hello.protocol))
    } else if hello.to != door.node {
        Some(format!("it is node {}, not {}: mend `peers`", door.node, hello.to))
    } else if !may_be(&hello.name) {
        Some(format!("the certificate does not name {}", names::of_lead(&hello.name)))
    } else {
        None
    };
    let Some(why) = refused else {
        wire::send(&mut stream, &Tell::Welcome).await?;
        return Ok(Some(stream));
    };
    tracing::warn!(name = hello.name, node = hello.from, why, "a peer was refused");
    wire::send(&mut stream, &Tell::Refused(why)).await?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use openraft::raft::VoteRequest;
    use openraft::type_config::alias::VoteOf;

    use super::*;
    use crate::consensus::group::Peer;
    use crate::consensus::raft::links::{Broken, Links};

    #[tokio::test]
    async fn a_lead_with_an_empty_disk_says_so_and_does_not_vote() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let secured = Secured::new(None).unwrap();
        let door = Arc::new(Door::new(2, Standing::Empty, mpsc::channel(1).0, secured.clone()));
        let server = tokio::spawn(serve(listener, door));
        let peer =
            |node| Peer { name: format!("lead-{node}"), node, peer: address.clone(), api: String::new() };
        let links = Links::new(1, "lead-1".into(), &[peer(2), peer(3)], secured);
        let within = Duration::from_secs(10);

        let standing = links.ask(2, None, &Ask::Standing, None, within).await;
        assert!(matches!(standing, Ok(Tell::Standing(Standing::Empty))), "{standing:?}");
        for ask in [Ask::Vote, Ask::PreVote] {
            let ask = ask(VoteRequest::new(VoteOf::<Types>::new(7, 1), None));
            let vote = links.ask(2, None, &ask, None, within).await;
            assert!(matches!(&vote, Err(Broken::Refused { why, .. }) if why.contains("empty")), "{vote:?}");
        }
        // Somebody else listens where lead-3 was.
        let moved = links.ask(3, None, &Ask::Standing, None, within).await;
        let why = moved.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(why.contains("node 2, not 3"), "{why}");
        server.abort();
    }
}
