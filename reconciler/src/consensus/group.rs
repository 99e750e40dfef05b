//! The leads that keep one Knowledge Base together, as the configuration names them.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Error;

/// Who this lead is, and with whom it shares the Knowledge Base.
#[derive(Debug, Clone)]
pub struct Group {
    /// The name of this lead; `peers` holds it too.
    pub name: String,
    /// Where it listens for its peers.
    pub listen: SocketAddr,
    pub peers: Vec<Peer>,
    /// Absent: plain text, which is for loopback only.
    pub tls: Option<PeerTls>,
    pub timers: Timers,
}

/// A lead as its peers know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Peer {
    pub name: String,
    /// Its number; it never changes, and never passes to another lead.
    pub node: u64,
    /// `HOST:PORT` where it listens for its peers.
    pub peer: String,
    /// The URL of its API.
    pub api: String,
}

/// PEM files, read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeerTls {
    /// It names the lead: `NAME.lead.qonnect.internal`.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose certificates peers show.
    pub authority: PathBuf,
}

/// How long leads wait for each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timers {
    /// One site: a new leader about a second after the old one died.
    #[default]
    Lan,
    /// Sites that are tens of milliseconds apart.
    Wan,
}

impl Timers {
    /// Heartbeat, shortest and longest election timeout, in milliseconds.
    pub(super) fn millis(self) -> (u64, u64, u64) {
        match self {
            Self::Lan => (100, 300, 500),
            Self::Wan => (250, 750, 1_500),
        }
    }
}

impl Group {
    pub(super) fn check(&self, node: u64) -> Result<(), Error> {
        let wrong = |why: String| Err(Error::Group(why));
        match self.peers.iter().find(|peer| peer.name == self.name) {
            Some(peer) if peer.node == node => {}
            Some(peer) => return wrong(format!("`{}` is node {}, not {node}", self.name, peer.node)),
            None => return wrong(format!("`{}` is not among them", self.name)),
        }
        for (at, peer) in self.peers.iter().enumerate() {
            if let Some(twin) =
                self.peers[..at].iter().find(|other| other.name == peer.name || other.node == peer.node)
            {
                return wrong(format!("`{}` and `{}` share a name or a node", twin.name, peer.name));
            }
            if self.tls.is_none() && !is_loopback(&peer.peer) {
                return wrong(format!(
                    "`{}` is at {}, which is not loopback: give `peerTls` (`qonnect certs` makes the files)",
                    peer.name, peer.peer
                ));
            }
        }
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            return wrong(format!("{} is not loopback: give `peerTls`", self.listen));
        }
        Ok(())
    }
}

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, addresses: &[&str]) -> Group {
        let peers = addresses.iter().enumerate().map(|(at, address)| Peer {
            name: format!("lead-{}", at + 1),
            node: at as u64 + 1,
            peer: (*address).into(),
            api: "http://127.0.0.1:1".into(),
        });
        Group {
            name: name.into(),
            listen: "127.0.0.1:0".parse().unwrap(),
            peers: peers.collect(),
            tls: None,
            timers: Timers::Lan,
        }
    }

    #[test]
    fn a_group_is_refused_with_what_is_wrong_about_it() {
        let loopback = ["127.0.0.1:1", "localhost:2", "[::1]:3"];
        assert!(group("lead-2", &loopback).check(2).is_ok());
        let said = |group: Group, node| group.check(node).unwrap_err().to_string();
        assert!(said(group("lead-2", &loopback), 3).contains("node 2, not 3"));
        assert!(said(group("lead-9", &loopback), 9).contains("not among them"));
        assert!(said(group("lead-1", &["127.0.0.1:1", "10.0.0.2:1"]), 1).contains("peerTls"));
        let mut twins = group("lead-1", &loopback);
        twins.peers[2].node = 1;
        assert!(said(twins, 1).contains("`lead-1` and `lead-3`"));
        let mut open = group("lead-1", &loopback);
        open.listen = "0.0.0.0:0".parse().unwrap();
        assert!(said(open, 1).contains("peerTls"));
    }
}
