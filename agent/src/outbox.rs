//! What is to be told to the leads: the newest state, and the events that they have not heard yet.

use std::collections::VecDeque;

use qonnect_schema::api::{Report, ReportedEvent};

/// The oldest go first: while the leads are away, what is new matters more.
const EVENTS_MAX: usize = 256;

#[derive(Default)]
pub(crate) struct Outbox {
    /// The newest report, and whether a lead has it.
    report: Option<Report>,
    told: bool,
    events: VecDeque<ReportedEvent>,
    /// How many events went before the first of these.
    gone: u64,
}

impl Outbox {
    /// A newer report takes the place of one that was not sent yet.
    pub(crate) fn put(&mut self, report: Report) {
        self.report = Some(report);
        self.told = false;
    }

    pub(crate) fn event(&mut self, event: ReportedEvent) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.gone += 1;
        }
        self.events.push_back(event);
    }

    /// A lead knows nothing of us: the newest report is told again.
    pub(crate) fn tell_again(&mut self) {
        self.told = false;
    }

    /// The report to send, with every event that waits, and the number of the last of them.
    pub(crate) fn next(&self) -> Option<(Report, u64)> {
        let report = self.report.as_ref().filter(|_| !self.told)?;
        let events = self.events.iter().cloned().collect();
        Some((Report { events, ..report.clone() }, self.gone + self.events.len() as u64))
    }

    /// The report `seq` has arrived, with the events up to number `last`.
    pub(crate) fn arrived(&mut self, seq: u64, last: u64) {
        // Some of them may have been dropped for newer ones meanwhile.
        let heard = last.saturating_sub(self.gone) as usize;
        self.events.drain(..heard);
        self.gone = self.gone.max(last);
        self.told = self.report.as_ref().is_some_and(|report| report.seq == seq);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use qonnect_schema::api::EventSeverity;

    use super::*;

    fn report(seq: u64) -> Report {
        Report { seq, ..Report::default() }
    }

    fn event(number: usize) -> ReportedEvent {
        ReportedEvent {
            time: Timestamp::UNIX_EPOCH,
            severity: EventSeverity::Normal,
            reason: "Test".into(),
            regarding: String::new(),
            message: number.to_string(),
        }
    }

    #[test]
    fn only_the_newest_report_is_sent_and_only_once() {
        let mut outbox = Outbox::default();
        outbox.put(report(1));
        outbox.put(report(2));
        let (sent, last) = outbox.next().unwrap();
        assert_eq!(sent.seq, 2);
        outbox.put(report(3));
        outbox.arrived(2, last);
        assert_eq!(outbox.next().unwrap().0.seq, 3, "it came while the other was on its way");
        outbox.arrived(3, last);
        assert!(outbox.next().is_none());
        outbox.tell_again();
        assert_eq!(outbox.next().unwrap().0.seq, 3);
    }

    #[test]
    fn events_wait_for_a_lead_are_bounded_and_go_out_once() {
        let mut outbox = Outbox::default();
        outbox.put(report(1));
        outbox.event(event(0));
        let (_, last) = outbox.next().unwrap();
        (1..=EVENTS_MAX).for_each(|number| outbox.event(event(number)));
        outbox.arrived(1, last);
        outbox.put(report(2));
        let (sent, last) = outbox.next().unwrap();
        assert_eq!((sent.events.len(), sent.events[0].message.as_str()), (EVENTS_MAX, "1"));
        outbox.arrived(2, last);
        outbox.put(report(3));
        assert!(outbox.next().unwrap().0.events.is_empty());
    }
}
