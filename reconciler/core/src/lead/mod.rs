//! What a lead does next: event in, effects out.
//!
//! ```text
//! Leading ─▶ read the tip ─▶ barrier ─▶ idle ─▶ write ─▶ record the intent ─▶ push ─▶ record the outcome ─┐
//!                               ▲         ▲                                    │                          │
//!                               │         └────────────────────────────────────┼──────────────────────────┘
//!                               └── look the tip up ◀── lost or unknown ───────┘
//! ```
//!
//! *Guarantees:* nothing is published before this leadership's barrier; every commit is recorded before it is
//! pushed, onto the tip that it was planned on; one is under way at a time; what is not known is looked up. A
//! leadership goes on from what the Knowledge Base calls good, and judges no commit before it has read the spec
//! branch itself: what a follower has read may be older than what was published meanwhile.
//! *Assumes* that proposals are applied in the order in which they are asked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use qonnect_schema::api::EventSeverity;
use qonnect_schema::revision::Revision;
use qonnect_schema::{Epoch, Origin};

use crate::decision::{Deployed, Draft};
use crate::forge::Wanted;
use crate::hold::{Candidate, Effective};
use crate::knowledge::{Change, Good, Intent, Knowledge};

mod board;
mod desk;
mod fence;
mod intents;
mod judging;
mod leadership;
mod planning;
mod relevant;
#[cfg(test)]
mod tests;
mod waiting;

pub use desk::{Ask, Told};
pub use fence::Fence;
use leadership::{Leadership, Sources};
use waiting::Waiting;

/// A reason to wake up.
#[derive(Debug, Clone)]
pub enum Event {
    /// This lead is the leader; its epoch is open in the Knowledge Base.
    Leading(Epoch),
    Deposed,
    Knowledge(Arc<Knowledge>),
    /// The newest commit of the spec branch was read and checked.
    Candidate(Box<Candidate>),
    /// The spec branch was read as [`Effect::ReadSpec`] asked; no candidate is newer than the last one.
    SpecRead(Epoch),
    /// It could not be read several times in a row.
    SpecUnreadable(String),
    /// What counted before the start was read again, or cannot be.
    Restored(Option<Effective>),
    /// What people have approved was read again, or cannot be.
    Approved {
        good: Good,
        effective: Option<Effective>,
    },
    /// The review branches were read, or written.
    Review(Told),
    Tip(Box<Tip>),
    /// The deploy branch stands where it was expected.
    TipUnchanged,
    /// The deploy branch could not be read.
    TipUnreadable,
    /// It is time to look whether somebody else has written the deploy branch.
    Poll,
    /// A moment that [`Effect::WakeAt`] asked for.
    Tick,
    /// A draft has become a commit in the local clone.
    Written {
        intent: String,
        commit: String,
    },
    /// The draft could not be written.
    NotWritten {
        intent: String,
    },
    /// The intent is in the log, or the leadership is over.
    Recorded {
        intent: String,
        accepted: bool,
    },
    Pushed {
        intent: String,
        result: Pushed,
    },
}

/// What came of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    Published,
    /// The branch did not stand where it was expected.
    Lost,
    Refused(String),
    /// It may or may not have arrived.
    Unknown,
}

/// The deploy branch, as it was read.
#[derive(Debug, Clone)]
pub struct Tip {
    pub deployed: Deployed,
    /// Who wrote the newest commit of a group of leads in its history; absent if there is none.
    pub origin: Option<Origin>,
    /// The commits that were asked for.
    pub asks: BTreeSet<String>,
    /// Those of them that are in the history of the tip.
    pub contains: BTreeSet<String>,
}

/// A thing to do. The shell does them in order, and reports with an [`Event`] where one fits.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Tries until it is applied or the leadership is over.
    Propose(Change),
    /// Reads these commits of the spec branch again.
    Restore(Good),
    /// Reads what people have approved, for as long as something newer waits.
    ReadApproved(Good),
    Review(Ask),
    /// Reads the spec branch for a leadership that begins, until it could be read.
    ReadSpec(Epoch),
    /// Readers see this revision from now on.
    Show(Arc<Revision>),
    ReadTip {
        branch: String,
        after: Duration,
        /// Which of these are in its history?
        asks: BTreeSet<String>,
        /// Nothing needs to be read if it stands here.
        expected: Option<String>,
    },
    Write(Box<Draft>),
    Record(Box<Intent>),
    Push {
        branch: String,
        intent: String,
        commit: String,
        base: Option<String>,
    },
    /// What a forge is to show from now on.
    Forge(Arc<Wanted>),
    WakeAt(Timestamp),
}

/// A lead, led or following.
#[derive(Debug, Default)]
pub struct Lead {
    knowledge: Arc<Knowledge>,
    /// What counts now.
    effective: Option<Effective>,
    /// As what the Knowledge Base knows, or is going to know, the effective one.
    good: Option<Good>,
    restoring: Restoring,
    waiting: Waiting,
    /// The newest commit of the spec branch.
    candidate: Option<Box<Candidate>>,
    /// That was so under this leadership.
    current: bool,
    /// It was judged for good under this leadership.
    judged: bool,
    /// The newest epoch of this process, until it hears that it does not lead.
    leads: Option<Epoch>,
    /// The one at which it began to lead; eras that follow change nothing about that.
    begun: Option<Epoch>,
    leadership: Option<Leadership>,
    /// Something shows people what they are asked.
    forge: bool,
    effects: Vec<Effect>,
}

/// Reading again what the Knowledge Base calls good.
#[derive(Debug, Default)]
enum Restoring {
    #[default]
    Nothing,
    /// No commit is judged before it is here.
    Reading(Good),
    /// It is tried again at the next poll.
    Failed(Good),
}

impl Restoring {
    fn reads(&self, good: &Good) -> bool {
        matches!(self, Self::Reading(asked) if asked == good)
    }
}

impl Lead {
    /// Has a forge show what people are asked, and what becomes of their commits.
    pub fn with_forge() -> Self {
        Self { forge: true, ..Self::default() }
    }

    /// Takes one event in. Decisions wait for [`Self::decide`], so that events that come together cost one plan.
    pub fn observe(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Leading(epoch) => self.begin(epoch),
            Event::Deposed => (self.leads, self.leadership) = (None, None),
            Event::Knowledge(knowledge) => self.learn(knowledge),
            Event::Candidate(candidate) => {
                self.candidate = Some(candidate);
                self.judged = false;
                self.judge();
            }
            Event::SpecRead(epoch) => {
                self.current |= self.begun == Some(epoch);
                self.judge();
            }
            Event::SpecUnreadable(why) if self.leadership.is_some() => {
                let message = format!("the spec branch cannot be read: {why}; what runs goes on");
                self.effects.push(tell(EventSeverity::Warning, "SpecUnreadable", message));
            }
            Event::SpecUnreadable(_) => {}
            Event::Restored(effective) => self.restored(effective),
            Event::Approved { good, effective } => {
                self.waiting.read(good, effective);
                self.plan_again();
            }
            Event::Review(told) => {
                if let Some(leadership) = &mut self.leadership {
                    leadership.desk.told(told, &self.knowledge, &mut self.effects);
                }
            }
            Event::Tick => self.plan_again(),
            Event::Tip(tip) => self.with_fence(|fence, knowledge, effects| {
                fence.read(*tip, knowledge, effects);
            }),
            Event::TipUnchanged => self.with_fence(|fence, _, _| fence.unchanged()),
            Event::TipUnreadable => self.with_fence(Fence::unreadable),
            Event::Poll => {
                if let Restoring::Failed(good) = &self.restoring {
                    let good = good.clone();
                    self.restore(good);
                }
                self.waiting.poll(&mut self.effects);
                if let Some(Leadership { fence, desk, .. }) = &mut self.leadership {
                    fence.poll(&self.knowledge, &mut self.effects);
                    desk.poll(&self.knowledge, &mut self.effects);
                }
            }
            Event::Written { intent, commit } => self.with_fence(|fence, knowledge, effects| {
                if !fence.withdraw(&intent, knowledge) {
                    fence.written(&intent, commit, effects);
                }
            }),
            Event::NotWritten { intent } => self.with_fence(|fence, knowledge, effects| {
                fence.not_written(&intent, knowledge, effects);
            }),
            Event::Recorded { intent, accepted: true } => self.with_fence(|fence, _, effects| {
                fence.recorded(&intent, effects);
            }),
            Event::Recorded { intent, accepted: false } => self.not_recorded(&intent),
            Event::Pushed { intent, result } => self.with_fence(|fence, knowledge, effects| {
                fence.pushed(&intent, result, knowledge, effects);
            }),
        }
        std::mem::take(&mut self.effects)
    }

    /// Plans and starts to publish, if there is reason to and nothing is under way.
    pub fn decide(&mut self, now: Timestamp) -> Vec<Effect> {
        match (&mut self.leadership, &self.effective, &self.candidate) {
            (Some(leadership), Some(effective), _) => {
                let sources = Sources {
                    newest: effective,
                    approved: self.waiting.approved(self.good.as_ref(), &self.knowledge),
                };
                leadership.decide(sources, &self.knowledge, now, &mut self.effects);
            }
            // What the branch says is known before anything is judged against it.
            (Some(leadership), None, Some(candidate)) if !candidate.refused => {
                let branch = &candidate.revision.fleet.branches.deploy;
                leadership.fence.ready(branch, &self.knowledge, &mut self.effects);
            }
            _ => {}
        }
        if let Some(leadership) = &mut self.leadership {
            leadership.board.show(&self.knowledge, &mut self.effects);
        }
        std::mem::take(&mut self.effects)
    }

    fn begin(&mut self, epoch: Epoch) {
        (self.leads, self.begun) = (Some(epoch), Some(epoch));
        self.leadership = Some(Leadership::new(epoch, self.forge));
        // A verdict of an earlier leadership may never have reached the Knowledge Base.
        (self.judged, self.current) = (false, false);
        self.effects.push(Effect::ReadSpec(epoch));
        let good = self.knowledge.good.as_deref();
        if self.good.as_ref() != good {
            (self.effective, self.good) = (None, None);
            if let Some(good) = good.filter(|good| !self.restoring.reads(good)).cloned() {
                self.restore(good);
            }
        }
    }

    /// Another leadership, or another era of this one, has begun; or the intent is settled, as one that was made
    /// before its refusal was known here: then it is made again.
    fn not_recorded(&mut self, intent: &str) {
        let epoch = self.knowledge.epoch;
        let over = |leadership: &mut Leadership| {
            leadership.fence.epoch() != epoch && leadership.fence.records(intent)
        };
        if self.leadership.take_if(over).is_none() {
            self.with_fence(|fence, knowledge, effects| fence.not_recorded(intent, knowledge, effects));
        }
    }

    fn with_fence(&mut self, act: impl FnOnce(&mut Fence, &Knowledge, &mut Vec<Effect>)) {
        if let Some(leadership) = &mut self.leadership {
            act(&mut leadership.fence, &self.knowledge, &mut self.effects);
        }
    }

    /// A new era of the same leadership begins with a barrier of its own.
    fn begin_again(&mut self) {
        let now = self.knowledge.epoch;
        let same = self.leads.filter(|epoch| (epoch.term, epoch.node) == (now.term, now.node));
        if same.is_some_and(|epoch| epoch < now || self.leadership.is_none()) {
            self.leads = Some(now);
            self.leadership = Some(Leadership::new(now, self.forge));
            self.judged = false;
        }
    }

    fn learn(&mut self, knowledge: Arc<Knowledge>) {
        self.knowledge = knowledge;
        self.begin_again();
        if let Some(leadership) = &mut self.leadership {
            leadership.learned(&self.knowledge, &mut self.effects);
        }
        self.waiting.learn(&self.knowledge, &mut self.effects);
        // A leader makes what is good; one that starts or follows reads what another leader made.
        let asked = match &self.restoring {
            Restoring::Nothing => None,
            Restoring::Reading(good) | Restoring::Failed(good) => Some(good),
        };
        let known = [self.good.as_ref(), asked];
        let unknown = self.knowledge.good.as_deref().filter(|good| !known.contains(&Some(good))).cloned();
        if let Some(good) = unknown.filter(|_| self.leadership.is_none() || self.good.is_none()) {
            self.restore(good);
        }
        self.judge();
    }

    fn restore(&mut self, good: Good) {
        self.restoring = Restoring::Reading(good.clone());
        self.effects.push(Effect::Restore(good));
    }

    fn restored(&mut self, effective: Option<Effective>) {
        let Restoring::Reading(good) = std::mem::take(&mut self.restoring) else { return };
        match effective {
            Some(effective) if effective.revision.commit != good.commit => {
                // Asked for before; the answer that counts is still on its way.
                return self.restoring = Restoring::Reading(good);
            }
            Some(effective) => self.adopt(effective, good),
            None => {
                self.tell(
                    EventSeverity::Warning,
                    "RevisionUnreadable",
                    "the last good revision cannot be read again; what runs stays until a commit is accepted",
                );
                self.restoring = Restoring::Failed(good);
            }
        }
        self.judge();
    }

    fn adopt(&mut self, effective: Effective, good: Good) {
        self.effects.push(Effect::Show(effective.revision.clone()));
        if let (Some(before), Some(was)) = (self.effective.replace(effective), self.good.replace(good)) {
            self.waiting.keep(was, before, &self.knowledge);
        }
        // What is still being read was good before.
        self.restoring = Restoring::Nothing;
        self.plan_again();
    }

    fn plan_again(&mut self) {
        if let Some(leadership) = &mut self.leadership {
            leadership.due = true;
        }
    }

    fn tell(&mut self, severity: EventSeverity, reason: &str, message: &str) {
        self.effects.push(tell(severity, reason, message.into()));
    }
}

/// An event about the deploy branch or the spec branch as a whole.
fn tell(severity: EventSeverity, reason: &str, message: String) -> Effect {
    Effect::Propose(Change::Event {
        severity,
        reason: reason.into(),
        regarding: "repository".into(),
        message,
    })
}
