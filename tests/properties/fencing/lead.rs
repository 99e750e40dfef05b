//! One lead: the real fence, what it wants done, and what it knows.
//!
//! A lead whose proposals are refused can do nothing but repeat pushes that it has sent off before: it counts as ended,
//! and each of its pushes may arrive at any time, more than once.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hash};
use std::sync::Arc;

use qonnect_core::decision::{Draft, Trailers};
use qonnect_core::knowledge::{Answer, Change, Knowledge, Outcome};
use qonnect_core::lead::{Effect, Fence, Pushed};
use qonnect_schema::Epoch;

use super::git::Git;
use super::model::Mutation;
use super::state::{Print, Printed, State};

/// The deploy branch; there is only one.
const BRANCH: &str = "deploy";

/// A push whose answer is awaited.
#[derive(Debug, Clone)]
pub(super) struct Push {
    intent: String,
    pub(super) commit: String,
    /// It has moved the branch, and the answer is on its way.
    pub(super) landed: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Lead {
    pub(super) fence: Option<Fence>,
    /// In truth; what the fence goes by may be less with a mutation.
    pub(super) epoch: Epoch,
    pub(super) effects: VecDeque<Effect>,
    pub(super) awaits: Option<Push>,
    /// The state that it saw last.
    knowledge: Arc<Knowledge>,
}

impl Lead {
    pub(super) fn leading(epoch: Epoch, fence_epoch: Epoch, knowledge: &Knowledge) -> Self {
        let knowledge = Arc::new(knowledge.clone());
        let mut lead = Self { fence: Some(Fence::new(fence_epoch)), epoch, knowledge, ..Self::default() };
        lead.with_fence(|fence, knowledge, effects| {
            fence.ready(BRANCH, knowledge, effects);
        });
        lead
    }

    /// Whether a decision can be published.
    pub(super) fn is_ready(&self) -> bool {
        let ready = |fence: &Fence| fence.clone().ready(BRANCH, &self.knowledge, &mut Vec::new());
        self.effects.is_empty() && self.fence.as_ref().is_some_and(ready)
    }

    pub(super) fn tip(&self) -> Option<&str> {
        self.fence.as_ref()?.deployed().tip.as_deref()
    }

    pub(super) fn with_fence(&mut self, act: impl FnOnce(&mut Fence, &Knowledge, &mut Vec<Effect>)) {
        let Some(fence) = &mut self.fence else { return };
        let mut effects = Vec::new();
        act(fence, &self.knowledge, &mut effects);
        // What is only told to readers changes nothing here.
        let tells = |effect: &Effect| matches!(effect, Effect::Propose(Change::Event { .. }));
        self.effects.extend(effects.into_iter().filter(|effect| !tells(effect)));
    }

    pub(super) fn acts(&self) -> bool {
        matches!(self.effects.front(), Some(Effect::Write(_) | Effect::Push { .. }))
    }

    /// Does what needs nobody else: a commit is written into the clone, a push is sent off.
    pub(super) fn act(&mut self, git: &mut Git, mutation: Option<Mutation>) {
        while self.acts() {
            let Some(effect) = self.effects.pop_front() else { return };
            match effect {
                Effect::Write(draft) => self.write(*draft, git, mutation),
                Effect::Push { intent, commit, base, .. } => {
                    // A barrier that was never made.
                    let nothing = base.as_ref() == Some(&commit);
                    self.awaits = Some(Push { intent, commit, landed: false });
                    if nothing {
                        self.answered(Pushed::Published);
                    }
                }
                _ => {}
            }
        }
    }

    fn write(&mut self, draft: Draft, git: &mut Git, mutation: Option<Mutation>) {
        let Draft { intent, base, message, .. } = draft;
        let barrier = message.starts_with("begin epoch");
        let commit = match base.clone().filter(|_| barrier && mutation == Some(Mutation::NoBarrier)) {
            // Not made: the tip stays the one that was read.
            Some(base) => base,
            None => git.write(base, message, Some(self.epoch)),
        };
        self.with_fence(|fence, _, effects| fence.written(&intent, commit, effects));
    }

    /// A decision. The tree is of no matter here.
    pub(super) fn decide(&mut self) {
        self.with_fence(|fence, knowledge, effects| {
            let (epoch, base) = (fence.epoch(), fence.deployed().tip.clone());
            let intent = format!("{base:?} {epoch} {}", knowledge.index);
            let trailers = Trailers {
                epoch,
                group: knowledge.group.clone(),
                revision: "r".into(),
                kb_index: knowledge.index,
                intent: intent.clone(),
            };
            let draft = Draft {
                intent,
                epoch,
                base,
                revision: "r".into(),
                kb_index: knowledge.index,
                files: Default::default(),
                message: format!("decide\n\n{trailers}"),
                time: Default::default(),
                placements: Default::default(),
                releases: Default::default(),
                lost: Default::default(),
                notes: Vec::new(),
                changes: Vec::new(),
                completes: None,
                renders: false,
            };
            fence.submit(draft, effects);
        });
    }

    pub(super) fn answered(&mut self, result: Pushed) {
        let Some(Push { intent, .. }) = self.awaits.take() else { return };
        self.with_fence(|fence, knowledge, effects| fence.pushed(&intent, result, knowledge, effects));
    }

    /// Nobody waits for the push any more, which goes on without it.
    pub(super) fn let_go(&self, git: &mut Git) {
        git.pushed.extend(self.awaits.iter().filter(|push| !push.landed).map(|push| push.commit.clone()));
    }

    pub(super) fn learn(&mut self, knowledge: &Knowledge) {
        self.knowledge = Arc::new(knowledge.clone());
        let knowledge = self.knowledge.clone();
        if let Some(fence) = &mut self.fence {
            fence.learned(&knowledge);
        }
    }
}

impl State {
    /// Whether the log takes what a lead proposes.
    pub(super) fn may_propose(&self, number: usize, mutation: Option<Mutation>) -> bool {
        match mutation {
            Some(Mutation::TermAlone) => {
                self.leader.is_some()
                    && self.leads[number].fence.is_some()
                    && self.leads[number].epoch.term == self.term
            }
            _ => self.leader == Some(number),
        }
    }

    /// Carries out the next effect of a lead.
    pub(super) fn step(&mut self, number: usize) {
        let mut lead = Lead::clone(&self.leads[number]);
        match lead.effects.pop_front() {
            Some(Effect::Propose(change)) => {
                self.apply(change);
                lead.learn(&self.knowledge);
            }
            Some(Effect::Record(intent)) => {
                let id = intent.id.clone();
                let accepted = self.apply(Change::Intent(intent)) != Answer::Superseded;
                lead.learn(&self.knowledge);
                match accepted {
                    true => lead.with_fence(|fence, _, effects| fence.recorded(&id, effects)),
                    false
                        if lead.fence.as_ref().is_some_and(|fence| fence.epoch() != self.knowledge.epoch) =>
                    {
                        lead = Lead::default();
                    }
                    false => lead
                        .with_fence(|fence, knowledge, effects| fence.not_recorded(&id, knowledge, effects)),
                }
            }
            Some(Effect::ReadTip { asks, expected, .. }) => {
                let unchanged = expected.is_some() && expected == self.git.tip;
                let tip = self.git.read(&asks);
                lead.with_fence(|fence, knowledge, effects| match unchanged {
                    true => fence.unchanged(),
                    false => fence.read(tip, knowledge, effects),
                });
            }
            _ => {}
        }
        self.leads[number] = Printed::new(lead);
    }
}

/// For a person who reads how a rule was broken.
impl fmt::Display for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = self.effects.front().map(|effect| match effect {
            Effect::Propose(Change::Outcome { intent, outcome }) => format!("{outcome:?} {intent}"),
            Effect::Record(intent) => format!("record {}", intent.commit),
            Effect::Push { commit, .. } => format!("push {commit}"),
            other => format!("{other:?}").chars().take(40).collect(),
        });
        match &self.fence {
            Some(fence) => write!(f, "leads at {}, next {next:?}, awaits {:?}", fence.epoch(), self.awaits),
            None => f.write_str("follows"),
        }
    }
}

impl Print for Lead {
    fn print(&self, hasher: &mut DefaultHasher) {
        format!("{:?} {:?} {:?}", self.fence, self.effects, self.awaits).hash(hasher);
        self.knowledge.print(hasher);
    }
}

/// Whether the Knowledge Base still waits for what became of a commit.
pub(super) fn is_open(knowledge: &Knowledge, commit: &str) -> bool {
    knowledge.intents.iter().any(|intent| intent.commit == commit && intent.outcome == Outcome::Unknown)
}
