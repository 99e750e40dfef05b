//! The deploy branch, on a thread of its own: a remote that hangs holds nothing else up, and no later leadership.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use qonnect_core::decision::{Deployed, Draft, Trailers};
use qonnect_core::lead::{Ask, Event, Pushed, Tip};
use qonnect_git::signature::Key;
use qonnect_git::{Commit, CommitDraft, Depth, Limits, Mirror, Push, Remote};
use qonnect_schema::Origin;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::run::Events;
use super::{relay, review};

/// An exchange with the remote ends after this long, whatever it does.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// Done until nobody wants it any more, and then neither ended nor answered.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) work: Work,
    pub(super) end: CancellationToken,
    /// What it is a step of.
    pub(super) span: Span,
}

#[derive(Debug)]
pub(super) enum Work {
    /// Reads the branch, unless it stands where it is expected.
    Read {
        branch: String,
        asks: BTreeSet<String>,
        expected: Option<String>,
    },
    Write(Box<Draft>),
    Push {
        branch: String,
        intent: String,
        commit: String,
        base: Option<String>,
    },
    /// What people are asked about lies beside what is deployed.
    Review(Ask),
    /// Reads what an agent wants.
    HandOn(relay::Wanted),
}

/// Opens the clone, and works until every sender is gone.
pub(super) fn start(
    path: &Path,
    remote: Remote,
    key: Option<Key>,
    events: Events,
) -> anyhow::Result<mpsc::Sender<Task>> {
    let (sender, tasks) = mpsc::channel::<Task>();
    let (opened, open) = mpsc::sync_channel(1);
    let path = path.to_owned();
    let body = move || {
        // The clone is opened and closed here: its connections belong to this thread.
        let mut mirror = match Mirror::open(&path, remote) {
            Ok(mirror) => mirror,
            Err(error) => return drop(opened.send(Err(error))),
        };
        if let Some(key) = key {
            mirror.sign_with(key);
        }
        drop(opened.send(Ok(())));
        for Task { work, end, span } in tasks {
            let _step = span.entered();
            if end.is_cancelled() {
                continue;
            }
            mirror.end_with(end.clone());
            match carry_out(&mut mirror, work) {
                Some(_) if end.is_cancelled() => {
                    tracing::info!(
                        "what was asked of the deploy branch was ended: this lead does not lead any more"
                    );
                }
                Some(event) => events.send(event),
                None => {}
            }
        }
    };
    let thread = thread::Builder::new().name("deploy-branch".into()).spawn(body);
    thread.context("the system starts no thread for the deploy branch")?;
    open.recv().context("the thread of the deploy branch ended early")??;
    Ok(sender)
}

fn carry_out(mirror: &mut Mirror, work: Work) -> Option<Event> {
    Some(match work {
        Work::Read { branch, asks, expected } => match read(mirror, &branch, &asks, expected) {
            Ok(Some(tip)) => Event::Tip(Box::new(tip)),
            Ok(None) => Event::TipUnchanged,
            Err(error) => {
                if !matches!(error, qonnect_git::Error::Ended) {
                    tracing::warn!(branch, %error, "the deploy branch cannot be read");
                }
                Event::TipUnreadable
            }
        },
        Work::Write(draft) => write(mirror, *draft),
        Work::Push { branch, intent, commit, base } => {
            let result = push(mirror, &branch, &commit, base.as_deref());
            Event::Pushed { intent, result }
        }
        Work::Review(ask) => Event::Review(review::carry_out(mirror, ask)),
        Work::HandOn(wanted) => {
            relay::hand_on(mirror, wanted);
            return None;
        }
    })
}

fn read(
    mirror: &mut Mirror,
    branch: &str,
    asks: &BTreeSet<String>,
    expected: Option<String>,
) -> Result<Option<Tip>, qonnect_git::Error> {
    let fetched = mirror.fetch(branch, Depth::Full, DEADLINE)?;
    if expected.is_some() && fetched == expected {
        return Ok(None);
    }
    let Some(tip) = fetched else {
        let (deployed, contains) = (Deployed::default(), BTreeSet::new());
        return Ok(Some(Tip { deployed, origin: None, asks: asks.clone(), contains }));
    };
    let commit = mirror.commit(&tip)?;
    let tree = mirror.tree(&tip, "", &Limits::default())?;
    let mut contains = BTreeSet::new();
    for ask in asks {
        if mirror.descends(&tip, ask)? {
            contains.insert(ask.clone());
        }
    }
    let time = Timestamp::from_second(commit.time_secs).unwrap_or_default();
    let deployed = Deployed::read(Some(tip), time, &tree);
    Ok(Some(Tip { deployed, origin: origin(mirror, commit)?, asks: asks.clone(), contains }))
}

/// Who wrote the newest commit of a group of leads at or below this one: those of others may lie above it.
fn origin(mirror: &Mirror, tip: Commit) -> Result<Option<Origin>, qonnect_git::Error> {
    let mut seen = BTreeSet::from([tip.id.clone()]);
    let mut next = VecDeque::from([tip]);
    while let Some(commit) = next.pop_front() {
        if let Some(trailers) = Trailers::parse(&commit.message) {
            return Ok(Some(trailers.origin()));
        }
        for parent in commit.parents.into_iter().filter(|parent| seen.insert(parent.clone())) {
            next.push_back(mirror.commit(&parent)?);
        }
    }
    Ok(None)
}

fn write(mirror: &Mirror, draft: Draft) -> Event {
    let Draft { intent, base, files, message, time, .. } = draft;
    let subject = message.lines().next().unwrap_or_default().to_owned();
    let time_secs = time.as_second();
    match mirror.write_commit(&CommitDraft { base, like: None, files, message, time_secs }) {
        Ok(commit) => {
            tracing::debug!(commit, subject, "a decision is written");
            Event::Written { intent, commit }
        }
        Err(error) => {
            tracing::error!(%error, subject, "a decision cannot be written into the local clone");
            Event::NotWritten { intent }
        }
    }
}

fn push(mirror: &mut Mirror, branch: &str, commit: &str, base: Option<&str>) -> Pushed {
    let pushed = mirror.publish(branch, commit, base, DEADLINE);
    outcome(branch, commit, pushed)
}

/// What came of a push, for the core and for the log.
pub(super) fn outcome(branch: &str, commit: &str, pushed: Result<Push, qonnect_git::Error>) -> Pushed {
    match pushed {
        Ok(Push::Published) => {
            tracing::info!(branch, commit, "published");
            Pushed::Published
        }
        Ok(Push::Lost { tip }) => {
            tracing::warn!(branch, commit, tip, "another commit stands where this one should");
            Pushed::Lost
        }
        Ok(Push::Refused(why)) => {
            tracing::error!(
                branch,
                commit,
                why,
                "the server refuses the push; see its rules for this branch"
            );
            Pushed::Refused(why)
        }
        Ok(Push::Unknown(why)) => {
            tracing::warn!(branch, commit, why, "the outcome of a push is not known");
            Pushed::Unknown
        }
        // The remote has not acted; looking at the branch tells whether trying again makes sense.
        Err(error) => {
            tracing::warn!(branch, commit, %error, "a push failed");
            Pushed::Unknown
        }
    }
}
