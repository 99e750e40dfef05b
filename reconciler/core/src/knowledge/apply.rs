//! The transition: one command, one answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_schema::Placement;
use qonnect_schema::api::{EventSeverity, Registration, ReleaseHint, RevisionRecord, Verdict};
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};

use super::{Answer, Change, Command, Good, Intent, Knowledge, Outcome};

/// Commits of the spec branch that `qonnect get revisions` can show.
const REVISIONS_MAX: usize = 200;

/// Intents whose outcome is known; one that is not known stays, whatever their number.
const INTENTS_MAX: usize = 200;

impl Knowledge {
    /// Applies one entry of the log.
    ///
    /// *Guarantees:* the same commands in the same order give the same state and the same answers, everywhere
    /// and at any time. A command whose key is remembered changes nothing.
    pub fn apply(&mut self, index: u64, command: &Command) -> Answer {
        self.index = index;
        self.now = self.now.max(command.now);
        if let Some(answer) = self.keys.answer(&command.key) {
            return answer.clone();
        }
        let answer = self.change(&command.change);
        if matches!(
            command.change,
            Change::Report { .. } | Change::Status { .. } | Change::Register { .. } | Change::Outcome { .. }
        ) {
            self.renew();
        }
        self.keys.remember(&command.key, &answer);
        self.remember_hash(command, &answer);
        answer
    }

    fn change(&mut self, change: &Change) -> Answer {
        match change {
            Change::OpenEpoch { node, term, group } => self.open_epoch(*node, *term, group),
            Change::Blocked { origin } => self.block(origin.as_ref()),
            Change::Recover { adopt } => self.recover(adopt.as_deref()),
            Change::Register { cluster, registration } => self.register(cluster, registration),
            Change::Report { cluster, report } => self.report(cluster, report),
            Change::Reconcile { cluster } => self.reconcile(cluster),
            Change::Status { clusters } => self.status(clusters),
            Change::Expired { clusters } => self.expire(clusters),
            Change::Brake { clusters } => self.hold(clusters),
            Change::ReleaseBrake => self.release_brake(),
            Change::Forget { clusters } => self.forget(clusters),
            Change::Revision { record, good, waits } => self.revision(record, good.as_ref(), *waits),
            Change::Settled { good } => self.carried_out(good),
            Change::Proposed(proposal) => self.propose(proposal),
            Change::Reviewed { commit, reviewed } => self.reviewed(commit, reviewed),
            Change::Intent(intent) => self.intent(intent),
            Change::Outcome { intent, outcome } => self.outcome(intent, outcome),
            Change::Deployed { placements, releases } => self.deployed(placements, releases),
            Change::Event { severity, reason, regarding, message } => {
                self.tell(*severity, reason, regarding.clone(), message);
                Answer::Done
            }
        }
    }

    fn register(&mut self, cluster: &str, registration: &Registration) -> Answer {
        let known = self.clusters.get(cluster);
        if known.is_some_and(|state| registration.incarnation < state.incarnation) {
            return Answer::Superseded;
        }
        let first = known.is_none_or(|state| state.status == ClusterStatus::Unknown);
        let mut state = known.map(|state| ClusterState::clone(state)).unwrap_or_default();
        if state.incarnation != registration.incarnation {
            state.incarnation = registration.incarnation;
            state.seq = 0;
        }
        // What was forgotten may hold a release from before: see `lease`.
        state.expired |= first && self.releases.contains_key(cluster);
        state.agent_version.clone_from(&registration.agent_version);
        state.kubernetes_version.clone_from(&registration.kubernetes_version);
        if known.is_some_and(|known| **known == state) {
            return Answer::Unchanged;
        }
        Arc::make_mut(&mut self.clusters).insert(cluster.into(), Arc::new(state));
        if first {
            let message = format!(
                "agent {} of Kubernetes {} has registered",
                registration.agent_version, registration.kubernetes_version
            );
            self.tell(EventSeverity::Normal, "ClusterRegistered", format!("cluster/{cluster}"), message);
        }
        // Registering is a word from the cluster.
        self.status(&BTreeMap::from([(cluster.to_owned(), ClusterStatus::Ready)]));
        Answer::Done
    }

    fn reconcile(&mut self, cluster: &str) -> Answer {
        let Some(state) = self.clusters.get(cluster) else { return Answer::NotFound };
        let asked = ClusterState { asked: Some(self.now), ..ClusterState::clone(state) };
        Arc::make_mut(&mut self.clusters).insert(cluster.into(), Arc::new(asked));
        let message = "a person asked it to reconcile at once";
        self.tell(EventSeverity::Normal, "ReconcileRequested", format!("cluster/{cluster}"), message);
        Answer::Done
    }

    fn status(&mut self, edges: &BTreeMap<String, ClusterStatus>) -> Answer {
        let mut answer = Answer::Unchanged;
        for (cluster, status) in edges {
            let Some(state) = self.clusters.get(cluster).filter(|state| state.status != *status) else {
                continue;
            };
            let returns = (state.status, *status) == (ClusterStatus::Lost, ClusterStatus::Ready);
            let back = if returns { Some(self.now) } else { state.back };
            let changed =
                ClusterState { status: *status, since: self.now, back, ..ClusterState::clone(state) };
            Arc::make_mut(&mut self.clusters).insert(cluster.clone(), Arc::new(changed));
            let (severity, reason, message) = match status {
                ClusterStatus::Ready => (EventSeverity::Normal, "ClusterReady", "its agent is heard"),
                ClusterStatus::Suspect => {
                    (EventSeverity::Warning, "ClusterSuspect", "silent; nothing new goes there")
                }
                ClusterStatus::Lost => (
                    EventSeverity::Warning,
                    "ClusterLost",
                    "silent for too long; what runs there is placed elsewhere",
                ),
                ClusterStatus::Unknown => {
                    (EventSeverity::Warning, "ClusterUnknown", "no agent has registered")
                }
            };
            self.tell(severity, reason, format!("cluster/{cluster}"), message);
            answer = Answer::Done;
        }
        answer
    }

    /// Their generation stays known: should they come back, it goes on from there.
    fn forget(&mut self, clusters: &BTreeSet<String>) -> Answer {
        let mut answer = Answer::Unchanged;
        for cluster in clusters {
            if Arc::make_mut(&mut self.clusters).remove(cluster).is_some() {
                Arc::make_mut(&mut self.stalled).remove(cluster);
                self.tell(
                    EventSeverity::Normal,
                    "ClusterForgotten",
                    format!("cluster/{cluster}"),
                    "it has left the fleet and is silent",
                );
                answer = Answer::Done;
            }
        }
        answer
    }

    fn revision(&mut self, record: &RevisionRecord, good: Option<&Good>, waits: bool) -> Answer {
        let revisions = Arc::make_mut(&mut self.revisions);
        let before = revisions.iter().position(|known| known.commit == record.commit);
        let judged_otherwise = before.is_none_or(|at| revisions[at].verdict != record.verdict);
        match before {
            Some(at) => revisions[at] = Arc::new(record.clone()),
            None => revisions.push_back(Arc::new(record.clone())),
        }
        if revisions.len() > REVISIONS_MAX {
            revisions.pop_front();
        }
        if let Some(good) = good {
            let before = self.good.replace(Arc::new(good.clone())).unwrap_or_default();
            self.approved = waits.then(|| self.approved.take().unwrap_or(before));
        }
        if judged_otherwise {
            let (severity, reason) = match record.verdict {
                Verdict::Accepted => (EventSeverity::Normal, "RevisionAccepted"),
                Verdict::Held => (EventSeverity::Warning, "RevisionHeld"),
                Verdict::Refused => (EventSeverity::Warning, "RevisionRefused"),
                Verdict::Waiting => (EventSeverity::Warning, "RevisionWaiting"),
            };
            let message = if record.message.is_empty() { &record.subject } else { &record.message };
            self.tell(severity, reason, format!("revision/{}", abbreviated(&record.commit)), message);
        }
        Answer::Done
    }

    fn intent(&mut self, intent: &Intent) -> Answer {
        // Recorded only by the leadership that planned it.
        if intent.epoch != self.epoch {
            return Answer::Superseded;
        }
        // It may count on an end that was taken back meanwhile.
        if intent.kb_index < self.renewed {
            return Answer::Superseded;
        }
        if let Some(known) = self.intents.iter().find(|known| known.id == intent.id) {
            // What is settled stays settled: its commit must not be pushed again.
            return if known.outcome == Outcome::Unknown { Answer::Unchanged } else { Answer::Superseded };
        }
        let intents = Arc::make_mut(&mut self.intents);
        intents.push_back(Arc::new(intent.clone()));
        if intents.len() > INTENTS_MAX
            && let Some(oldest) = intents.iter().position(|known| known.outcome != Outcome::Unknown)
        {
            intents.remove(oldest);
        }
        Answer::Done
    }

    fn outcome(&mut self, id: &str, outcome: &Outcome) -> Answer {
        let Some(at) = self.intents.iter().position(|known| known.id == id) else { return Answer::NotFound };
        let intent = self.intents[at].clone();
        if intent.outcome == *outcome {
            return Answer::Unchanged;
        }
        if intent.outcome != Outcome::Unknown {
            return Answer::Superseded;
        }
        let settled = Intent {
            files: BTreeMap::new(),
            placements: BTreeMap::new(),
            releases: BTreeMap::new(),
            notes: Vec::new(),
            outcome: outcome.clone(),
            ..Intent::clone(&intent)
        };
        Arc::make_mut(&mut self.intents)[at] = Arc::new(settled);
        match outcome {
            Outcome::Published => self.adopt(&intent),
            Outcome::Refused(why) => {
                let message = format!("the server refused {}: {why}", abbreviated(&intent.commit));
                let regarding = format!("revision/{}", abbreviated(&intent.revision));
                self.tell(EventSeverity::Warning, "PushRefused", regarding, message);
            }
            Outcome::Lost | Outcome::Unknown => {}
        }
        Answer::Done
    }

    /// What a published commit says is what is known.
    fn adopt(&mut self, intent: &Intent) {
        let placements = Arc::make_mut(&mut self.placements);
        for (application, placement) in &intent.placements {
            match placement {
                Some(placement) => placements.insert(application.clone(), Arc::new(placement.clone())),
                None => placements.remove(application),
            };
        }
        Arc::make_mut(&mut self.releases).extend(intent.releases.clone());
        if let Some(good) = &intent.completes {
            self.carried_out(good);
            self.use_up_approval();
        }
        if let Some(at) = self.revisions.iter().position(|record| record.commit == intent.revision) {
            let record = RevisionRecord {
                published: Some(intent.commit.clone()),
                ..RevisionRecord::clone(&self.revisions[at])
            };
            Arc::make_mut(&mut self.revisions)[at] = Arc::new(record);
        }
        for note in &intent.notes {
            self.tell_decided(note, &intent.commit);
        }
        // The commit that begins a leadership carries out no revision.
        if !intent.revision.is_empty() {
            let regarding = format!("revision/{}", abbreviated(&intent.revision));
            let message = format!("published as {}", abbreviated(&intent.commit));
            self.tell(EventSeverity::Normal, "Published", regarding, message);
        }
    }

    /// What counts by now may be newer, and wait for people itself.
    fn carried_out(&mut self, good: &Good) -> Answer {
        if self.approved.is_none() {
            return Answer::Unchanged;
        }
        let newest = self.good.as_deref() == Some(good);
        self.approved = (!newest).then(|| Arc::new(good.clone()));
        Answer::Done
    }

    fn deployed(
        &mut self,
        placements: &BTreeMap<String, Placement>,
        releases: &BTreeMap<String, ReleaseHint>,
    ) -> Answer {
        let same = placements.len() == self.placements.len()
            && placements.iter().zip(&*self.placements).all(|(a, b)| (a.0, a.1) == (b.0, &**b.1));
        if same && *releases == *self.releases {
            return Answer::Unchanged;
        }
        let shared = placements.iter().map(|(name, placement)| (name.clone(), Arc::new(placement.clone())));
        self.placements = Arc::new(shared.collect());
        self.releases = Arc::new(releases.clone());
        Answer::Done
    }
}

pub(super) fn abbreviated(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}
