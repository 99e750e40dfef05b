//! The steps of a commit at a glance, with every finding at its line.

use qonnect_schema::diagnostic::Diagnostic;

use super::{Context, Link, State, Status};
use crate::knowledge::Knowledge;
use crate::review::cell;

/// Findings that are shown at their lines: GitHub takes no more in one request.
const SHOWN_MAX: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub commit: String,
    pub state: State,
    pub title: String,
    /// Where more is said about what the title says.
    pub link: Link,
    /// Markdown.
    pub summary: String,
    /// The first of them.
    pub findings: Vec<Diagnostic>,
}

/// One for each commit that has statuses: in progress until every step has succeeded, failed as soon as one has.
pub fn checks(knowledge: &Knowledge, statuses: &[Status]) -> Vec<Check> {
    let steps = statuses.chunk_by(|one, next| one.commit == next.commit);
    steps.filter_map(|steps| check(knowledge, steps)).collect()
}

fn check(knowledge: &Knowledge, steps: &[Status]) -> Option<Check> {
    let first = |state: State| steps.iter().find(|step| step.state == state);
    let said = |step: &Status| format!("{}: {}", step.context.step(), step.description);
    let telling = first(State::Failure).or_else(|| first(State::Replaced)).or_else(|| first(State::Pending));
    let step = telling.or(steps.last())?;
    let (state, title) = match (step.state, step.context) {
        (State::Replaced, _) => (State::Replaced, step.description.clone()),
        (State::Success, context) if context != Context::Ready => (State::Pending, "goes on".into()),
        (state, _) => (state, said(step)),
    };
    let (commit, link) = (step.commit.clone(), step.link.clone());
    let record = knowledge.revisions.iter().rev().find(|record| record.commit == commit);
    let findings = record.map_or(&[][..], |record| &record.findings);
    let mut summary = String::from("| step | | |\n|---|---|---|\n");
    for Status { context, state, description, .. } in steps {
        summary.push_str(&format!("| {} | {} | {} |\n", context.step(), word(*state), cell(description)));
    }
    if findings.len() > SHOWN_MAX {
        summary.push_str(&format!(
            "\n{SHOWN_MAX} of {} findings are shown at their lines; `qonnect get revisions {commit}` shows all.\n",
            findings.len()
        ));
    }
    let findings = findings.iter().take(SHOWN_MAX).cloned().collect();
    Some(Check { commit, state, title, link, summary, findings })
}

fn word(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Success => "done",
        State::Failure => "failed",
        State::Replaced => "replaced",
    }
}
