//! What readers are told: one line for each edge, the newest last.

use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::api::{Event, EventSeverity};

use super::{Knowledge, Note};

/// Enough for a day of a quiet fleet and for the last minutes of a storm.
const EVENTS_MAX: usize = 2_000;

/// Each reason is a time series of its own to whoever collects metrics.
const REASONS_MAX: usize = 200;

const OTHER: &str = "Other";

/// Texts come from agents too.
const TEXT_CHARS_MAX: usize = 1_000;

impl Knowledge {
    pub(super) fn tell(
        &mut self,
        severity: EventSeverity,
        reason: &str,
        regarding: String,
        message: impl Into<String>,
    ) {
        self.tell_at(self.now, severity, reason, regarding, message);
    }

    /// What a commit has brought about.
    pub(super) fn tell_decided(&mut self, note: &Note, commit: &str) {
        self.tell(note.severity, &note.reason, note.regarding.clone(), &note.message);
        if let Some(event) = Arc::make_mut(&mut self.events).back_mut() {
            Arc::make_mut(event).decision = Some(commit.into());
        }
    }

    pub(super) fn tell_at(
        &mut self,
        time: Timestamp,
        severity: EventSeverity,
        reason: &str,
        regarding: String,
        message: impl Into<String>,
    ) {
        self.count(reason);
        let id = self.events.back().map_or(1, |newest| newest.id + 1);
        let events = Arc::make_mut(&mut self.events);
        events.push_back(Arc::new(Event {
            id,
            time,
            severity,
            reason: short(reason),
            regarding: short(&regarding),
            message: short(&message.into()),
            decision: None,
        }));

        if events.len() > EVENTS_MAX {
            events.pop_front();
        }
    }
}

impl Knowledge {
    /// Reasons come from agents too: those beyond the limit are counted together.
    fn count(&mut self, reason: &str) {
        let known = self.told.contains_key(reason) || self.told.len() < REASONS_MAX;
        let reason = if known { reason } else { OTHER };
        *Arc::make_mut(&mut self.told).entry(short(reason)).or_default() += 1;
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}
