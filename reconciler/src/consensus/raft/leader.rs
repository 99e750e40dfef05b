//! What only the leader can answer, asked from wherever this lead stands.

use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::ReadPolicy;
use qonnect_core::knowledge::{Answer, Command};

use super::members::{self, Membership, read_refusal};
use super::wire::{Ask, Tell};
use super::{Raft, write};
use crate::consensus::{Error, Note};

/// While nobody leads: an election takes about a second.
const PAUSE: Duration = Duration::from_millis(50);

/// A leader that hangs is noticed by its followers long before; then the question goes to the next one.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// A change of the group waits until a learner has caught up.
const MEMBERSHIP_TIMEOUT: Duration = Duration::from_secs(70);

/// The log up to an index comes to a follower with the next heartbeat.
const APPLY_TIMEOUT: Duration = Duration::from_secs(10);

impl Raft {
    /// Applied when it returns, here too. Elections are waited for: the key keeps it from counting twice.
    pub(in super::super) async fn propose(&self, command: Command) -> Result<Answer, Error> {
        loop {
            let tell = match self.here() {
                true => match write(&self.raft, command.clone().into(), None).await {
                    Ok((answer, _)) => return Ok(answer),
                    Err(Error::NotLeader { leader }) => Tell::NotLeader { leader },
                    Err(Error::Unknown) => Tell::Unknown,
                    Err(error) => return Err(error),
                },
                false => self.ask_leader(&Ask::Propose(command.clone()), ASK_TIMEOUT).await,
            };
            match tell {
                Tell::Written { answer, index } => {
                    self.applied(index).await?;
                    return Ok(answer);
                }
                _ => self.pause().await,
            }
        }
    }

    /// Everything that was acknowledged before the call is applied here when it returns.
    pub(in super::super) async fn linearizable(&self) -> Result<(), Error> {
        loop {
            let tell = match self.here() {
                true => match self.raft.get_read_log_id(ReadPolicy::ReadIndex).await {
                    Ok((read, _)) => Tell::Index(read.index()),
                    Err(error) => read_refusal(error),
                },
                false => self.ask_leader(&Ask::ReadIndex, ASK_TIMEOUT).await,
            };
            match tell {
                Tell::Index(index) => return self.applied(index).await,
                _ => self.pause().await,
            }
        }
    }

    /// Said once; whoever says it has more to say soon.
    pub(in super::super) async fn note(&self, note: Note) -> Result<(), Error> {
        match self.ask_leader(&Ask::Note(note), ASK_TIMEOUT).await {
            Tell::Index(_) => Ok(()),
            Tell::NotLeader { leader } => Err(Error::NotLeader { leader }),
            Tell::Refused(why) => Err(Error::Refused(why)),
            _ => Err(Error::Unknown),
        }
    }

    pub(in super::super) async fn change(&self, wish: Membership) -> Result<(), Error> {
        loop {
            let tell = match self.here() {
                true => members::change(&self.raft, wish.clone()).await,
                false => self.ask_leader(&Ask::Membership(wish.clone()), MEMBERSHIP_TIMEOUT).await,
            };
            match (tell, &wish) {
                // Whoever is out is told nothing more.
                (Tell::Index(_), Membership::Remove { node }) if node == self.raft.node_id() => return Ok(()),
                (Tell::Index(index), _) => return self.applied(index).await,
                (Tell::NotLeader { leader: Some(_) }, Membership::Transfer { to: None }) => return Ok(()),
                (Tell::Refused(why), _) => return Err(Error::Refused(why)),
                _ => self.pause().await,
            }
        }
    }

    fn here(&self) -> bool {
        *self.leader.borrow() == Some(*self.raft.node_id())
    }

    /// `NotLeader` where nobody leads or the leadership has changed meanwhile, `Unknown` without an answer.
    async fn ask_leader(&self, ask: &Ask, within: Duration) -> Tell {
        let mut leader = self.leader.clone();
        let Some(node) = *leader.borrow_and_update() else { return Tell::NotLeader { leader: None } };
        let membership = self.raft.metrics().borrow_watched().membership_config.clone();
        let member = membership.membership().get_node(&node).cloned();
        tokio::select! {
            answer = self.links.ask(node, member.as_ref(), ask, None, within) => match answer {
                Ok(tell) => tell,
                Err(super::links::Broken::Refused { why, .. }) => Tell::Refused(why),
                Err(error) => {
                    tracing::debug!(%error, "the leader does not answer");
                    Tell::Unknown
                }
            },
            _ = leader.changed() => Tell::NotLeader { leader: None },
        }
    }

    async fn applied(&self, index: u64) -> Result<(), Error> {
        let wait = self.raft.wait(Some(APPLY_TIMEOUT));
        wait.applied_index_at_least(Some(index), "a read index").await.map(drop).map_err(|_| Error::Unknown)
    }

    async fn pause(&self) {
        let mut leader = self.leader.clone();
        leader.mark_unchanged();
        tokio::time::timeout(PAUSE, leader.changed()).await.ok();
    }
}
