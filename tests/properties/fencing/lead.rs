//! One lead: the real fence, what it wants done, and what it knows.

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

#[derive(Debug, Clone, Default)]
pub(super) struct Lead {
    pub(super) fence: Option<Fence>,
    /// In truth; what the fence goes by may be less with a mutation.
    pub(super) epoch: Epoch,
    pub(super) effects: VecDeque<Effect>,
    /// Intent and commit of the push that it waits for.
    pub(super) awaits: Option<(String, String)>,
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

    /// Writes what is to be written: only the clone of this lead sees it.
    pub(super) fn write(&mut self, git: &mut Git, mutation: Option<Mutation>) {
        while let Some(Effect::Write(draft)) = self.effects.front() {
            let Draft { intent, base, message, .. } = (**draft).clone();
            self.effects.pop_front();
            let barrier = message.starts_with("begin epoch");
            let commit = match base.clone().filter(|_| barrier && mutation == Some(Mutation::NoBarrier)) {
                // Not made: the tip stays the one that was read.
                Some(base) => base,
                None => git.write(base, message, Some(self.epoch)),
            };
            self.with_fence(|fence, _, effects| fence.written(&intent, commit, effects));
        }
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
            };
            fence.submit(draft, effects);
        });
    }

    pub(super) fn pushed(&mut self, result: Pushed) {
        let Some((intent, _)) = self.awaits.take() else { return };
        self.with_fence(|fence, knowledge, effects| fence.pushed(&intent, result, knowledge, effects));
    }

    /// It leads no more, or not as before: what it had asked of the deploy branch goes on without it.
    pub(super) fn end(&mut self, git: &mut Git) {
        let under_way = self.awaits.take().map(|(_, commit)| commit);
        git.late.extend(under_way);
        *self = Self::default();
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
    /// Carries out the next effect of a lead.
    pub(super) fn step(&mut self, number: usize, mutation: Option<Mutation>) {
        let mut lead = Lead::clone(&self.leads[number]);
        let leads = match mutation {
            Some(Mutation::TermAlone) => self.leader.is_some() && lead.epoch.term == self.term,
            _ => self.leader == Some(number),
        };
        match lead.effects.pop_front() {
            Some(Effect::Propose(change)) if leads => {
                self.apply(change);
                lead.learn(&self.knowledge);
            }
            Some(Effect::Record(intent)) => {
                let id = intent.id.clone();
                let accepted = leads && self.apply(Change::Intent(intent)) != Answer::Superseded;
                if accepted {
                    lead.learn(&self.knowledge);
                    lead.with_fence(|fence, _, effects| fence.recorded(&id, effects));
                } else {
                    lead.end(&mut self.git);
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
            Some(Effect::Push { intent, commit, base, .. }) => {
                // A barrier that was never made.
                let nothing = base.as_ref() == Some(&commit);
                lead.awaits = Some((intent, commit));
                if nothing {
                    lead.pushed(Pushed::Published);
                }
            }
            _ => {}
        }
        lead.write(&mut self.git, mutation);
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
