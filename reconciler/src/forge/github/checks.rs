//! The check run of a commit: every finding at its line, which a status cannot say. Only apps may write one.

use qonnect_core::forge::{Check, State, Wanted};
use qonnect_schema::diagnostic::{Diagnostic, Severity};
use serde_json::{Value, json};

use super::answers::{CheckRun, CheckRuns, Repository};
use super::door::{Error, Method};
use super::{Found, Github};

const NAME: &str = "qonnect";

/// GitHub takes 64 KiB of a message, and folds what is longer than a few lines.
const MESSAGE_CHARS_MAX: usize = 2_000;

/// What GitHub has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    id: u64,
    state: &'static str,
    title: String,
    summary: String,
}

impl Github {
    pub(super) async fn check_all(
        &mut self,
        at: &str,
        repository: &Repository,
        wanted: &Wanted,
        found: &mut Found,
    ) -> Result<(), Error> {
        let Some(app) = self.door.app() else { return Ok(()) };
        for check in &wanted.checks {
            if self.seen.no_checks {
                break;
            }
            let link = self.link(repository, &check.link);
            match self.check(at, app, check, link).await {
                Err(error @ (Error::Refused { .. } | Error::Forbidden { .. })) => {
                    self.seen.no_checks = true;
                    found.refused.push(error);
                }
                result => result?,
            }
        }
        Ok(())
    }

    async fn check(&mut self, at: &str, app: u64, check: &Check, link: String) -> Result<(), Error> {
        let known = match self.seen.checks.get(&check.commit) {
            Some(known) => known.clone(),
            None => {
                let known = self.look_up_check(at, app, &check.commit).await?;
                self.seen.checks.insert(check.commit.clone(), known.clone());
                known
            }
        };
        let state = match (check.state, &known) {
            (State::Pending, _) => "in_progress",
            (State::Success, _) => "success",
            (State::Failure, _) => "failure",
            // Only what would be in progress for ever.
            (State::Replaced, Some(known)) if known.state == "in_progress" => "cancelled",
            (State::Replaced, _) => return Ok(()),
        };
        let Check { commit, title, summary, findings, .. } = check;
        let says_so = |known: &Known| {
            known.state == "success"
                || (known.state == state && known.title == *title && known.summary == *summary)
        };
        if known.as_ref().is_some_and(says_so) {
            return Ok(());
        }
        let mut output = json!({"title": title, "summary": summary});
        // Those of an update are added to what is there.
        if known.is_none() {
            output["annotations"] = findings.iter().map(annotation).collect();
        }
        let mut body = json!({"output": output, "details_url": link});
        match state {
            "in_progress" => body["status"] = json!(state),
            conclusion => {
                body["status"] = json!("completed");
                body["conclusion"] = json!(conclusion);
            }
        }
        let run: CheckRun = match &known {
            Some(Known { id, .. }) => {
                self.door.call(Method::Patch, &format!("{at}/check-runs/{id}"), Some(body)).await?
            }
            None => {
                body["name"] = json!(NAME);
                body["head_sha"] = json!(commit);
                self.door.call(Method::Post, &format!("{at}/check-runs"), Some(body)).await?
            }
        };
        let known = Known { id: run.id, state, title: title.clone(), summary: summary.clone() };
        self.seen.checks.insert(commit.clone(), Some(known));
        Ok(())
    }

    /// The newest of this app.
    async fn look_up_check(&mut self, at: &str, app: u64, commit: &str) -> Result<Option<Known>, Error> {
        let path = format!("{at}/commits/{commit}/check-runs?check_name={NAME}&app_id={app}&per_page=1");
        let found: CheckRuns = self.door.get(&path).await?;
        Ok(found.check_runs.into_iter().next().map(|run| {
            let state = match (run.status.as_str(), run.conclusion.as_deref()) {
                ("completed", Some("success")) => "success",
                ("completed", Some("failure")) => "failure",
                ("completed", _) => "cancelled",
                _ => "in_progress",
            };
            let (title, summary) = (run.output.title, run.output.summary);
            Known {
                id: run.id,
                state,
                title: title.unwrap_or_default(),
                summary: summary.unwrap_or_default(),
            }
        }))
    }
}

fn annotation(finding: &Diagnostic) -> Value {
    let line = finding.place.map_or(1, |place| place.line);
    let level = match finding.severity {
        Severity::Error => "failure",
        Severity::Warning => "warning",
    };
    let help = finding.help.iter().map(|help| format!("\n{help}"));
    let message = std::iter::once(finding.message.clone()).chain(help).collect::<String>();
    let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    json!({
        "path": finding.file, "start_line": line, "end_line": line,
        "annotation_level": level, "title": finding.code, "message": message,
    })
}
