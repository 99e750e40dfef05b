//! What `git log` and readers say of a decision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_schema::api::EventSeverity;
use qonnect_schema::documents::placement::Cause;
use qonnect_schema::layout;

use super::{Change, Input, Trailers, What};
use crate::rollout::Step;

pub use crate::knowledge::Note;

/// Changes that a subject names before it counts the rest.
const NAMED_IN_SUBJECT_MAX: usize = 3;

/// Lines in the body of a message; a push may place thousands.
const LINES_MAX: usize = 100;

/// Events of one commit; the rest is counted in one more.
const NOTES_MAX: usize = 200;

pub(super) fn message(
    input: &Input<'_>,
    intent: &str,
    changes: &[Change],
    files: &BTreeMap<String, Option<Arc<[u8]>>>,
) -> String {
    let text = match changes.split_first() {
        Some((first, rest)) => decided(first, rest),
        None => rendered(files),
    };
    let trailers = Trailers {
        epoch: input.epoch,
        group: input.group.into(),
        revision: input.revision.commit.clone(),
        kb_index: input.snapshot.index,
        intent: intent.into(),
    };
    format!("{text}\n\n{trailers}")
}

/// `place bookinfo: details -> fog-cost, reviews -> fog-cost, and 2 more`, and below it each change.
fn decided(first: &Change, rest: &[Change]) -> String {
    let (verb, item) = words(first);
    let mut subject = format!("{verb} {}", first.application);
    if !item.is_empty() {
        subject.push_str(&format!(": {item}"));
    }
    let alike =
        rest.iter().take_while(|change| change.application == first.application && words(change).0 == verb);
    let named: Vec<String> = alike.take(NAMED_IN_SUBJECT_MAX - 1).map(|change| words(change).1).collect();
    for item in &named {
        subject.push_str(&format!(", {item}"));
    }
    match rest.len() - named.len() {
        0 => return subject,
        more => subject.push_str(&format!(", and {more} more")),
    }
    let lines = std::iter::once(first).chain(rest).take(LINES_MAX).map(|change| {
        let (verb, item) = words(change);
        let colon = if item.is_empty() { "" } else { ": " };
        format!("\n{verb} {}{colon}{item}", change.application)
    });
    let body: String = lines.collect();
    format!("{subject}\n{body}")
}

/// No decision changed: `render bookinfo on fog-cost`.
fn rendered(files: &BTreeMap<String, Option<Arc<[u8]>>>) -> String {
    let (mut applications, mut clusters) = (BTreeSet::new(), BTreeSet::new());
    for path in files.keys() {
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            [layout::CLUSTERS, cluster, application, _, ..] => {
                clusters.insert(cluster);
                applications.insert(application);
            }
            [layout::CLUSTERS, cluster, ..] => {
                clusters.insert(cluster);
            }
            _ => {}
        }
    }
    let list = |names: &BTreeSet<&str>| match names.len() {
        0 => String::new(),
        1..=NAMED_IN_SUBJECT_MAX => names.iter().copied().collect::<Vec<_>>().join(", "),
        many => many.to_string(),
    };
    match (applications.is_empty(), clusters.is_empty()) {
        (false, _) => format!("render {} on {}", list(&applications), list(&clusters)),
        (true, false) => format!("release {}", list(&clusters)),
        (true, true) => "restore placements".into(),
    }
}

pub(crate) fn words(change: &Change) -> (&'static str, String) {
    let name = &change.component;
    match &change.what {
        What::Removed => ("remove", name.clone()),
        What::Step(step) => match step {
            Step::Stayed => ("keep", name.clone()),
            Step::Placed { to } => ("place", format!("{name} -> {to}")),
            Step::Unplaced => ("cannot place", name.clone()),
            Step::Started { from, to } => ("place", format!("{name} {from} -> {to}")),
            Step::Repointed { from, to } => ("repoint", format!("callers of {name} {from} -> {to}")),
            Step::Left { from, to } => ("place", format!("{name} -> {to}, gone from {from}")),
            Step::Finished { from, .. } => ("drop", format!("{name} on {from}")),
            Step::FailedOver { from, to } => ("fail over", format!("{name} {from} -> {to}")),
            Step::RolledBack { from, to, why } => ("roll back", format!("{name} {from} -> {to}, {why}")),
            Step::Stranded { on, .. } => ("keep", format!("{name} on {on}, which is lost")),
            Step::Returned { on } => ("keep", format!("{name} on {on}, which is back")),
        },
    }
}

/// The reason of a move, for people.
fn why(cause: Option<Cause>) -> &'static str {
    match cause {
        Some(Cause::Asked) => "the application asks for it",
        Some(Cause::Improved) => "it is better off there",
        Some(Cause::Failed) => "it failed where it was for too long",
        Some(Cause::FailedOver) => "where it was is lost",
        Some(Cause::Forced) => "it must not stay where it was",
        Some(Cause::New | Cause::RolledBack) | None => "it is wanted there",
    }
}

pub(super) fn notes(changes: &[Change]) -> Vec<Note> {
    let mut notes: Vec<Note> = changes.iter().take(NOTES_MAX).map(note).collect();
    if let Some(more) = changes.len().checked_sub(NOTES_MAX).filter(|more| *more > 0) {
        notes.push(Note {
            severity: EventSeverity::Normal,
            reason: "ManyChanges".into(),
            regarding: "fleet".into(),
            message: format!("and {more} more changes; the commit on the deploy branch holds them all"),
        });
    }
    notes
}

fn note(change: &Change) -> Note {
    use EventSeverity::{Normal, Warning};
    let (severity, reason, message) = match &change.what {
        What::Removed => (Normal, "Removed", "left the repository".to_owned()),
        What::Step(step) => match step {
            Step::Stayed => (Normal, "ComponentStayed", String::new()),
            Step::Placed { to } => (Normal, "ComponentPlaced", format!("on {to}")),
            Step::Unplaced => (Warning, "ComponentUnplaced", "no cluster takes it".into()),
            Step::Started { from, to } => {
                (Normal, "MoveStarted", format!("from {from} to {to}: {}", why(change.cause)))
            }
            Step::Repointed { to, .. } => {
                (Normal, "CallersRepointed", format!("Ready on {to}, callers change over"))
            }
            Step::Left { from, to } => (Normal, "ComponentLeft", format!("gone from {from}, placed on {to}")),
            Step::Finished { from, to } => (Normal, "ComponentMoved", format!("from {from} to {to}")),
            Step::FailedOver { from, to } => {
                (Warning, "ComponentFailedOver", format!("{from} is lost, placed on {to}"))
            }
            Step::RolledBack { from, to, why } => {
                (Warning, "MoveRolledBack", format!("from {from} to {to}: {why}"))
            }
            Step::Stranded { on, why } => {
                (Warning, "ComponentStranded", format!("{on} is lost, and it stays assigned: {why}"))
            }
            Step::Returned { on } => (Normal, "ComponentReturned", format!("{on} is back")),
        },
    };
    let Change { application, component, .. } = change;
    let regarding = match component.is_empty() {
        true => format!("application/{application}"),
        false => format!("component/{application}/{component}"),
    };
    Note { severity, reason: reason.into(), regarding, message }
}
