//! What the agent says, and when it is news.

use std::time::Duration;

use jiff::Timestamp;
use qonnect_agent_core::state::SUSPEND;
use qonnect_schema::api::{EventSeverity, Report, ReportedEvent};
use qonnect_schema::documents::release::Mark;
use qonnect_schema::documents::snapshot::AppliedRelease;
use tokio::time::Instant;
use tracing::debug;

use super::Agent;

impl Agent {
    pub(super) fn report_within(&mut self, delay: Duration) {
        let at = Instant::now() + delay;
        self.report_at = Some(self.report_at.map_or(at, |planned| planned.min(at)));
    }

    pub(super) fn report(&mut self) {
        self.report_at = None;
        // A cluster without nodes would lose all that it runs: say nothing before they are known.
        if !self.facts.is_complete() {
            return;
        }
        let now = self.shared.now();
        let late = self.shared.state().look_at_clock(now);
        if let Some(late) = late {
            self.report_within(Duration::from_millis(late - now));
        }
        let news = self.shared.state().take_notices();
        let notices = news.len();
        for notice in news {
            let severity = if notice.warning { EventSeverity::Warning } else { EventSeverity::Normal };
            let kind = if notice.owner.is_namespace() { "application" } else { "component" };
            self.event(severity, notice.reason, format!("{kind}/{}", notice.owner), notice.message);
        }
        let mut report = self.state_of_affairs();
        if notices == 0 && self.said.as_ref() == Some(&report) {
            return;
        }
        self.shared.metrics.report(&report);
        self.said = Some(report.clone());
        self.seq += 1;
        report.seq = self.seq;
        debug!(seq = report.seq, applied = ?report.release.as_ref().map(|release| release.generation), "report handed over");
        self.uplink.report(report);
    }

    /// The report without its number and its events.
    fn state_of_affairs(&mut self) -> Report {
        let state = self.shared.state();
        if state.is_complete() {
            let Mark { epoch, generation, digest } = state.mark();
            self.applied = Some(AppliedRelease { generation, epoch, digest, commit: self.commit.clone() });
        }
        let suspended = state.is_suspended().then(|| {
            format!("suspended: nothing is applied or deleted; remove {SUSPEND} from the agent's namespace to resume")
        });
        let unwatched = self
            .unwatched
            .iter()
            .map(|(kind, why)| format!("health and drift of {kind} objects are unknown: {why}"));
        let stalled: Vec<String> =
            self.refused.iter().chain(&self.blocked).chain(state.kept()).cloned().collect();
        let stalled: Vec<String> = stalled.into_iter().chain(suspended).chain(unwatched).collect();
        Report {
            incarnation: self.incarnation,
            seq: 0,
            nodes: self.facts.nodes(),
            node_changes: None,
            measured: self.facts.measured.clone(),
            release: self.applied.clone(),
            mark: self.held.clone(),
            components: state.components(&self.facts.troubles()),
            component_changes: None,
            stalled: stalled.join("; "),
            events: Vec::new(),
        }
    }

    pub(super) fn event(&self, severity: EventSeverity, reason: &str, regarding: String, message: String) {
        self.uplink.event(ReportedEvent {
            time: Timestamp::now(),
            severity,
            reason: reason.into(),
            regarding,
            message,
        });
    }
}
