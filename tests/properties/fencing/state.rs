//! All that can be different between two moments of the model.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use qonnect_core::knowledge::{Answer, Change, Command, Knowledge};
use qonnect_schema::Epoch;

use super::git::Git;
use super::lead::Lead;

pub(super) const LEADS: usize = 3;

/// How often what may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// Leaderships that end, in a crash or because another lead is elected.
    pub(super) ends: u8,
    /// Pushes whose answer is lost, or late.
    pub(super) unknown: u8,
    pub(super) refusals: u8,
    pub(super) decisions: u8,
    /// The branch goes back to an older commit, or away.
    pub(super) rollbacks: u8,
    /// Somebody else pushes onto the branch.
    pub(super) foreign: u8,
    /// All leads lose their disks; others begin with empty ones.
    pub(super) rebuilds: u8,
}

impl Budget {
    pub(super) const NONE: Self =
        Self { ends: 0, unknown: 0, refusals: 0, decisions: 0, rollbacks: 0, foreign: 0, rebuilds: 0 };
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) knowledge: Printed<Knowledge>,
    pub(super) leads: [Printed<Lead>; LEADS],
    /// Who can write to the log.
    pub(super) leader: Option<usize>,
    pub(super) term: u64,
    /// The number that the leader stands in for among those of its term: later ones have higher ones.
    pub(super) node: u64,
    pub(super) git: Git,
    pub(super) budget: Budget,
    pub(super) rolled_back: bool,
    pub(super) rebuilt: bool,
}

impl State {
    /// Writes to the log. An entry that says something moves its index on.
    pub(super) fn apply(&mut self, change: Change) -> Answer {
        let mut knowledge = Knowledge::clone(&self.knowledge);
        let index = knowledge.index + 1;
        let key = index.to_string();
        let answer = knowledge.apply(index, &Command { key, now: Default::default(), change });
        self.knowledge = Printed::new(knowledge);
        answer
    }

    /// The id that this group of leads draws.
    pub(super) fn group(&self) -> &'static str {
        if self.rebuilt { "heirs" } else { "first" }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { knowledge, leads, leader, term, git, budget, .. } = self;
        let intents: Vec<_> = knowledge
            .intents
            .iter()
            .map(|intent| (&intent.commit, intent.epoch.to_string(), &intent.outcome))
            .collect();
        let branch: Vec<_> = git
            .history()
            .map(|(id, commit)| (id, commit.author.map(|epoch: Epoch| epoch.to_string())))
            .collect();
        f.debug_struct("State")
            .field("term", term)
            .field("leader", leader)
            .field("epoch", &knowledge.epoch.to_string())
            .field("intents", &intents)
            .field("branch", &branch)
            .field("pushed", &git.pushed)
            .field("leads", &leads.each_ref().map(|lead| lead.to_string()))
            .field("budget", budget)
            .finish()
    }
}

/// Which lead is which is of no matter.
impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { knowledge, leads, leader, term, node, git, budget, rolled_back, rebuilt } = self;
        let mut leads: Vec<_> =
            leads.iter().enumerate().map(|(at, lead)| (lead.print, *leader == Some(at))).collect();
        leads.sort_unstable();
        (knowledge.print, leads, term, node).hash(state);
        (&git.tip, &git.ever, &git.pushed, budget, rolled_back, rebuilt).hash(state);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        let hash = |state: &Self| {
            let mut hasher = DefaultHasher::new();
            state.hash(&mut hasher);
            hasher.finish()
        };
        hash(self) == hash(other)
    }
}

/// A shared value, compared by a fingerprint that was taken once.
#[derive(Debug)]
pub(super) struct Printed<T> {
    value: Arc<T>,
    pub(super) print: u64,
}

/// What of a value decides how it goes on.
pub(super) trait Print {
    fn print(&self, hasher: &mut DefaultHasher);
}

impl<T: Print> Printed<T> {
    pub(super) fn new(value: T) -> Self {
        let mut hasher = DefaultHasher::new();
        value.print(&mut hasher);
        Self { value: Arc::new(value), print: hasher.finish() }
    }
}

impl<T> Clone for Printed<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), print: self.print }
    }
}

impl<T> std::ops::Deref for Printed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Events and keys tell of the past and decide nothing.
impl Print for Knowledge {
    fn print(&self, hasher: &mut DefaultHasher) {
        (self.index, self.epoch, &self.group, &self.succeeds, &self.blocked).hash(hasher);
        for intent in &*self.intents {
            (&intent.id, intent.epoch, &intent.commit, &intent.base).hash(hasher);
            format!("{:?}", intent.outcome).hash(hasher);
        }
    }
}
