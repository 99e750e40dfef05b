//! What an agent says of its cluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::api::{EventSeverity, Report};
use qonnect_schema::documents::snapshot::{ClusterState, ComponentStatus, Health, Node};

use super::{Answer, Knowledge};

/// A storm of events from one agent must not wash away everybody else's.
const EVENTS_PER_REPORT_MAX: usize = 50;

impl Knowledge {
    /// Whether logging the report would change more than its number: one that would not is not worth a write.
    pub fn learns_from(&self, cluster: &str, report: &Report) -> bool {
        let Some(state) = self.clusters.get(cluster) else { return true };
        let stalled = self.stalled.get(cluster).map_or("", String::as_str);
        state.incarnation != report.incarnation
            || tells_of_nodes(state, report)
            || state.measured != report.measured
            || state.release != report.release
            || state.mark != report.mark
            || tells_of_components(state, report)
            || stalled != report.stalled
            || !report.events.is_empty()
    }

    pub(super) fn report(&mut self, cluster: &str, report: &Report) -> Answer {
        let Some(before) = self.clusters.get(cluster).cloned() else { return Answer::Unregistered };
        if report.incarnation > before.incarnation {
            return Answer::Unregistered;
        }
        if report.incarnation < before.incarnation || (report.seq < before.seq) {
            return Answer::Superseded;
        }
        if report.seq == before.seq && before.seq != 0 {
            return Answer::Unchanged;
        }
        let (Some(nodes), Some(components)) = (nodes(&before, report), components(&before, report)) else {
            return Answer::Differs;
        };
        let after = ClusterState {
            reported: Some(self.now),
            seq: report.seq,
            nodes,
            measured: report.measured.clone(),
            release: report.release.clone(),
            mark: report.mark.clone(),
            failing: self.failing(&before, &components),
            components,
            ..ClusterState::clone(&before)
        };
        let after = Arc::new(after);
        Arc::make_mut(&mut self.clusters).insert(cluster.into(), after.clone());
        self.tell_of_components(cluster, &before.components, &after.components);
        self.remember_settled(&after.components);
        self.stalls(cluster, &report.stalled);
        for event in report.events.iter().rev().take(EVENTS_PER_REPORT_MAX).rev() {
            self.tell_at(event.time, event.severity, &event.reason, event.regarding.clone(), &event.message);
        }
        Answer::Done
    }

    /// Since when components are Stalled.
    fn failing(&self, before: &ClusterState, after: &[ComponentStatus]) -> BTreeMap<String, Timestamp> {
        let stalled = after.iter().filter(|status| status.health == Health::Stalled);
        let since = stalled.map(|status| {
            let key = format!("{}/{}", status.application, status.component);
            let since = before.failing.get(&key).copied().unwrap_or(self.now);
            (key, since)
        });
        since.collect()
    }

    /// Edges of health, one event each.
    fn tell_of_components(&mut self, cluster: &str, before: &[ComponentStatus], after: &[ComponentStatus]) {
        let name = |status: &ComponentStatus| (status.application.clone(), status.component.clone());
        let before: BTreeMap<_, _> = before.iter().map(|status| (name(status), status.health)).collect();
        for status in after {
            if before.get(&name(status)) == Some(&status.health) {
                continue;
            }
            let (severity, reason) = match status.health {
                Health::Ready => (EventSeverity::Normal, "ComponentReady"),
                Health::Stalled => (EventSeverity::Warning, "ComponentStalled"),
                Health::Reconciling | Health::Terminating => continue,
            };
            let message = match (&*status.reason, &*status.message) {
                ("", "") => format!("on {cluster}"),
                (reason, message) => format!("on {cluster}: {reason} {message}").trim_end().to_owned(),
            };
            let regarding = format!("component/{}/{}", status.application, status.component);
            self.tell(severity, reason, regarding, message);
        }
    }

    fn stalls(&mut self, cluster: &str, why: &str) {
        if self.stalled.get(cluster).map_or("", String::as_str) == why {
            return;
        }
        let stalled = Arc::make_mut(&mut self.stalled);
        let regarding = format!("cluster/{cluster}");
        if why.is_empty() {
            stalled.remove(cluster);
            self.tell(
                EventSeverity::Normal,
                "ReleaseApplied",
                regarding,
                "the newest release is applied again",
            );
        } else {
            stalled.insert(cluster.into(), why.into());
            self.tell(EventSeverity::Warning, "ReleaseStalled", regarding, why);
        }
    }
}

fn tells_of_nodes(state: &ClusterState, report: &Report) -> bool {
    match (&report.nodes, &report.node_changes) {
        (Some(nodes), _) => state.nodes.as_ref() != Some(nodes),
        (None, Some(changes)) => !state.nodes.as_ref().is_some_and(|nodes| changes.are_known(nodes)),
        (None, None) => false,
    }
}

/// The nodes after a report; `None` where its changes are to others than are known.
fn nodes(before: &ClusterState, report: &Report) -> Option<Option<Vec<Node>>> {
    match (&report.nodes, &report.node_changes) {
        (Some(nodes), _) => Some(Some(nodes.clone())),
        (None, Some(changes)) => changes.onto(before.nodes.as_ref()?).map(Some),
        (None, None) => Some(before.nodes.clone()),
    }
}

fn tells_of_components(state: &ClusterState, report: &Report) -> bool {
    match &report.component_changes {
        Some(changes) => !changes.are_known(&state.components),
        None => state.components != report.components,
    }
}

/// The components after a report; `None` where its changes are to others than are known.
fn components(before: &ClusterState, report: &Report) -> Option<Vec<ComponentStatus>> {
    match &report.component_changes {
        Some(changes) => changes.onto(&before.components),
        None => Some(report.components.clone()),
    }
}
