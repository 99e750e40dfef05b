//! A decision as a trace: one span from its plan to what became of its commit, and one in it for each step.

use std::time::Duration;

use qonnect_core::decision::Draft;
use qonnect_core::knowledge::Outcome;
use tracing::Span;
use tracing::field::{Empty, debug};

/// The decision that is under way; the core has one at a time.
#[derive(Debug, Default)]
pub(super) struct Trace {
    /// How long the core thought about the effects that are being carried out.
    planned: Duration,
    open: Option<(String, Span)>,
}

impl Trace {
    pub(super) fn planned(&mut self, took: Duration) {
        self.planned = took;
    }

    /// A decision that was made just now.
    pub(super) fn begin(&mut self, draft: &Draft) {
        let Draft { intent, epoch, revision, message, placements, releases, .. } = draft;
        let subject = message.lines().next().unwrap_or_default();
        let (applications, clusters) = (placements.len(), releases.len());
        let planned_ms = self.planned.as_secs_f64() * 1e3;
        let span = tracing::info_span!(
            "decision",
            intent, %epoch, revision, subject, applications, clusters, planned_ms, outcome = Empty,
            "otel.status_code" = Empty
        );
        self.open = Some((intent.clone(), span));
    }

    /// The decision that an intent belongs to; what an earlier leadership has left is a trace of its own.
    pub(super) fn of(&mut self, intent: &str) -> &Span {
        let open = self.open.take().filter(|(id, _)| id == intent);
        let (_, span) = self.open.insert(open.unwrap_or_else(|| {
            let span = tracing::info_span!(
                "decision",
                intent,
                resumed = true,
                outcome = Empty,
                "otel.status_code" = Empty
            );
            (intent.into(), span)
        }));
        span
    }

    /// It is over: the span of the step that says so is the last one.
    pub(super) fn end(&mut self, intent: &str, outcome: &Outcome) -> Span {
        let span = self.of(intent).clone();
        span.record("outcome", debug(outcome));
        if let Outcome::Refused(_) = outcome {
            span.record("otel.status_code", "ERROR");
        }
        self.open = None;
        span
    }

    /// The leadership has ended; another one looks up what became of it.
    pub(super) fn deposed(&mut self) {
        if let Some((_, span)) = self.open.take() {
            span.record("outcome", "Unknown");
        }
    }
}
