//! Carries out what the core asks for.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use jiff::Timestamp;
use qonnect_core::knowledge::Change;
use qonnect_core::lead::{Effect, Event};
use qonnect_schema::revision::Revision;
use tokio::runtime::Handle;
use tokio::sync::{mpsc as queue, watch};
use tokio::task::JoinHandle;

use super::propose::Proposal;
use super::run::Events;
use super::{deploy, spec};
use crate::consensus::{Consensus, Leadership};

/// Where effects go.
pub(super) struct Effects {
    pub(super) runtime: Handle,
    pub(super) consensus: Consensus,
    pub(super) events: Events,
    pub(super) deploy: mpsc::Sender<deploy::Work>,
    pub(super) spec: mpsc::Sender<spec::Work>,
    pub(super) proposals: queue::UnboundedSender<Proposal>,
    pub(super) revision: watch::Sender<Option<Arc<Revision>>>,
    pub(super) leadership: Option<Leadership>,
    pub(super) alarm: Option<JoinHandle<()>>,
}

impl Effects {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Propose(change) => self.propose(change),
            Effect::Record(intent) => self.propose(Change::Intent(intent)),
            Effect::Restore(good) => {
                let knowledge = self.consensus.knowledge();
                gone(self.spec.send(spec::Work::Restore { good, knowledge }));
            }
            Effect::Show(revision) => drop(self.revision.send_replace(Some(revision))),
            Effect::ReadTip { branch, after, asks } => self.later(after, deploy::Work::Read { branch, asks }),
            Effect::Write(draft) => gone(self.deploy.send(deploy::Work::Write(draft))),
            Effect::Push { branch, intent, commit, base } => {
                gone(self.deploy.send(deploy::Work::Push { branch, intent, commit, base }));
            }
            Effect::WakeAt(at) => self.wake(at),
        }
    }

    fn propose(&self, change: Change) {
        if let Some(leadership) = self.leadership {
            gone(self.proposals.send(Proposal { leadership, change }));
        }
    }

    fn later(&self, after: Duration, work: deploy::Work) {
        if after.is_zero() {
            return gone(self.deploy.send(work));
        }
        let deploy = self.deploy.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(after).await;
            gone(deploy.send(work));
        });
    }

    /// One alarm at a time: each decision names the next moment anew.
    fn wake(&mut self, at: Timestamp) {
        let until = at.duration_since(Timestamp::now()).max(jiff::SignedDuration::ZERO);
        let events = self.events.clone();
        let alarm = self.runtime.spawn(async move {
            tokio::time::sleep(until.unsigned_abs()).await;
            events.send(Event::Tick);
        });
        if let Some(previous) = self.alarm.replace(alarm) {
            previous.abort();
        }
    }
}

/// A receiver is gone only when the lead is ending: then nothing is left to do.
fn gone<E>(result: Result<(), E>) {
    drop(result);
}
