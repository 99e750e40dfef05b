//! What a line of each list says.

use jiff::Timestamp;
use qonnect_schema::api::{
    ApplicationView, ClusterView, Event, NodeView, PlacementView, RevisionRecord, Verdict,
};
use qonnect_schema::documents::application::Objectives;
use qonnect_schema::documents::placement::Score;
use serde::Serialize;

use crate::api::client::Listed;
use crate::cli::output::{self, age, age_or_dash, bytes, commit, or_dash};

/// A list that a terminal can show.
pub(super) trait Rows: Listed + Serialize + Clone + PartialEq {
    const SINGULAR: &'static str;
    const PLURAL: &'static str;
    const COLUMNS: &'static [&'static str];
    /// Further columns of `-o wide`.
    const WIDE: &'static [&'static str];
    /// Items are only added: a watch appends them instead of drawing the list anew.
    const GROWS: bool = false;

    /// Some lists hold more than what was asked for.
    fn is_shown(&self) -> bool {
        true
    }

    fn fits(&self, name: &str) -> bool;
    fn row(&self, now: Timestamp) -> Vec<String>;
    fn wide(&self, now: Timestamp) -> Vec<String>;

    /// Lines below the table when items were asked for by name.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(super) fn table<T: Rows>(items: &[T], wide: bool, now: Timestamp, width: Option<u16>) -> String {
    output::table(&header::<T>(wide), &cells(items, wide, now), width)
}

/// What is new since a list was printed.
pub(super) fn news<T: Rows>(
    before: &[T],
    items: &[T],
    wide: bool,
    now: Timestamp,
    width: Option<u16>,
) -> String {
    let fresh: Vec<T> = items.iter().filter(|item| !before.contains(item)).cloned().collect();
    output::rows_below(&cells(before, wide, now), &header::<T>(wide), &cells(&fresh, wide, now), width)
}

fn header<T: Rows>(wide: bool) -> Vec<&'static str> {
    T::COLUMNS.iter().chain(if wide { T::WIDE } else { &[] }).copied().collect()
}

fn cells<T: Rows>(items: &[T], wide: bool, now: Timestamp) -> Vec<Vec<String>> {
    let row = |item: &T| {
        let mut row = item.row(now);
        row.extend(if wide { item.wide(now) } else { Vec::new() });
        row
    };
    items.iter().map(row).collect()
}

impl Rows for ClusterView {
    const SINGULAR: &'static str = "cluster";
    const PLURAL: &'static str = "clusters";
    const COLUMNS: &'static [&'static str] = &["NAME", "TIER", "STATUS", "READY", "RELEASE", "SINCE"];
    const WIDE: &'static [&'static str] =
        &["REGION", "NODES", "CPU", "MEMORY", "PODS", "AGENT", "KUBERNETES", "STALLED"];

    fn fits(&self, name: &str) -> bool {
        self.name == name
    }

    fn row(&self, now: Timestamp) -> Vec<String> {
        let mut status = format!("{:?}", self.status);
        if self.fenced {
            status.push_str(",Fenced");
        } else if self.cordon {
            status.push_str(",Cordoned");
        }
        if self.maintenance.is_some() {
            status.push_str(",Maintenance");
        }
        if !self.stalled.is_empty() {
            status.push_str(",Stalled");
        }
        let applied = self.applied.as_ref().map(|release| release.generation);
        let wanted = self.wanted.as_ref().map(|release| release.generation);
        let release = match (applied, wanted) {
            (applied, wanted) if applied == wanted => or_dash(applied),
            (applied, wanted) => format!("{}→{}", or_dash(applied), or_dash(wanted)),
        };
        vec![
            self.name.clone(),
            self.tier.clone(),
            status,
            format!("{}/{}", self.components_ready, self.components),
            release,
            age_or_dash(now, self.since),
        ]
    }

    fn wide(&self, _: Timestamp) -> Vec<String> {
        vec![
            or_dash(self.region.as_ref()),
            self.nodes.to_string(),
            self.capacity.cpu.to_string(),
            bytes(self.capacity.memory),
            self.capacity.pods.to_string(),
            or_dash(Some(&self.agent_version)),
            or_dash(Some(&self.kubernetes_version)),
            or_dash(Some(&self.stalled)),
        ]
    }
}

impl Rows for NodeView {
    const SINGULAR: &'static str = "node";
    const PLURAL: &'static str = "nodes";
    const COLUMNS: &'static [&'static str] =
        &["CLUSTER", "NAME", "STATUS", "CPU", "MEMORY", "STORAGE", "PODS"];
    const WIDE: &'static [&'static str] = &[
        "OTHERS-CPU",
        "OTHERS-MEMORY",
        "USED-CPU",
        "USED-MEMORY",
        "WATTS",
        "ENERGY",
        "PRICE",
        "BANDWIDTH",
        "PRESSURES",
    ];

    fn fits(&self, name: &str) -> bool {
        self.cluster == name || self.node.name == name
    }

    fn row(&self, _: Timestamp) -> Vec<String> {
        let mut status = match (self.reported, self.node.ready) {
            (false, _) => "Declared",
            (true, true) => "Ready",
            (true, false) => "NotReady",
        }
        .to_owned();
        if self.node.unschedulable {
            status.push_str(",SchedulingDisabled");
        }
        let all = &self.node.allocatable;
        vec![
            self.cluster.clone(),
            self.node.name.clone(),
            status,
            all.cpu.to_string(),
            bytes(all.memory),
            bytes(all.storage),
            all.pods.to_string(),
        ]
    }

    fn wide(&self, _: Timestamp) -> Vec<String> {
        vec![
            self.node.foreign.cpu.to_string(),
            bytes(self.node.foreign.memory),
            or_dash(self.usage.and_then(|usage| usage.cpu)),
            or_dash(self.usage.and_then(|usage| usage.memory).map(bytes)),
            or_dash(self.usage.and_then(|usage| usage.watts)),
            or_dash(self.node.energy),
            or_dash(self.node.price),
            or_dash(self.node.bandwidth),
            or_dash(Some(self.node.pressures.join(","))),
        ]
    }
}

impl Rows for ApplicationView {
    const SINGULAR: &'static str = "application";
    const PLURAL: &'static str = "apps";
    const COLUMNS: &'static [&'static str] = &["NAME", "READY", "STATUS", "REVISION", "HELD"];
    const WIDE: &'static [&'static str] = &["NAMESPACE", "OBJECTIVES"];

    fn fits(&self, name: &str) -> bool {
        self.name == name
    }

    fn row(&self, _: Timestamp) -> Vec<String> {
        vec![
            self.name.clone(),
            format!("{}/{}", self.components_ready, self.components),
            told(self.stale, self.health.map_or_else(|| "Unplaced".into(), |health| format!("{health:?}")))
                + if self.suspended { ",Suspended" } else { "" },
            commit(&self.commit),
            if self.held { "yes" } else { "-" }.into(),
        ]
    }

    fn wide(&self, _: Timestamp) -> Vec<String> {
        vec![self.namespace.clone(), objectives(&self.objectives)]
    }
}

impl Rows for PlacementView {
    const SINGULAR: &'static str = "placement";
    const PLURAL: &'static str = "placements";
    const COLUMNS: &'static [&'static str] =
        &["APPLICATION", "COMPONENT", "CLUSTER", "STATUS", "MOVING", "SCORE", "REVISION"];
    const WIDE: &'static [&'static str] = &["OBJECTS", "NEXT-BEST", "REFUSED", "MESSAGE"];

    fn fits(&self, name: &str) -> bool {
        match name.split_once('/') {
            Some((application, component)) => self.application == application && self.component == component,
            None => self.application == name,
        }
    }

    fn row(&self, _: Timestamp) -> Vec<String> {
        let status = match (&self.cluster, &self.status) {
            (None, _) => "Unplaced".into(),
            (Some(_), _) if self.stranded => "Stranded".into(),
            (Some(_), None) => "Pending".into(),
            (Some(_), Some(status)) => told(self.stale, format!("{:?}", status.health)),
        };
        vec![
            self.application.clone(),
            self.component.clone(),
            or_dash(self.cluster.as_ref()),
            status,
            self.moving.as_ref().map_or_else(
                || "-".into(),
                |moving| format!("{:?} from {}", moving.phase, moving.from).to_lowercase(),
            ),
            score(self.score.as_ref()),
            commit(&self.revision),
        ]
    }

    fn wide(&self, _: Timestamp) -> Vec<String> {
        let next = self.others.iter().find(|other| other.score.is_some());
        let refused = self.others.iter().filter(|other| other.refused.is_some()).count();
        vec![
            or_dash(self.status.as_ref().map(|status| status.objects)),
            next.map_or_else(
                || "-".into(),
                |next| format!("{} {}", next.cluster, score(next.score.as_ref())),
            ),
            refused.to_string(),
            or_dash(
                self.status
                    .as_ref()
                    .map(|status| format!("{} {}", status.reason, status.message).trim().to_owned()),
            ),
        ]
    }
}

impl Rows for RevisionRecord {
    const SINGULAR: &'static str = "revision";
    const PLURAL: &'static str = "revisions";
    const COLUMNS: &'static [&'static str] = &["COMMIT", "VERDICT", "PUBLISHED", "AGE", "MESSAGE"];
    const WIDE: &'static [&'static str] = &["SUBJECT", "FINDINGS", "HELD"];

    fn fits(&self, name: &str) -> bool {
        self.commit.starts_with(name)
    }

    fn row(&self, now: Timestamp) -> Vec<String> {
        let published = self.published.as_deref().map(commit);
        vec![
            commit(&self.commit),
            format!("{:?}", self.verdict),
            match self.verdict {
                Verdict::Accepted | Verdict::Held => or_dash(published),
                Verdict::Refused | Verdict::Waiting => "-".into(),
            },
            age(now, self.seen),
            if self.message.is_empty() { self.subject.clone() } else { self.message.clone() },
        ]
    }

    fn wide(&self, _: Timestamp) -> Vec<String> {
        vec![self.subject.clone(), self.findings.len().to_string(), or_dash(Some(self.held.join(",")))]
    }

    fn details(&self) -> Vec<String> {
        let line = |finding: &qonnect_schema::diagnostic::Diagnostic| {
            let place = finding.place.map(|place| format!(":{}:{}", place.line, place.column));
            let help = finding.help.as_ref().map(|help| format!(" ({help})"));
            format!(
                "{}{}: {}{}",
                finding.file,
                place.unwrap_or_default(),
                finding.message,
                help.unwrap_or_default()
            )
        };
        self.findings.iter().map(line).collect()
    }
}

impl Rows for Event {
    const SINGULAR: &'static str = "event";
    const PLURAL: &'static str = "events";
    const COLUMNS: &'static [&'static str] = &["AGE", "TYPE", "REASON", "OBJECT", "MESSAGE"];
    const WIDE: &'static [&'static str] = &["TIME", "ID", "DECISION"];
    const GROWS: bool = true;

    fn fits(&self, name: &str) -> bool {
        self.regarding == name || self.regarding.split('/').any(|part| part == name)
    }

    fn row(&self, now: Timestamp) -> Vec<String> {
        vec![
            age(now, self.time),
            format!("{:?}", self.severity),
            self.reason.clone(),
            self.regarding.clone(),
            self.message.clone(),
        ]
    }

    fn wide(&self, _: Timestamp) -> Vec<String> {
        vec![self.time.to_string(), self.id.to_string(), or_dash(self.decision.as_deref().map(commit))]
    }
}

/// What was said before a cluster fell silent is no news of it.
fn told(stale: Option<Timestamp>, said: String) -> String {
    stale.map_or(said, |since| format!("Stale since {}", since.strftime("%F %TZ")))
}

/// In units of the objective function, not in millionths.
fn score(score: Option<&Score>) -> String {
    score.map_or_else(|| "-".into(), |score| format!("{:.4}", score.total as f64 / 1e6))
}

fn objectives(objectives: &Objectives) -> String {
    let Objectives { energy, cost, performance, carbon } = objectives;
    let weights = [("energy", energy), ("cost", cost), ("performance", performance), ("carbon", carbon)];
    let named = weights.into_iter().filter(|(_, weight)| **weight != 0.0);
    named.map(|(name, weight)| format!("{name}={weight}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Five minutes after everything.
    fn now() -> Timestamp {
        "2026-01-01T00:05:00Z".parse().unwrap()
    }

    fn show<T: Rows>(items: serde_json::Value, wide: bool) -> String {
        let items: Vec<T> = serde_json::from_value(items).unwrap();
        assert!(items.iter().all(|item| item.row(now()).len() == T::COLUMNS.len()));
        assert!(items.iter().all(|item| item.wide(now()).len() == T::WIDE.len()));
        table(&items, wide, now(), None)
    }

    #[test]
    fn clusters_show_what_is_wanted_beside_what_runs() {
        let release = |generation| json!({"commit": "c", "generation": generation, "digest": "d"});
        let cluster = |name, status, applied: u64, stalled: &str| {
            let applied = json!({"generation": applied, "epoch": {"era": 0, "term": 1, "node": 1}, "digest": "d", "commit": "c"});
            json!({
                "name": name, "tier": "fog", "status": status, "since": "2026-01-01T00:00:00Z", "cordon": true,
                "fenced": status == "Lost",
                "nodes": 1, "capacity": {}, "components": 3, "componentsReady": 2, "wanted": release(7),
                "applied": applied, "stalled": stalled, "agentVersion": "0.1.0", "kubernetesVersion": "1.33",
            })
        };
        assert_eq!(
            show::<ClusterView>(
                json!([cluster("a", "Ready", 7, ""), cluster("b", "Lost", 6, "no room")]),
                false
            ),
            "NAME  TIER  STATUS               READY  RELEASE  SINCE\n\
             a     fog   Ready,Cordoned       2/3    7        5m\n\
             b     fog   Lost,Fenced,Stalled  2/3    6→7      5m\n"
        );
    }

    #[test]
    fn applications_and_placements_say_how_they_are() {
        let app = json!([{
            "name": "bookinfo", "namespace": "books", "objectives": {"energy": 1.0, "cost": 0.5}, "components": 4,
            "componentsReady": 3, "health": "Reconciling", "commit": "0123456789", "held": true,
        }]);
        assert_eq!(
            show::<ApplicationView>(app, true),
            "NAME      READY  STATUS       REVISION  HELD  NAMESPACE  OBJECTIVES\n\
             bookinfo  3/4    Reconciling  0123456   yes   books      energy=1,cost=0.5\n"
        );
        let placement = json!([
            {"application": "bookinfo", "component": "reviews", "cluster": "fog-cost", "score": {"total": 12_345},
             "moving": {"from": "edge", "phase": "placing", "deadline": "2026-01-01T00:10:00Z"}, "revision": "0123456789"},
            {"application": "bookinfo", "component": "ratings", "revision": "0123456789"},
        ]);
        let stale = json!([{
            "application": "bookinfo", "component": "details", "cluster": "fog", "revision": "0123456789",
            "stale": "2026-01-01T00:04:00Z", "status": {"application": "bookinfo", "component": "details",
                "generation": 1, "health": "Ready", "objects": 2},
        }]);
        let line = show::<PlacementView>(stale, false);
        assert!(line.contains("Stale since 2026-01-01 00:04:00Z") && !line.contains("Ready"), "{line}");
        assert_eq!(
            show::<PlacementView>(placement, false),
            "APPLICATION  COMPONENT  CLUSTER   STATUS    MOVING             SCORE   REVISION\n\
             bookinfo     reviews    fog-cost  Pending   placing from edge  0.0123  0123456\n\
             bookinfo     ratings    -         Unplaced  -                  -       0123456\n"
        );
    }

    #[test]
    fn revisions_show_verdict_and_reason_and_by_name_every_finding() {
        let record = json!([{
            "commit": "0123456789", "subject": "move", "seen": "2026-01-01T00:04:30Z", "verdict": "Refused",
            "message": "fleet.yaml has a fault",
            "findings": [{"severity": "error", "code": "unknown-field", "file": "fleet.yaml",
                "place": {"line": 3, "column": 5, "start": 0, "end": 1}, "message": "unknown field `leese`",
                "help": "did you mean `lease`?"}],
        }]);
        assert_eq!(
            show::<RevisionRecord>(record.clone(), false),
            "COMMIT   VERDICT  PUBLISHED  AGE  MESSAGE\n\
             0123456  Refused  -          30s  fleet.yaml has a fault\n"
        );
        let records: Vec<RevisionRecord> = serde_json::from_value(record).unwrap();
        assert_eq!(records[0].details(), ["fleet.yaml:3:5: unknown field `leese` (did you mean `lease`?)"]);
    }

    #[test]
    fn events_of_a_component_are_found_by_each_part_of_its_name() {
        let event: Event = serde_json::from_value(json!({
            "id": 1, "time": "2026-01-01T00:00:00Z", "severity": "Normal", "reason": "ComponentReady",
            "regarding": "component/bookinfo/reviews", "message": "on fog",
        }))
        .unwrap();
        let found =
            ["bookinfo", "reviews", "component/bookinfo/reviews", "book"].map(|name| event.fits(name));
        assert_eq!(found, [true, true, true, false]);
    }
}
