//! The way of one leadership onto the deploy branch: its barrier first, then one commit after the other.

use std::collections::BTreeSet;
use std::time::Duration;

use qonnect_schema::api::EventSeverity;
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::{Epoch, Origin};

use super::intents::{blocked, knows_nothing, last_published, open_intents, outcome, to_intent};
use super::{Effect, Pushed, Tip, tell};
use crate::decision::{self, Deployed, Draft};
use crate::knowledge::{Change, Knowledge, Outcome};

/// The first repetition of what failed comes after this long, each further one after twice as long.
const BACKOFF_MIN: Duration = Duration::from_millis(200);

/// A remote that comes back is noticed within this time.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct Fence {
    epoch: Epoch,
    /// The deploy branch that the barrier stands on.
    branch: String,
    deployed: Deployed,
    /// The barrier stands: nothing older can be published any more.
    barred: bool,
    stage: Stage,
    /// What the newest reading of the branch was asked for: an answer to an earlier one is out of date.
    asks: BTreeSet<String>,
    /// An earlier push of the commit that is under way may still arrive.
    doubtful: bool,
    /// What stands on the branch is to be compared with what should.
    due: bool,
    /// In a row.
    failures: u32,
}

#[derive(Debug, Clone)]
enum Stage {
    /// Nothing is known of the deploy branch.
    New,
    /// Reads the tip: to put a barrier on it, or to try again what failed.
    Reading,
    Idle,
    /// Looks whether somebody else has written.
    Checking,
    Writing(Box<Draft>),
    Recording(Box<Draft>, String),
    Pushing(Box<Draft>, String),
    /// The push may have arrived: reads the tip.
    LookingUp(Box<Draft>, String),
    /// The outcome of this intent is on its way into the Knowledge Base.
    Settling(String),
    /// The branch belongs to others: nothing is published until it, or this group, is another one.
    Blocked,
}

impl Fence {
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            branch: String::new(),
            deployed: Deployed::default(),
            barred: false,
            stage: Stage::New,
            asks: BTreeSet::new(),
            doubtful: false,
            due: true,
            failures: 0,
        }
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What stands on the branch, as far as it is known.
    pub fn deployed(&self) -> &Deployed {
        &self.deployed
    }

    /// Whether a decision can be taken in. A branch that was not closed yet is closed first.
    pub fn ready(&mut self, branch: &str, knowledge: &Knowledge, effects: &mut Vec<Effect>) -> bool {
        let idle = matches!(self.stage, Stage::Idle);
        if matches!(self.stage, Stage::New) || (idle && self.branch != branch) {
            self.branch = branch.into();
            self.take(knowledge, effects);
            return false;
        }
        idle
    }

    /// Whether the branch may differ from what was decided; asked once.
    pub fn take_due(&mut self) -> bool {
        std::mem::take(&mut self.due)
    }

    /// Publishes a decision that was made on [`Self::deployed`]; only when [`Self::ready`].
    pub fn submit(&mut self, draft: Draft, effects: &mut Vec<Effect>) {
        debug_assert!(matches!(self.stage, Stage::Idle), "one commit at a time");
        effects.push(Effect::Write(Box::new(draft.clone())));
        self.doubtful = false;
        self.stage = Stage::Writing(Box::new(draft));
    }

    /// The Knowledge Base has moved on. Whether an outcome of ours has arrived there.
    pub fn learned(&mut self, knowledge: &Knowledge) -> bool {
        let Stage::Settling(id) = &self.stage else { return false };
        let settled =
            knowledge.intents.iter().any(|intent| intent.id == *id && intent.outcome != Outcome::Unknown);
        if settled {
            self.stage = Stage::Idle;
        }
        settled
    }

    pub fn poll(&mut self, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::Idle => {
                self.stage = Stage::Checking;
                self.look(knowledge, Duration::ZERO, effects);
            }
            // Somebody may have given the branch back.
            Stage::Blocked => self.take(knowledge, effects),
            _ => {}
        }
    }

    pub fn unchanged(&mut self) {
        if let Stage::Checking = self.stage {
            self.stage = Stage::Idle;
        }
    }

    pub fn unreadable(&mut self, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        self.unchanged();
        if let Stage::Reading | Stage::LookingUp(..) = self.stage {
            let after = self.failed(effects);
            self.look(knowledge, after, effects);
        }
    }

    pub fn read(&mut self, tip: Tip, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        let awaited = matches!(self.stage, Stage::Reading | Stage::Checking | Stage::LookingUp(..));
        if !awaited || tip.asks != self.asks {
            return;
        }
        if let Some(origin) = tip.origin.as_ref().filter(|origin| self.is_of_others(origin, knowledge)) {
            self.stage = Stage::Blocked;
            if knowledge.blocked.as_deref() != Some(origin) {
                effects.push(blocked(Some(origin)));
            }
            return;
        }
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Reading if !self.barred => self.bar(tip, knowledge, effects),
            Stage::Reading if tip.deployed.tip == self.deployed.tip => {
                self.deployed = tip.deployed;
                self.due = true;
            }
            Stage::Reading | Stage::Checking => self.disturbed(tip, "", knowledge, effects),
            Stage::LookingUp(draft, commit) => self.looked_up(draft, commit, tip, knowledge, effects),
            // Nobody waits for it any more.
            other => self.stage = other,
        }
    }

    pub fn written(&mut self, intent: &str, commit: String, effects: &mut Vec<Effect>) {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Writing(draft) if draft.intent == intent => {
                effects.push(Effect::Record(Box::new(to_intent(&draft, &commit))));
                self.stage = Stage::Recording(draft, commit);
            }
            other => self.stage = other,
        }
    }

    /// Takes a draft back before it is recorded: a cluster that it takes for lost has answered.
    pub fn withdraw(&mut self, intent: &str, knowledge: &Knowledge) -> bool {
        let is_lost = |cluster: &String| {
            knowledge.clusters.get(cluster).is_none_or(|state| state.status == ClusterStatus::Lost)
        };
        let outdated = |draft: &Draft| draft.intent == intent && !draft.lost.iter().all(is_lost);
        let withdrawn = matches!(&self.stage, Stage::Writing(draft) if outdated(draft));
        if withdrawn {
            self.stage = Stage::Idle;
            self.due = true;
        }
        withdrawn
    }

    pub fn not_written(&mut self, intent: &str, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        if matches!(&self.stage, Stage::Writing(draft) if draft.intent == intent) {
            // The clone may have lost the base: it is read again.
            let after = self.failed(effects);
            self.stage = Stage::Reading;
            self.look(knowledge, after, effects);
        }
    }

    /// Whether this intent is on its way into the Knowledge Base.
    pub fn records(&self, intent: &str) -> bool {
        matches!(&self.stage, Stage::Recording(draft, _) if draft.intent == intent)
    }

    /// The Knowledge Base did not take the intent, and this is still the leadership that made it.
    pub fn not_recorded(&mut self, intent: &str, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        if self.records(intent) {
            let after = self.failed(effects);
            self.stage = Stage::Reading;
            self.look(knowledge, after, effects);
        }
    }

    pub fn recorded(&mut self, intent: &str, effects: &mut Vec<Effect>) {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Recording(draft, commit) if draft.intent == intent => self.push(draft, commit, effects),
            other => self.stage = other,
        }
    }

    pub fn pushed(&mut self, intent: &str, result: Pushed, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        let stage = std::mem::replace(&mut self.stage, Stage::Idle);
        let Stage::Pushing(draft, commit) = stage else { return self.stage = stage };
        if draft.intent != intent {
            return self.stage = Stage::Pushing(draft, commit);
        }
        match result {
            Pushed::Published => self.published(&draft, commit, knowledge, effects),
            // Also after a loss the tip is looked up: an earlier try of the same push may have won.
            Pushed::Lost => {
                self.stage = Stage::LookingUp(draft, commit);
                self.look(knowledge, Duration::ZERO, effects);
            }
            // A refusal says nothing of an earlier try, which may still be on its way.
            Pushed::Refused(_) if self.doubtful => {
                let after = self.failed(effects);
                self.stage = Stage::LookingUp(draft, commit);
                self.look(knowledge, after, effects);
            }
            Pushed::Unknown => {
                self.doubtful = true;
                let after = self.failed(effects);
                self.stage = Stage::LookingUp(draft, commit);
                self.look(knowledge, after, effects);
            }
            Pushed::Refused(why) => {
                effects.push(outcome(&draft.intent, Outcome::Refused(why)));
                let after = self.failed(effects);
                self.stage = Stage::Reading;
                self.look(knowledge, after, effects);
            }
        }
    }

    /// Begins the leadership on its branch.
    fn take(&mut self, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        self.barred = false;
        self.stage = Stage::Reading;
        self.look(knowledge, Duration::ZERO, effects);
    }

    /// The tip is known: closes it to older leaderships.
    fn bar(&mut self, tip: Tip, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        self.settle(&tip, "", knowledge, effects);
        if knowledge.blocked.is_some() {
            effects.push(blocked(None));
        }
        if knows_nothing(knowledge) {
            let (placements, releases) = tip.deployed.knowledge();
            if !placements.is_empty() || !releases.is_empty() {
                effects.push(Effect::Propose(Change::Deployed { placements, releases }));
            }
        }
        self.deployed = tip.deployed;
        self.due = true;
        self.stage = Stage::Idle;
        let barrier = decision::barrier(&self.deployed, &knowledge.group, self.epoch, knowledge.index);
        self.submit(barrier, effects);
    }

    /// Says what became of planned commits whose base the branch has left; `but` is settled already.
    fn settle(&self, tip: &Tip, but: &str, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        let mut open = open_intents(knowledge);
        open.retain(|intent| tip.asks.contains(&intent.commit) && intent.id != but);
        for intent in &open {
            if tip.contains.contains(&intent.commit) {
                effects.push(outcome(&intent.id, Outcome::Published));
            } else if tip.deployed.tip != intent.base {
                effects.push(outcome(&intent.id, Outcome::Lost));
            }
        }
        if !open.iter().any(|intent| Some(&intent.commit) == tip.deployed.tip.as_ref()) {
            self.wonder(tip, knowledge, effects);
        }
    }

    /// Somebody else has written the branch, or removed it, while nothing of ours was under way.
    fn disturbed(&mut self, tip: Tip, but: &str, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        self.settle(&tip, but, knowledge, effects);
        self.deployed = tip.deployed;
        // Restored at once, and closed again to whatever was based on it.
        self.due = true;
        self.stage = Stage::Idle;
        let barrier = decision::barrier(&self.deployed, &knowledge.group, self.epoch, knowledge.index);
        self.submit(barrier, effects);
    }

    fn looked_up(
        &mut self,
        draft: Box<Draft>,
        commit: String,
        tip: Tip,
        knowledge: &Knowledge,
        effects: &mut Vec<Effect>,
    ) {
        if tip.deployed.tip.as_ref() == Some(&commit) {
            self.published(&draft, commit, knowledge, effects);
        } else if tip.deployed.tip == draft.base {
            self.push(draft, commit, effects);
        } else {
            let arrived = tip.contains.contains(&commit);
            effects.push(outcome(&draft.intent, if arrived { Outcome::Published } else { Outcome::Lost }));
            self.disturbed(tip, &draft.intent, knowledge, effects);
        }
    }

    fn published(&mut self, draft: &Draft, commit: String, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        self.failures = 0;
        self.barred = true;
        effects.push(outcome(&draft.intent, Outcome::Published));
        // Our commit stands where theirs should: what was open on this base cannot arrive any more.
        let open = open_intents(knowledge).into_iter();
        let closed = open.filter(|intent| intent.base == draft.base && intent.id != draft.intent);
        effects.extend(closed.map(|intent| outcome(&intent.id, Outcome::Lost)));
        self.deployed.advance(commit, draft.time, &draft.files);
        self.stage = Stage::Settling(draft.intent.clone());
    }

    /// Says what is wrong with a tip that is not the one that we published last.
    fn wonder(&self, tip: &Tip, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        let Some(ours) = last_published(knowledge) else { return };
        if tip.deployed.tip.as_deref() == Some(ours) {
            return;
        }
        let branch = &self.branch;
        let (reason, message) = match &tip.deployed.tip {
            None => ("BranchAbsent", format!("branch {branch} was removed; it is written again")),
            Some(tip_id) if tip.contains.contains(ours) => (
                "ForeignCommit",
                format!("commit {tip_id} on {branch} is not ours; owned paths are restored"),
            ),
            Some(tip_id) => (
                "BranchRewound",
                format!("branch {branch} stands at {tip_id}, without {ours}; it is written again"),
            ),
        };
        effects.push(tell(EventSeverity::Warning, reason, message));
    }

    /// A later leadership has written the branch, or leads that are not of this group.
    fn is_of_others(&self, origin: &Origin, knowledge: &Knowledge) -> bool {
        !knowledge.follows(&origin.group) || origin.epoch > self.epoch
    }

    fn push(&mut self, draft: Box<Draft>, commit: String, effects: &mut Vec<Effect>) {
        effects.push(Effect::Push {
            branch: self.branch.clone(),
            intent: draft.intent.clone(),
            commit: commit.clone(),
            base: draft.base.clone(),
        });
        self.stage = Stage::Pushing(draft, commit);
    }

    fn look(&mut self, knowledge: &Knowledge, after: Duration, effects: &mut Vec<Effect>) {
        let mut asks: BTreeSet<String> =
            open_intents(knowledge).into_iter().map(|intent| intent.commit.clone()).collect();
        asks.extend(last_published(knowledge).map(str::to_owned));
        if let Stage::LookingUp(_, commit) = &self.stage {
            asks.insert(commit.clone());
        }
        let expected = match self.stage {
            Stage::Checking => self.deployed.tip.clone(),
            _ => None,
        };
        self.asks.clone_from(&asks);
        effects.push(Effect::ReadTip { branch: self.branch.clone(), after, asks, expected });
    }

    /// Counts a failure, tells readers of the third, and returns how long to wait.
    fn failed(&mut self, effects: &mut Vec<Effect>) -> Duration {
        self.failures += 1;
        if self.failures == 3 {
            let message = format!("branch {} cannot be published to; this is tried again", self.branch);
            effects.push(tell(EventSeverity::Warning, "PublishFailing", message));
        }
        let doubled = BACKOFF_MIN.saturating_mul(1 << (self.failures - 1).min(16));
        doubled.min(BACKOFF_MAX)
    }
}
