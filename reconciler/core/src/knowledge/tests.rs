//! What the state machine promises, command by command.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use qonnect_schema::api::{
    ComponentChanges, EventSeverity, NodeChanges, Registration, ReleaseHint, Report, ReportedEvent,
    RevisionRecord, Verdict,
};
use qonnect_schema::documents::release::Mark;
use qonnect_schema::documents::snapshot::{ClusterStatus, ComponentStatus, Health, Node};
use qonnect_schema::{Epoch, Origin};

use super::*;

/// Applies changes in order, each under a key of its own.
#[derive(Default)]
struct Log {
    knowledge: Knowledge,
    index: u64,
}

impl Log {
    fn apply(&mut self, change: Change) -> Answer {
        self.index += 1;
        let now = Timestamp::from_second(self.index.cast_signed()).unwrap();
        self.knowledge.apply(self.index, &Command { key: format!("key-{}", self.index), now, change })
    }

    fn reasons(&self) -> Vec<&str> {
        self.knowledge.events.iter().map(|event| &*event.reason).collect()
    }
}

fn register(incarnation: u64) -> Change {
    let registration =
        Registration { incarnation, agent_version: "0.1.0".into(), kubernetes_version: "1.33".into() };
    Change::Register { cluster: "fog".into(), registration }
}

fn report(incarnation: u64, seq: u64, health: Option<Health>) -> Change {
    let component = health.map(|health| ComponentStatus {
        application: "bookinfo".into(),
        component: "reviews".into(),
        generation: 1,
        health,
        reason: String::new(),
        message: String::new(),
        objects: 2,
    });
    let report =
        Report { incarnation, seq, components: component.into_iter().collect(), ..Default::default() };
    Change::Report { cluster: "fog".into(), report: Box::new(report) }
}

fn open(node: u64, term: u64) -> Change {
    Change::OpenEpoch { node, term, group: format!("group-{node}") }
}

fn intent(id: &str, epoch: Epoch) -> Intent {
    let hint = ReleaseHint { commit: "c1".into(), generation: 1, digest: "sha256:1".into() };
    Intent {
        id: id.into(),
        epoch,
        base: None,
        commit: "c1".into(),
        revision: "r1".into(),
        kb_index: 1,
        files: BTreeMap::from([("clusters/fog/release.yaml".into(), Some("x".into()))]),
        message: "m".into(),
        time: Timestamp::UNIX_EPOCH,
        placements: BTreeMap::new(),
        notes: Vec::new(),
        releases: BTreeMap::from([("fog".into(), hint)]),
        completes: None,
        outcome: Outcome::Unknown,
    }
}

fn revision(commit: &str, verdict: Verdict) -> Change {
    let record = RevisionRecord {
        commit: commit.into(),
        subject: "subject".into(),
        seen: Timestamp::UNIX_EPOCH,
        verdict,
        held: vec![],
        message: String::new(),
        findings: vec![],
        published: None,
    };
    Change::Revision { record: Box::new(record), good: None, waits: false }
}

#[test]
fn a_repeated_key_changes_nothing_and_gets_the_first_answer() {
    let mut knowledge = Knowledge::default();
    let command = Command { key: "k".into(), now: Timestamp::UNIX_EPOCH, change: register(1) };
    assert_eq!(knowledge.apply(1, &command), Answer::Done);
    let before = knowledge.clone();
    assert_eq!(knowledge.apply(2, &command), Answer::Done);
    assert_eq!(knowledge, Knowledge { index: 2, ..before });
}

#[test]
fn reports_count_in_the_order_of_incarnation_and_number() {
    let mut log = Log::default();
    assert_eq!(log.apply(report(1, 1, None)), Answer::Unregistered);
    log.apply(register(1));
    assert_eq!(log.apply(report(1, 2, Some(Health::Ready))), Answer::Done);
    assert_eq!(log.apply(report(1, 1, None)), Answer::Superseded);
    assert_eq!(log.apply(report(1, 2, None)), Answer::Unchanged);
    assert_eq!(log.apply(report(2, 1, None)), Answer::Unregistered);
    assert_eq!(log.apply(register(2)), Answer::Done);
    assert_eq!(log.apply(report(1, 3, None)), Answer::Superseded);
    assert_eq!(log.apply(register(1)), Answer::Superseded);
    assert_eq!(log.knowledge.clusters["fog"].components.len(), 1, "what was reported last still counts");
    assert_eq!(log.apply(report(2, 1, None)), Answer::Done);
    assert_eq!(log.knowledge.clusters["fog"].components.len(), 0);
}

#[test]
fn edges_are_told_once() {
    let mut log = Log::default();
    log.apply(register(1));
    log.apply(register(1));
    log.apply(report(1, 1, Some(Health::Reconciling)));
    log.apply(report(1, 2, Some(Health::Ready)));
    log.apply(report(1, 3, Some(Health::Ready)));
    log.apply(report(1, 4, Some(Health::Stalled)));
    let lost = BTreeMap::from([("fog".to_owned(), ClusterStatus::Lost)]);
    log.apply(Change::Status { clusters: lost.clone() });
    assert_eq!(log.apply(Change::Status { clusters: lost }), Answer::Unchanged);
    assert_eq!(
        log.reasons(),
        ["ClusterRegistered", "ClusterReady", "ComponentReady", "ComponentStalled", "ClusterLost"]
    );
    let ids: Vec<u64> = log.knowledge.events.iter().map(|event| event.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
}

#[test]
fn a_published_intent_is_adopted_and_its_bytes_are_dropped() {
    let mut log = Log::default();
    let Answer::Epoch(epoch) = log.apply(open(1, 4)) else { panic!("no epoch") };
    log.apply(revision("r1", Verdict::Accepted));
    assert_eq!(log.apply(Change::Intent(Box::new(intent("i1", epoch)))), Answer::Done);
    assert!(log.knowledge.releases.is_empty());
    let published = Change::Outcome { intent: "i1".into(), outcome: Outcome::Published };
    assert_eq!(log.apply(published), Answer::Done);
    assert_eq!(log.knowledge.releases["fog"].generation, 1);
    assert_eq!(log.knowledge.revisions[0].published.as_deref(), Some("c1"));
    assert!(log.knowledge.intents[0].files.is_empty());
    let lost = Change::Outcome { intent: "i1".into(), outcome: Outcome::Lost };
    assert_eq!(log.apply(lost), Answer::Superseded);
    let unheard = Change::Outcome { intent: "i2".into(), outcome: Outcome::Lost };
    assert_eq!(log.apply(unheard), Answer::NotFound);
}

#[test]
fn only_the_newest_leadership_records_intents() {
    let mut log = Log::default();
    let Answer::Epoch(old) = log.apply(open(2, 3)) else { panic!("no epoch") };
    log.apply(open(1, 4));
    assert_eq!(log.apply(open(2, 3)), Answer::Superseded);
    assert_eq!(log.apply(Change::Intent(Box::new(intent("i1", old)))), Answer::Superseded);
}

#[test]
fn retention_is_bounded_but_never_forgets_an_unknown_outcome() {
    let mut log = Log::default();
    let Answer::Epoch(epoch) = log.apply(open(1, 1)) else { panic!("no epoch") };
    log.apply(Change::Intent(Box::new(intent("open", epoch))));
    log.apply(register(1));
    let noise = ReportedEvent {
        time: Timestamp::UNIX_EPOCH,
        severity: EventSeverity::Normal,
        reason: "Drift".into(),
        regarding: "x".repeat(5000),
        message: String::new(),
    };
    for number in 0..300 {
        log.apply(revision(&format!("r{number}"), Verdict::Refused));
        log.apply(Change::Intent(Box::new(intent(&format!("i{number}"), epoch))));
        log.apply(Change::Outcome { intent: format!("i{number}"), outcome: Outcome::Lost });
        let report = Report {
            incarnation: 1,
            seq: number + 1,
            events: vec![noise.clone(); 500],
            ..Default::default()
        };
        log.apply(Change::Report { cluster: "fog".into(), report: Box::new(report) });
    }
    let Knowledge { revisions, intents, events, .. } = &log.knowledge;
    assert_eq!((revisions.len(), intents.len(), events.len()), (200, 200, 2000));
    assert_eq!(intents[0].id, "open");
    assert!(events.iter().all(|event| event.regarding.chars().count() <= 1001));
}

#[test]
fn replicas_agree_on_the_hash_and_so_does_what_was_written_and_read() {
    let mut log = Log::default();
    log.apply(register(1));
    let twin = log.knowledge.clone();
    log.apply(report(1, 1, Some(Health::Ready)));
    assert_ne!(log.knowledge.hash(), twin.hash());
    let text = serde_json::to_string(&log.knowledge).unwrap();
    let read: Knowledge = serde_json::from_str(&text).unwrap();
    assert_eq!(read, log.knowledge);
    assert_eq!(read.hash(), log.knowledge.hash());
}

#[test]
fn a_clone_shares_what_it_does_not_change() {
    let mut log = Log::default();
    log.apply(register(1));
    log.apply(revision("r1", Verdict::Accepted));
    let published = log.knowledge.clone();
    log.apply(report(1, 1, Some(Health::Ready)));
    assert!(Arc::ptr_eq(&published.revisions, &log.knowledge.revisions));
    assert!(published.clusters["fog"].components.is_empty());
}

#[test]
fn a_report_that_says_nothing_new_is_recognised() {
    let mut log = Log::default();
    log.apply(register(1));
    let Change::Report { report: first, .. } = report(1, 1, Some(Health::Ready)) else { unreachable!() };
    assert!(log.knowledge.learns_from("fog", &first));
    log.apply(Change::Report { cluster: "fog".into(), report: first.clone() });
    assert!(!log.knowledge.learns_from("fog", &Report { seq: 2, ..(*first).clone() }));
    assert!(log.knowledge.learns_from("fog", &Report { stalled: "no".into(), ..(*first).clone() }));
}

#[test]
fn changes_of_nodes_count_only_onto_those_that_are_known() {
    let mut log = Log::default();
    log.apply(register(1));
    let node = |name: &str, ready| Node { name: name.into(), ready, ..Node::default() };
    let told = |seq, nodes: Option<Vec<Node>>, node_changes| {
        let report = Report { incarnation: 1, seq, nodes, node_changes, ..Report::default() };
        Change::Report { cluster: "fog".into(), report: Box::new(report) }
    };
    let (one, other) = (vec![node("a", true), node("b", true)], vec![node("a", false)]);
    let changes = |from: &[Node], to: &[Node]| Some(NodeChanges::between(from, to));
    assert_eq!(log.apply(told(1, None, changes(&one, &other))), Answer::Differs, "none are known yet");
    assert_eq!(log.apply(told(1, Some(one.clone()), None)), Answer::Done);
    assert_eq!(log.apply(told(2, None, changes(&one, &other))), Answer::Done);
    assert_eq!(log.knowledge.clusters["fog"].nodes, Some(other.clone()));

    let foreign = told(3, None, changes(&[node("c", true)], &[node("c", true), node("d", true)]));
    let Change::Report { report, .. } = &foreign else { unreachable!() };
    assert!(log.knowledge.learns_from("fog", report));
    assert_eq!(log.apply(foreign), Answer::Differs);
    assert_eq!(log.knowledge.clusters["fog"].seq, 2, "nothing of it was taken");
    let same = Report { incarnation: 1, seq: 3, node_changes: changes(&other, &other), ..Report::default() };
    assert!(!log.knowledge.learns_from("fog", &same));
}

#[test]
fn changes_of_components_count_only_onto_those_that_are_known() {
    let mut log = Log::default();
    log.apply(register(1));
    let Change::Report { report: first, .. } = report(1, 1, Some(Health::Ready)) else { unreachable!() };
    let ready = first.components.clone();
    let stalled: Vec<_> =
        ready.iter().map(|status| ComponentStatus { health: Health::Stalled, ..status.clone() }).collect();
    let told = |seq, from: &[ComponentStatus], to: &[ComponentStatus]| {
        let changes = Some(ComponentChanges::between(from, to));
        Report { seq, components: Vec::new(), component_changes: changes, ..(*first).clone() }
    };
    let send = |log: &mut Log, report: Report| {
        log.apply(Change::Report { cluster: "fog".into(), report: Box::new(report) })
    };
    assert_eq!(send(&mut log, told(1, &ready, &ready)), Answer::Differs, "none are known yet");
    assert_eq!(send(&mut log, (*first).clone()), Answer::Done);
    assert!(!log.knowledge.learns_from("fog", &told(2, &ready, &ready)));
    assert!(log.knowledge.learns_from("fog", &told(2, &ready, &stalled)));
    assert_eq!(send(&mut log, told(2, &ready, &stalled)), Answer::Done);
    assert_eq!(log.knowledge.clusters["fog"].components, stalled);
    assert_eq!(log.knowledge.clusters["fog"].failing.len(), 1);
    assert_eq!(send(&mut log, told(3, &stalled, &[])), Answer::Done);
    assert!(log.knowledge.clusters["fog"].components.is_empty());
}

#[test]
fn a_cluster_that_left_is_forgotten_but_its_generation_is_not() {
    let mut log = Log::default();
    let Answer::Epoch(epoch) = log.apply(open(1, 1)) else { panic!("no epoch") };
    log.apply(register(1));
    log.apply(Change::Intent(Box::new(intent("i1", epoch))));
    log.apply(Change::Outcome { intent: "i1".into(), outcome: Outcome::Published });
    let forget = Change::Forget { clusters: BTreeSet::from(["fog".to_owned()]) };
    assert_eq!(log.apply(forget.clone()), Answer::Done);
    assert_eq!(log.apply(forget), Answer::Unchanged);
    assert!(log.knowledge.clusters.is_empty());
    assert_eq!(log.knowledge.releases["fog"].generation, 1);
}

#[test]
fn a_group_keeps_the_id_of_its_first_leadership() {
    let mut log = Log::default();
    log.apply(open(1, 1));
    log.apply(open(2, 2));
    assert_eq!(log.knowledge.group, "group-1");
}

#[test]
fn a_settled_intent_is_not_recorded_again() {
    let mut log = Log::default();
    let Answer::Epoch(epoch) = log.apply(open(1, 1)) else { panic!("no epoch") };
    log.apply(Change::Intent(Box::new(intent("i", epoch))));
    assert_eq!(log.apply(Change::Intent(Box::new(intent("i", epoch)))), Answer::Unchanged);
    log.apply(Change::Outcome { intent: "i".into(), outcome: Outcome::Lost });
    assert_eq!(log.apply(Change::Intent(Box::new(intent("i", epoch)))), Answer::Superseded);
}

#[test]
fn a_recovery_names_the_group_that_is_adopted_and_goes_above_every_era_that_was_seen() {
    let mut log = Log::default();
    log.apply(open(1, 1));
    log.apply(register(1));
    let Change::Report { cluster, mut report } = report(1, 1, None) else { panic!("no report") };
    let epoch = Epoch { era: 6, term: 1, node: 1 };
    report.mark = Mark { generation: 9, epoch, digest: String::new() };
    log.apply(Change::Report { cluster, report });
    let origin = Origin { group: "lost".into(), epoch: Epoch { era: 4, term: 9, node: 2 } };
    log.apply(Change::Blocked { origin: Some(origin) });
    for wrong in [None, Some("other".to_owned())] {
        assert_eq!(log.apply(Change::Recover { adopt: wrong }), Answer::NotFound);
    }
    let answer = log.apply(Change::Recover { adopt: Some("lost".into()) });
    assert_eq!(answer, Answer::Epoch(Epoch { era: 7, term: 1, node: 1 }));
    assert!(log.knowledge.follows("lost") && log.knowledge.follows("group-1"));
    assert!(!log.knowledge.follows("other"));
    assert_eq!(log.knowledge.blocked, None);
    assert_eq!(log.apply(Change::Recover { adopt: None }), Answer::Epoch(Epoch { era: 8, term: 1, node: 1 }));
}

#[test]
fn the_state_has_a_hash_at_each_index_that_tells_leads_apart_from_where_they_differ() {
    let changes = |health| [open(1, 1), register(1), report(1, 1, None), report(1, 2, Some(health))];
    let hashes = |health| {
        let mut log = Log::default();
        for change in changes(health) {
            log.apply(change);
            // As a follower reads it from a snapshot.
            let bytes = serde_json::to_vec(&log.knowledge).unwrap();
            log.knowledge = serde_json::from_slice(&bytes).unwrap();
        }
        log.knowledge.hashes().cloned().collect::<Vec<_>>()
    };
    let [one, same, other] = [Health::Ready, Health::Ready, Health::Stalled].map(hashes);
    assert_eq!(one.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(one, same);
    assert_eq!(one[..3], other[..3]);
    assert_ne!(one[3], other[3]);
}

#[test]
fn where_an_application_was_ready_as_a_whole_is_remembered() {
    use qonnect_schema::documents::placement::{ComponentPlacement, PlacementSpec};
    let mut log = Log::default();
    let place = |log: &mut Log, cluster: &str| {
        let placed = ComponentPlacement { cluster: Some(cluster.into()), ..Default::default() };
        let components = BTreeMap::from([("reviews".to_owned(), placed)]);
        let spec = PlacementSpec { components, ..Default::default() };
        let placement = qonnect_schema::Placement::new("bookinfo", spec);
        log.knowledge.placements = Arc::new(BTreeMap::from([("bookinfo".into(), Arc::new(placement))]));
    };
    log.apply(register(1));
    place(&mut log, "fog");
    log.apply(report(1, 1, Some(Health::Reconciling)));
    assert_eq!(log.knowledge.ran_before("bookinfo"), None);
    log.apply(report(1, 2, Some(Health::Ready)));
    assert_eq!(log.knowledge.ran_before("bookinfo"), None, "it is there now");
    place(&mut log, "edge");
    let before = BTreeMap::from([("reviews".to_owned(), "fog".to_owned())]);
    assert_eq!(log.knowledge.ran_before("bookinfo"), Some(&before));
}

#[test]
fn since_when_a_component_fails_is_known_until_it_does_no_more() {
    let mut log = Log::default();
    let failing =
        |log: &Log| log.knowledge.clusters["fog"].failing.get("bookinfo/reviews").map(|at| at.as_second());
    log.apply(register(1));
    log.apply(report(1, 1, Some(Health::Stalled)));
    log.apply(report(1, 2, Some(Health::Stalled)));
    assert_eq!(failing(&log), Some(2));
    log.apply(report(1, 3, Some(Health::Ready)));
    assert_eq!(failing(&log), None);
}

#[test]
fn when_a_lost_cluster_came_back_is_known() {
    let mut log = Log::default();
    log.apply(register(1));
    let status = |status| Change::Status { clusters: BTreeMap::from([("fog".into(), status)]) };
    assert_eq!(log.knowledge.clusters["fog"].back, None, "it was never lost");
    log.apply(status(ClusterStatus::Lost));
    log.apply(status(ClusterStatus::Ready));
    assert_eq!(log.knowledge.clusters["fog"].back.map(|at| at.as_second()), Some(3));
}
