//! What is to be told to the leads: the newest state, and the events that they have not heard yet.

use std::collections::VecDeque;

use qonnect_schema::api::{ComponentChanges, NodeChanges, Report, ReportedEvent};
use qonnect_schema::documents::snapshot::{ComponentStatus, Node};

/// The oldest go first: while the leads are away, what is new matters more.
pub const EVENTS_MAX: usize = 256;

#[derive(Debug, Default)]
pub struct Outbox {
    /// The newest report, and whether a lead has it.
    report: Option<Report>,
    told: bool,
    /// What a lead has acknowledged: what is sent counts from it.
    known: Told,
    /// What the report told that was sent last.
    sent: Told,
    events: VecDeque<ReportedEvent>,
    /// How many events went before the first of these.
    gone: u64,
}

/// What travels as changes; absent where no report has told it.
#[derive(Debug, Default)]
struct Told {
    nodes: Option<Vec<Node>>,
    components: Option<Vec<ComponentStatus>>,
}

impl Outbox {
    /// A newer report takes the place of one that was not sent yet.
    pub fn put(&mut self, report: Report) {
        self.report = Some(report);
        self.told = false;
    }

    pub fn event(&mut self, event: ReportedEvent) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
            self.gone += 1;
        }
        self.events.push_back(event);
    }

    /// A lead knows nothing of us, or something else: the newest report is told again, with all that it holds.
    pub fn tell_all(&mut self) {
        self.told = false;
        self.known = Told::default();
    }

    /// The report to send, with every event that waits, and the number of the last of them.
    pub fn to_send(&mut self) -> Option<(Report, u64)> {
        let newest = self.report.as_ref().filter(|_| !self.told)?;
        let mut report = Report { events: self.events.iter().cloned().collect(), ..newest.clone() };
        self.sent = Told { nodes: report.nodes.clone(), components: Some(report.components.clone()) };
        if let (Some(known), Some(nodes)) = (&self.known.nodes, &report.nodes) {
            report.node_changes = Some(NodeChanges::between(known, nodes));
            report.nodes = None;
        }
        if let Some(known) = &self.known.components {
            report.component_changes = Some(ComponentChanges::between(known, &report.components));
            report.components.clear();
        }
        Some((report, self.gone + self.events.len() as u64))
    }

    /// The report `seq` has arrived, with the events up to number `last`.
    pub fn arrived(&mut self, seq: u64, last: u64) {
        // Some of them may have been dropped for newer ones meanwhile.
        let heard = last.saturating_sub(self.gone) as usize;
        self.events.drain(..heard);
        self.gone = self.gone.max(last);
        let Told { nodes, components } = std::mem::take(&mut self.sent);
        self.known.nodes = nodes.or(self.known.nodes.take());
        self.known.components = components.or(self.known.components.take());
        self.told = self.report.as_ref().is_some_and(|report| report.seq == seq);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use qonnect_schema::api::EventSeverity;
    use qonnect_schema::documents::snapshot::Health;

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
        let (sent, last) = outbox.to_send().unwrap();
        assert_eq!(sent.seq, 2);
        outbox.put(report(3));
        outbox.arrived(2, last);
        assert_eq!(outbox.to_send().unwrap().0.seq, 3, "it came while the other was on its way");
        outbox.arrived(3, last);
        assert!(outbox.to_send().is_none());
        outbox.tell_all();
        assert_eq!(outbox.to_send().unwrap().0.seq, 3);
    }

    #[test]
    fn nodes_are_told_once_and_then_what_changes_of_them() {
        let node = |name: &str, ready| Node { name: name.into(), ready, ..Node::default() };
        let report =
            |seq, ready| Report { seq, nodes: Some(vec![node("a", true), node("b", ready)]), ..report(seq) };
        let mut outbox = Outbox::default();
        outbox.put(report(1, true));
        let (sent, last) = outbox.to_send().unwrap();
        assert_eq!((sent.nodes.unwrap().len(), sent.node_changes), (2, None));
        // Lost on its way: what a lead has is not known, so it counts from nothing.
        outbox.put(report(2, true));
        assert!(outbox.to_send().unwrap().0.nodes.is_some());
        outbox.arrived(2, last);
        outbox.put(report(3, false));
        let (sent, last) = outbox.to_send().unwrap();
        assert_eq!((sent.nodes, sent.node_changes.unwrap().changed), (None, vec![node("b", false)]));
        outbox.arrived(3, last);
        outbox.put(report(4, false));
        assert!(outbox.to_send().unwrap().0.node_changes.unwrap().changed.is_empty());
        outbox.tell_all();
        assert_eq!(outbox.to_send().unwrap().0.nodes.unwrap().len(), 2);
    }

    #[test]
    fn components_are_told_once_and_then_what_changes_of_them() {
        let status = |component: &str, health| ComponentStatus {
            application: "shop".into(),
            component: component.into(),
            generation: 1,
            health,
            reason: String::new(),
            message: String::new(),
            objects: 1,
        };
        let told = |seq, health| Report {
            components: vec![status("db", Health::Ready), status("web", health)],
            ..report(seq)
        };
        let mut outbox = Outbox::default();
        outbox.put(told(1, Health::Reconciling));
        let (sent, last) = outbox.to_send().unwrap();
        assert_eq!((sent.components.len(), sent.component_changes), (2, None));
        outbox.arrived(1, last);
        outbox.put(told(2, Health::Ready));
        let (sent, last) = outbox.to_send().unwrap();
        assert!(sent.components.is_empty());
        assert_eq!(sent.component_changes.unwrap().changed, [status("web", Health::Ready)]);
        outbox.arrived(2, last);
        outbox.put(report(3));
        assert_eq!(outbox.to_send().unwrap().0.component_changes.unwrap().gone, ["shop/db", "shop/web"]);
        outbox.tell_all();
        assert_eq!(outbox.to_send().unwrap().0.component_changes, None, "all of none");
    }

    #[test]
    fn events_wait_for_a_lead_are_bounded_and_go_out_once() {
        let mut outbox = Outbox::default();
        outbox.put(report(1));
        outbox.event(event(0));
        let (_, last) = outbox.to_send().unwrap();
        (1..=EVENTS_MAX).for_each(|number| outbox.event(event(number)));
        outbox.arrived(1, last);
        outbox.put(report(2));
        let (sent, last) = outbox.to_send().unwrap();
        assert_eq!((sent.events.len(), sent.events[0].message.as_str()), (EVENTS_MAX, "1"));
        outbox.arrived(2, last);
        outbox.put(report(3));
        assert!(outbox.to_send().unwrap().0.events.is_empty());
    }
}
