//! What readers are told: one line for each edge, the newest last.

use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::api::{Event, EventSeverity};

use super::Knowledge;

/// Enough for a day of a quiet fleet and for the last minutes of a storm.
const EVENTS_MAX: usize = 2_000;

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

    pub(super) fn tell_at(
        &mut self,
        time: Timestamp,
        severity: EventSeverity,
        reason: &str,
        regarding: String,
        message: impl Into<String>,
    ) {
        let id = self.events.back().map_or(1, |newest| newest.id + 1);
        let events = Arc::make_mut(&mut self.events);
        events.push_back(Arc::new(Event {
            id,
            time,
            severity,
            reason: short(reason),
            regarding: short(&regarding),
            message: short(&message.into()),
        }));
        if events.len() > EVENTS_MAX {
            events.pop_front();
        }
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}
