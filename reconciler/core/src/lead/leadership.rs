//! One leadership: its barrier, and one commit after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use qonnect_schema::Epoch;
use qonnect_schema::api::{EventSeverity, ReleaseHint};

use super::{Effect, Pushed, Tip, relevant, tell};
use crate::decision::{self, Deployed, Draft, Input};
use crate::hold::Effective;
use crate::knowledge::{Change, Intent, Knowledge, Outcome};
use crate::{placement, rollout};

/// The first repetition of what failed comes after this long, each further one after twice as long.
const BACKOFF_MIN: Duration = Duration::from_millis(200);

/// A remote that comes back is noticed within this time.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Leadership {
    epoch: Epoch,
    /// The deploy branch that the barrier stands on.
    branch: String,
    deployed: Deployed,
    /// The barrier stands: nothing older can be published any more.
    barred: bool,
    stage: Stage,
    /// Something that decisions depend on has changed.
    pub(super) due: bool,
    /// What the last decision was made on.
    planned_on: Arc<Knowledge>,
    /// In a row.
    failures: u32,
}

#[derive(Debug)]
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
    /// The branch belongs to a later leadership: nothing is published until the end of this one is heard.
    Outranked,
}

impl Leadership {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            branch: String::new(),
            deployed: Deployed::default(),
            barred: false,
            stage: Stage::New,
            due: true,
            planned_on: Arc::default(),
            failures: 0,
        }
    }

    pub(super) fn decide(
        &mut self,
        effective: &Effective,
        knowledge: &Arc<Knowledge>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let branch = &effective.revision.fleet.branches.deploy;
        if matches!(self.stage, Stage::New) || (matches!(self.stage, Stage::Idle) && self.branch != *branch) {
            self.branch.clone_from(branch);
            return self.take(knowledge, effects);
        }
        if !matches!(self.stage, Stage::Idle) || !self.due {
            return;
        }
        self.due = false;
        self.planned_on = knowledge.clone();
        let mut snapshot = knowledge.snapshot();
        snapshot.now = snapshot.now.max(now);
        let plan = placement::plan(&effective.revision, &snapshot);
        let draft = decision::decide(&Input {
            revision: &effective.revision,
            frozen: &effective.frozen,
            plan: &plan,
            snapshot: &snapshot,
            releases: &knowledge.releases,
            deployed: &self.deployed,
            epoch: self.epoch,
        });
        let signals = effective.revision.signals.values().filter_map(|signals| signals.spec.valid_until);
        let wake = rollout::next_deadline(&snapshot)
            .into_iter()
            .chain(signals.filter(|until| *until > snapshot.now));
        effects.extend(wake.min().map(Effect::WakeAt));
        if let Some(draft) = draft {
            self.write(draft, effects);
        }
    }

    /// The Knowledge Base has moved on.
    pub(super) fn learned(&mut self, knowledge: &Knowledge) {
        if let Stage::Settling(id) = &self.stage
            && knowledge.intents.iter().any(|intent| intent.id == *id && intent.outcome != Outcome::Unknown)
        {
            self.stage = Stage::Idle;
            // A phase of a move may be over without anybody's report.
            self.due |= relevant::moving(knowledge);
        }
        // An era begins when a Knowledge Base is rebuilt.
        let same_term = (knowledge.epoch.term, knowledge.epoch.node) == (self.epoch.term, self.epoch.node);
        if same_term {
            self.epoch = self.epoch.max(knowledge.epoch);
        }
        self.due = self.due || relevant::changed(&self.planned_on, knowledge);
    }

    pub(super) fn poll(&mut self, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        if matches!(self.stage, Stage::Idle) {
            self.stage = Stage::Checking;
            self.look(knowledge, Duration::ZERO, effects);
        }
    }

    pub(super) fn unchanged(&mut self) {
        if let Stage::Checking = self.stage {
            self.stage = Stage::Idle;
        }
    }

    pub(super) fn unreadable(&mut self, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        self.unchanged();
        if let Stage::Reading | Stage::LookingUp(..) = self.stage {
            let after = self.failed(effects);
            self.look(knowledge, after, effects);
        }
    }

    pub(super) fn read(&mut self, tip: Tip, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        if tip.epoch.is_some_and(|epoch| epoch > self.epoch) && !knows_nothing(knowledge) {
            return self.outranked(&tip, effects);
        }
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Reading if !self.barred => self.bar(tip, knowledge, effects),
            Stage::Reading if tip.deployed.tip == self.deployed.tip => {
                self.deployed = tip.deployed;
                self.due = true;
            }
            Stage::Reading | Stage::Checking => self.disturbed(tip, knowledge, effects),
            Stage::LookingUp(draft, commit) => self.looked_up(draft, commit, tip, knowledge, effects),
            // Nobody waits for it any more.
            other => self.stage = other,
        }
    }

    pub(super) fn written(&mut self, intent: &str, commit: String, effects: &mut Vec<Effect>) {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Writing(draft) if draft.intent == intent => {
                effects.push(Effect::Record(Box::new(to_intent(&draft, &commit))));
                self.stage = Stage::Recording(draft, commit);
            }
            other => self.stage = other,
        }
    }

    pub(super) fn not_written(&mut self, intent: &str, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        if matches!(&self.stage, Stage::Writing(draft) if draft.intent == intent) {
            // The clone may have lost the base: it is read again.
            let after = self.failed(effects);
            self.stage = Stage::Reading;
            self.look(knowledge, after, effects);
        }
    }

    /// Whether this intent is on its way into the Knowledge Base.
    pub(super) fn records(&self, intent: &str) -> bool {
        matches!(&self.stage, Stage::Recording(draft, _) if draft.intent == intent)
    }

    pub(super) fn recorded(&mut self, intent: &str, effects: &mut Vec<Effect>) {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Recording(draft, commit) if draft.intent == intent => self.push(draft, commit, effects),
            other => self.stage = other,
        }
    }

    pub(super) fn pushed(
        &mut self,
        intent: &str,
        result: Pushed,
        knowledge: &Knowledge,
        effects: &mut Vec<Effect>,
    ) {
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
            Pushed::Unknown => {
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
        let open = open_intents(knowledge);
        for intent in &open {
            if tip.contains.contains(&intent.commit) {
                effects.push(outcome(&intent.id, Outcome::Published));
            } else if tip.deployed.tip != intent.base {
                effects.push(outcome(&intent.id, Outcome::Lost));
            }
        }
        let arrived = open.iter().any(|intent| Some(&intent.commit) == tip.deployed.tip.as_ref());
        if !arrived {
            self.wonder(&tip, knowledge, effects);
        }
        if knows_nothing(knowledge) {
            let (placements, releases) = tip.deployed.knowledge();
            if let Some(written) = tip.epoch.filter(|epoch| *epoch >= self.epoch) {
                let era = written.era + 1;
                effects.push(Effect::Propose(Change::Rebuilt { era }));
                self.epoch.era = era;
            }
            if !placements.is_empty() || !releases.is_empty() {
                effects.push(Effect::Propose(Change::Deployed { placements, releases }));
            }
        }
        self.deployed = tip.deployed;
        self.due = true;
        let barrier = decision::barrier(&self.deployed, self.epoch, knowledge.index);
        self.write(barrier, effects);
    }

    /// Somebody else has written the branch, or removed it, while nothing of ours was under way.
    fn disturbed(&mut self, tip: Tip, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        self.wonder(&tip, knowledge, effects);
        self.deployed = tip.deployed;
        // Restored at once, and closed again to whatever was based on it.
        self.due = true;
        let barrier = decision::barrier(&self.deployed, self.epoch, knowledge.index);
        self.write(barrier, effects);
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
            self.disturbed(tip, knowledge, effects);
        }
    }

    fn published(&mut self, draft: &Draft, commit: String, knowledge: &Knowledge, effects: &mut Vec<Effect>) {
        self.failures = 0;
        self.barred = true;
        effects.push(outcome(&draft.intent, Outcome::Published));
        // Whatever an older leadership left open has lost its base.
        let closed = open_intents(knowledge).into_iter().filter(|intent| intent.epoch < self.epoch);
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

    fn outranked(&mut self, tip: &Tip, effects: &mut Vec<Effect>) {
        let epoch = tip.epoch.map(|epoch| epoch.to_string()).unwrap_or_default();
        let message = format!(
            "branch {} is at epoch {epoch}, we are at {}; we publish nothing",
            self.branch, self.epoch
        );
        effects.push(tell(EventSeverity::Warning, "Outranked", message));
        self.stage = Stage::Outranked;
    }

    fn write(&mut self, draft: Draft, effects: &mut Vec<Effect>) {
        effects.push(Effect::Write(Box::new(draft.clone())));
        self.stage = Stage::Writing(Box::new(draft));
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

    fn look(&self, knowledge: &Knowledge, after: Duration, effects: &mut Vec<Effect>) {
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

fn outcome(intent: &str, outcome: Outcome) -> Effect {
    Effect::Propose(Change::Outcome { intent: intent.into(), outcome })
}

fn open_intents(knowledge: &Knowledge) -> Vec<&Intent> {
    let intents = knowledge.intents.iter().map(|intent| &**intent);
    intents.filter(|intent| intent.outcome == Outcome::Unknown).collect()
}

fn last_published(knowledge: &Knowledge) -> Option<&str> {
    let published = knowledge.intents.iter().rev().find(|intent| intent.outcome == Outcome::Published);
    published.map(|intent| intent.commit.as_str())
}

/// A Knowledge Base that has never published begins with what the branch says.
fn knows_nothing(knowledge: &Knowledge) -> bool {
    knowledge.intents.is_empty() && knowledge.placements.is_empty()
}

fn to_intent(draft: &Draft, commit: &str) -> Intent {
    let text = |bytes: &Arc<[u8]>| String::from_utf8_lossy(bytes).into_owned();
    let files = draft.files.iter().map(|(path, bytes)| (path.clone(), bytes.as_ref().map(text)));
    let hint = |release: &decision::NewRelease| ReleaseHint {
        commit: commit.into(),
        generation: release.generation,
        digest: release.digest.clone(),
    };
    let releases: BTreeMap<_, _> =
        draft.releases.iter().map(|(cluster, release)| (cluster.clone(), hint(release))).collect();
    Intent {
        id: draft.intent.clone(),
        epoch: draft.epoch,
        base: draft.base.clone(),
        commit: commit.into(),
        revision: draft.revision.clone(),
        kb_index: draft.kb_index,
        files: files.collect(),
        message: draft.message.clone(),
        time: draft.time,
        placements: draft.placements.clone(),
        releases,
        notes: draft.notes.clone(),
        outcome: Outcome::Unknown,
    }
}
