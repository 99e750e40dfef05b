//! Carries out what the core asks for.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use jiff::Timestamp;
use qonnect_core::forge::Wanted;
use qonnect_core::knowledge::Change;
use qonnect_core::lead::{Effect, Event};
use qonnect_schema::revision::Revision;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc as queue, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{Span, info_span};

use super::propose::Proposal;
use super::run::Events;
use super::trace::Trace;
use super::{deploy, spec};
use crate::consensus::{Consensus, Leadership};
use crate::forge;

/// Where effects go.
pub(super) struct Effects {
    pub(super) runtime: Handle,
    pub(super) consensus: Consensus,
    pub(super) events: Events,
    pub(super) deploy: mpsc::Sender<deploy::Task>,
    pub(super) spec: mpsc::Sender<spec::Work>,
    pub(super) fetch: Arc<Notify>,
    pub(super) proposals: queue::UnboundedSender<Proposal>,
    /// Absent: Git says it all.
    pub(super) forge: Option<watch::Sender<Option<forge::Order>>>,
    pub(super) revision: watch::Sender<Option<Arc<Revision>>>,
    pub(super) term: Option<Term>,
    pub(super) alarm: Option<JoinHandle<()>>,
    pub(super) trace: Trace,
}

/// A leadership, and what ends with it.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) leadership: Leadership,
    pub(super) end: CancellationToken,
}

/// A part of the lead has ended: so does the core.
#[derive(Debug)]
pub(super) struct Gone;

impl<T> From<mpsc::SendError<T>> for Gone {
    fn from(_: mpsc::SendError<T>) -> Self {
        Self
    }
}

impl Effects {
    pub(super) fn carry_out(&mut self, effect: Effect) -> Result<(), Gone> {
        match effect {
            Effect::Propose(change) => {
                let span = match &change {
                    Change::Outcome { intent, outcome } => {
                        info_span!(parent: &self.trace.end(intent, outcome), "settle")
                    }
                    _ => Span::none(),
                };
                self.propose(change, span)?;
            }
            Effect::Record(intent) => {
                let span = info_span!(parent: self.trace.of(&intent.id), "record");
                self.propose(Change::Intent(intent), span)?;
            }
            Effect::Restore(good) => {
                let knowledge = self.consensus.knowledge();
                self.spec.send(spec::Work::Restore { good, knowledge })?;
            }
            Effect::ReadApproved(good) => {
                let knowledge = self.consensus.knowledge();
                self.spec.send(spec::Work::ReadApproved { good, knowledge })?;
            }
            Effect::Review(ask) => self.deploy(deploy::Work::Review(ask), Span::none())?,
            Effect::ReadSpec(epoch) => {
                self.spec.send(spec::Work::Answer(epoch))?;
                self.fetch.notify_one();
            }
            Effect::Show(revision) => drop(self.revision.send_replace(Some(revision))),
            Effect::ReadTip { branch, after, asks, expected } => {
                self.later(after, deploy::Work::Read { branch, asks, expected })?;
            }
            Effect::Write(draft) => {
                self.trace.begin(&draft);
                let span = info_span!(parent: self.trace.of(&draft.intent), "write");
                self.deploy(deploy::Work::Write(draft), span)?;
            }
            Effect::Push { branch, intent, commit, base } => {
                let span = info_span!(parent: self.trace.of(&intent), "push", commit);
                self.deploy(deploy::Work::Push { branch, intent, commit, base }, span)?;
            }
            Effect::Forge(wanted) => self.show(wanted),
            Effect::WakeAt(at) => self.wake(at),
        }
        Ok(())
    }

    fn propose(&self, change: Change, span: Span) -> Result<(), Gone> {
        let Some(Term { leadership, .. }) = self.term else { return Ok(()) };
        self.proposals.send(Proposal { leadership, change, span }).map_err(|_| Gone)
    }

    fn show(&self, wanted: Arc<Wanted>) {
        if let (Some(forge), Some(Term { end, .. })) = (&self.forge, &self.term) {
            forge.send_replace(Some(forge::Order { wanted, end: end.clone() }));
        }
    }

    fn deploy(&self, work: deploy::Work, span: Span) -> Result<(), Gone> {
        let Some(Term { end, .. }) = &self.term else { return Ok(()) };
        Ok(self.deploy.send(deploy::Task { work, end: end.clone(), span })?)
    }

    fn later(&self, after: Duration, work: deploy::Work) -> Result<(), Gone> {
        if after.is_zero() {
            return self.deploy(work, Span::none());
        }
        let Some(Term { end, .. }) = &self.term else { return Ok(()) };
        let task = deploy::Task { work, end: end.clone(), span: Span::none() };
        let deploy = self.deploy.clone();
        self.runtime.spawn(async move {
            tokio::time::sleep(after).await;
            // If that thread has ended, the next effect finds out.
            drop(deploy.send(task));
        });
        Ok(())
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
