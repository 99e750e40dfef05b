//! The spec branch, on a thread of its own: fetched, checked, and handed on as a candidate.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use qonnect_core::hold::{Candidate, Effective, allowed_removals};
use qonnect_core::knowledge::{Good, Knowledge};
use qonnect_core::lead::Event;
use qonnect_git::signature::{Distrust, Signers};
use qonnect_git::{Commit, Depth, Limits, Mirror, Remote};
use qonnect_schema::Epoch;
use qonnect_schema::tree::Tree;
use qonnect_schema::validate::{self, Checked, Checker};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::run::Events;

/// An exchange with the remote ends after this long, whatever it does.
const DEADLINE: Duration = Duration::from_secs(30);

/// Commits between the good one and the newest that are searched for trailers.
const TRAILERS_DEPTH_MAX: usize = 1_000;

/// So many failures in a row are no hiccup: readers are told.
const FAILURES_TOLD: u32 = 3;

pub(super) enum Work {
    /// Looks for a new commit, and says whether the remote could be asked.
    Fetch { good: Option<String>, done: oneshot::Sender<bool>, end: CancellationToken },
    /// Says of the next fetch that reaches the branch that it was for this leadership.
    Answer(Epoch),
    /// Reads what counted before a restart.
    Restore { good: Good, knowledge: Arc<Knowledge> },
    /// Reads what people have approved, while something newer counts.
    ReadApproved { good: Good, knowledge: Arc<Knowledge> },
}

/// Opens the clone, and works until every sender is gone.
pub(super) fn start(
    path: &Path,
    remote: Remote,
    branch: String,
    signers: Option<Signers>,
    events: Events,
) -> anyhow::Result<mpsc::Sender<Work>> {
    let (sender, work) = mpsc::channel();
    let (opened, open) = mpsc::sync_channel(1);
    let path = path.to_owned();
    let body = move || {
        let mirror = match Mirror::open(&path, remote) {
            Ok(mirror) => mirror,
            Err(error) => return drop(opened.send(Err(error))),
        };
        drop(opened.send(Ok(())));
        let checker = Checker::default();
        let mut spec = Spec { mirror, branch, signers, checker, seen: None, asked: None, failures: 0 };
        for work in work {
            spec.carry_out(work, &events);
        }
    };
    let thread = thread::Builder::new().name("spec-branch".into()).spawn(body);
    thread.context("the system starts no thread for the spec branch")?;
    open.recv().context("the thread of the spec branch ended early")??;
    Ok(sender)
}

struct Spec {
    mirror: Mirror,
    branch: String,
    /// Absent: whoever may push is trusted.
    signers: Option<Signers>,
    /// Follows the tip, so that a push costs what it changes.
    checker: Checker,
    /// The newest commit that was handed on, and why it was not trusted.
    seen: Option<(String, Option<Distrust>)>,
    /// The leadership that waits for the branch to be read.
    asked: Option<Epoch>,
    /// In a row; the first is worth a line.
    failures: u32,
}

impl Spec {
    fn carry_out(&mut self, work: Work, events: &Events) {
        match work {
            Work::Fetch { good, done, end } => {
                self.mirror.end_with(end);
                let result = self.fetch(good.as_deref(), events);
                if !matches!(result, Err(qonnect_git::Error::Ended)) {
                    self.note(result.as_ref().err(), events);
                }
                // Nobody waits any more when the lead is ending.
                let _ = done.send(result.is_ok());
            }
            Work::Answer(epoch) => self.asked = Some(epoch),
            Work::Restore { good, knowledge } => {
                events.send(Event::Restored(self.read_again(&good, &knowledge)));
            }
            Work::ReadApproved { good, knowledge } => {
                let effective = self.read_again(&good, &knowledge);
                events.send(Event::Approved { good, effective });
            }
        }
    }

    fn fetch(&mut self, good: Option<&str>, events: &Events) -> Result<(), qonnect_git::Error> {
        let Some(tip) = self.mirror.fetch(&self.branch, Depth::Full, DEADLINE)? else {
            if self.seen.take().is_some() || self.failures == 0 {
                tracing::warn!(
                    branch = self.branch,
                    "the spec branch does not exist; nothing changes until it does"
                );
            }
            self.failures += 1;
            return Ok(());
        };
        // Signers may come and go while the branch stands.
        let distrust = self.distrust(&tip)?;
        let seen = (tip, distrust);
        if self.seen.as_ref() != Some(&seen) {
            let candidate = match &seen {
                (tip, None) => self.read(tip, good)?,
                (tip, Some(distrust)) => untrusted(self.mirror.commit(tip)?, distrust),
            };
            events.send(Event::Candidate(Box::new(candidate)));
            self.seen = Some(seen);
        }
        if let Some(epoch) = self.asked.take() {
            events.send(Event::SpecRead(epoch));
        }
        Ok(())
    }

    fn distrust(&self, commit: &str) -> Result<Option<Distrust>, qonnect_git::Error> {
        let Some(signers) = &self.signers else { return Ok(None) };
        Ok(self.mirror.signer(commit, &signers.read()?)?.err())
    }

    fn read(&mut self, tip: &str, good: Option<&str>) -> Result<Candidate, qonnect_git::Error> {
        let commit = self.mirror.commit(tip)?;
        let tree = self.tree(&commit)?;
        let checked = self.checker.check(&tree, &commit.id, committed(&commit));
        tracing::info!(
            revision = tip,
            subject = commit.subject,
            findings = checked.findings.len(),
            "a revision was read"
        );
        let allowed_removals = self.allowed_removals(&commit, good)?;
        Ok(candidate(checked, commit, allowed_removals))
    }

    fn note(&mut self, error: Option<&qonnect_git::Error>, events: &Events) {
        match error {
            Some(error) => {
                if self.failures == 0 {
                    tracing::warn!(%error, "the spec branch cannot be read; what runs goes on");
                }
                self.failures += 1;
                if self.failures == FAILURES_TOLD {
                    events.send(Event::SpecUnreadable(error.to_string()));
                }
            }
            None if self.seen.is_some() && self.failures > 0 => {
                self.failures = 0;
                tracing::info!("the spec branch can be read again");
            }
            None => {}
        }
    }

    fn check(&self, commit: &Commit) -> Result<Checked, qonnect_git::Error> {
        Ok(validate::repository(&self.tree(commit)?, &commit.id, committed(commit)))
    }

    fn tree(&self, commit: &Commit) -> Result<Tree, qonnect_git::Error> {
        self.mirror.tree(&commit.id, "", &Limits::default())
    }

    /// The largest number that a trailer allows, in the commits since the good one.
    fn allowed_removals(&self, tip: &Commit, good: Option<&str>) -> Result<usize, qonnect_git::Error> {
        let mut allowed = allowed_removals(&tip.message);
        let Some(good) = good else { return Ok(allowed) };
        if tip.id == good {
            return Ok(0);
        }
        let mut seen = BTreeSet::from([good.to_owned()]);
        let mut next: VecDeque<String> = tip.parents.iter().cloned().collect();
        while let Some(id) = next.pop_front() {
            if seen.len() > TRAILERS_DEPTH_MAX
                || !seen.insert(id.clone())
                || self.mirror.descends(good, &id)?
            {
                continue;
            }
            let commit = self.mirror.commit(&id)?;
            allowed = allowed.max(allowed_removals(&commit.message));
            next.extend(commit.parents);
        }
        Ok(allowed)
    }

    fn read_again(&mut self, good: &Good, knowledge: &Knowledge) -> Option<Effective> {
        self.mirror.end_with(CancellationToken::new());
        self.restore(good, knowledge).unwrap_or_else(|error| {
            tracing::error!(%error, commit = good.commit, "a revision that counts cannot be read again");
            None
        })
    }

    fn restore(
        &mut self,
        good: &Good,
        knowledge: &Knowledge,
    ) -> Result<Option<Effective>, qonnect_git::Error> {
        let commit = match self.mirror.commit(&good.commit) {
            Ok(commit) => commit,
            Err(_) => {
                self.mirror.fetch(&self.branch, Depth::Full, DEADLINE)?;
                self.mirror.commit(&good.commit)?
            }
        };
        let base = self.check(&commit)?;
        if base.refused {
            return Ok(None);
        }
        let mut older = BTreeMap::new();
        for commit in good.applications.values().collect::<BTreeSet<_>>() {
            // An application that cannot be read again is frozen.
            let Ok(checked) = self.mirror.commit(commit).and_then(|commit| self.check(&commit)) else {
                continue;
            };
            let wanted = checked.revision.applications.into_iter();
            older.extend(wanted.filter(|(name, _)| good.applications.get(name) == Some(commit)));
        }
        Ok(Some(Effective::restored(candidate(base, commit, 0), older, knowledge)))
    }
}

fn committed(commit: &Commit) -> Timestamp {
    Timestamp::from_second(commit.time_secs).unwrap_or_default()
}

fn candidate(checked: Checked, commit: Commit, allowed_removals: usize) -> Candidate {
    let Checked { revision, findings, refused, faulty } = checked;
    let seen = Timestamp::now();
    let distrust = None;
    Candidate {
        revision,
        subject: commit.subject,
        seen,
        findings,
        refused,
        distrust,
        faulty,
        allowed_removals,
    }
}

/// A commit of which nothing is read, for nobody who is trusted stands for it.
fn untrusted(commit: Commit, distrust: &Distrust) -> Candidate {
    tracing::warn!(revision = commit.id, subject = commit.subject, %distrust, "a revision is not trusted");
    let nothing = validate::repository(&Tree::new(), &commit.id, committed(&commit));
    let distrust = Some(format!("the commit is not trusted: {distrust}"));
    Candidate { findings: Vec::new(), refused: true, distrust, ..candidate(nothing, commit, 0) }
}
