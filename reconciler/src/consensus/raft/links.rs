//! Connections to the other leads: opened when needed, kept for the next question.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;

use super::members::Member;
use super::secured::Secured;
use super::wire::{self, Ask, FRAME_BYTES_MAX, HELLO_BYTES_MAX, Hello, PROTOCOL, Stream, Tell};
use crate::consensus::group::Peer;

/// Replication, heartbeats, votes and forwarded questions each keep one busy.
const IDLE_MAX: usize = 8;

pub(super) struct Links {
    node: u64,
    name: String,
    /// Addresses of the configuration: they win over those that the group remembers.
    known: BTreeMap<u64, Member>,
    idle: Mutex<BTreeMap<u64, Vec<Stream>>>,
    secured: Secured,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("{name} at {address} cannot be reached: {source}")]
    Unreachable { name: String, address: String, source: io::Error },
    #[error("{name} does not answer within {} ms", .within.as_millis())]
    Silent { name: String, within: Duration },
    #[error("{name} refuses: {why}")]
    Refused { name: String, why: String },
}

impl Links {
    pub(super) fn new(node: u64, name: String, peers: &[Peer], secured: Secured) -> Self {
        let known = peers.iter().map(|peer| (peer.node, Member::from(peer))).collect();
        Self { node, name, known, idle: Mutex::default(), secured }
    }

    pub(super) fn known(&self) -> &BTreeMap<u64, Member> {
        &self.known
    }

    /// One question and its answer. A kept connection may have died: what breaks there is asked again on a new
    /// one, so a question may arrive twice.
    pub(super) async fn ask(
        &self,
        node: u64,
        member: Option<&Member>,
        ask: &Ask,
        state: Option<&[u8]>,
        within: Duration,
    ) -> Result<Tell, Broken> {
        let name = || member.map_or_else(|| format!("node {node}"), |member| member.name.clone());
        let Some(member) = self.known.get(&node).or(member) else {
            let source = io::Error::new(io::ErrorKind::NotFound, "its address is not known");
            return Err(Broken::Unreachable { name: name(), address: "?".into(), source });
        };
        let talk = async {
            let kept = self.idle().get_mut(&node).and_then(Vec::pop);
            if let Some(stream) = kept
                && let Ok(tell) = self.exchange(node, stream, ask, state).await
            {
                return Ok(tell);
            }
            let stream = self.open(node, member).await?;
            self.exchange(node, stream, ask, state).await
        };
        match tokio::time::timeout(within, talk).await {
            Ok(Ok(Tell::Refused(why))) => Err(Broken::Refused { name: member.name.clone(), why }),
            Ok(Ok(tell)) => Ok(tell),
            Ok(Err(source)) => {
                let (name, address) = (member.name.clone(), member.peer.clone());
                Err(Broken::Unreachable { name, address, source })
            }
            Err(_) => Err(Broken::Silent { name: member.name.clone(), within }),
        }
    }

    async fn exchange(
        &self,
        node: u64,
        mut stream: Stream,
        ask: &Ask,
        state: Option<&[u8]>,
    ) -> io::Result<Tell> {
        wire::send(&mut stream, ask).await?;
        if let Some(state) = state {
            wire::send_bytes(&mut stream, state).await?;
        }
        let tell = wire::receive(&mut stream, FRAME_BYTES_MAX).await?;
        let mut idle = self.idle();
        let kept = idle.entry(node).or_default();
        if kept.len() < IDLE_MAX {
            kept.push(stream);
        }
        Ok(tell)
    }

    async fn open(&self, node: u64, member: &Member) -> io::Result<Stream> {
        let socket = TcpStream::connect(&member.peer).await?;
        socket.set_nodelay(true)?;
        let mut stream = self.secured.call(socket, &member.name).await?;
        let hello = Hello { protocol: PROTOCOL, from: self.node, name: self.name.clone(), to: node };
        wire::send(&mut stream, &hello).await?;
        match wire::receive(&mut stream, HELLO_BYTES_MAX).await? {
            Tell::Welcome => Ok(stream),
            Tell::Refused(why) => Err(io::Error::new(io::ErrorKind::PermissionDenied, why)),
            other => Err(io::Error::other(format!("it greets with {other:?}"))),
        }
    }

    fn idle(&self) -> MutexGuard<'_, BTreeMap<u64, Vec<Stream>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
