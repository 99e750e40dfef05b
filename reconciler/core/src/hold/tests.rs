use qonnect_schema::documents::application::{ApplicationSpec, Objectives};
use qonnect_schema::documents::placement::{ComponentPlacement, PlacementSpec};
use qonnect_schema::manifest::Manifest;
use qonnect_schema::{Application, Cluster, ClusterSpec, Epoch, Placement};
use serde_json::json;

use super::*;

fn source(name: &str, commit: &str, components: &[&str]) -> Arc<ApplicationSource> {
    let component = |name: &&str| serde_json::from_value(json!({"name": name, "manifests": ["m"]})).unwrap();
    let spec = ApplicationSpec {
        objectives: Objectives { energy: 1.0, ..Default::default() },
        components: components.iter().map(component).collect(),
        ..Default::default()
    };
    let application = Application::new(name, spec);
    Arc::new(ApplicationSource { commit: commit.into(), application, manifests: Arc::default() })
}

/// A commit with these applications of one component each, and one cluster.
fn candidate(commit: &str, applications: &[&str]) -> Candidate {
    let applications = applications.iter().map(|name| ((*name).to_owned(), source(name, commit, &["web"])));
    Candidate {
        revision: Revision {
            commit: commit.into(),
            time: Timestamp::UNIX_EPOCH,
            fleet: Default::default(),
            clusters: BTreeMap::from([("fog".into(), Cluster::new("fog", ClusterSpec::default()))]),
            signals: BTreeMap::new(),
            applications: applications.collect(),
        },
        subject: "subject".into(),
        seen: Timestamp::UNIX_EPOCH,
        findings: Vec::new(),
        refused: false,
        distrust: None,
        faulty: BTreeSet::new(),
        allowed_removals: 0,
    }
}

fn effective(commit: &str, applications: &[&str]) -> Effective {
    judge(&candidate(commit, applications), None, &Knowledge::default()).effective.unwrap()
}

fn placed(application: &str, cluster: &str) -> Knowledge {
    let component = ComponentPlacement { cluster: Some(cluster.into()), ..Default::default() };
    let spec = PlacementSpec {
        revision: "r".into(),
        kb_index: 1,
        epoch: Epoch::default(),
        components: BTreeMap::from([("web".into(), component)]),
        ..Default::default()
    };
    let placement = Arc::new(Placement::new(application, spec));
    let mut knowledge = Knowledge::default();
    knowledge.placements = Arc::new(BTreeMap::from([(application.into(), placement)]));
    knowledge
}

const FIVE: &[&str] = &["a", "b", "c", "d", "e"];

#[test]
fn a_clean_commit_counts_whole() {
    let judged = judge(&candidate("r1", FIVE), None, &Knowledge::default());
    assert_eq!(judged.record.verdict, Verdict::Accepted);
    assert_eq!(judged.effective.unwrap().good(), Good { commit: "r1".into(), applications: BTreeMap::new() });
}

#[test]
fn a_faulty_application_stays_at_its_last_good_commit_and_others_go_on() {
    let before = effective("r1", FIVE);
    let faulty = BTreeSet::from(["e".to_owned()]);
    let judged =
        judge(&Candidate { faulty, ..candidate("r2", &FIVE[..4]) }, Some(&before), &Knowledge::default());
    assert_eq!((judged.record.verdict, &judged.record.held[..]), (Verdict::Held, &["e".to_owned()][..]));
    let effective = judged.effective.unwrap();
    assert_eq!(effective.revision.applications["e"].commit, "r1");
    assert_eq!(effective.revision.applications["a"].commit, "r2");
    assert_eq!(effective.good().applications, BTreeMap::from([("e".into(), "r1".into())]));
}

#[test]
fn what_is_held_never_counts_as_removed() {
    let before = effective("r1", FIVE);
    let faulty = FIVE.iter().map(|name| (*name).to_owned()).collect();
    let judged = judge(&Candidate { faulty, ..candidate("r2", &[]) }, Some(&before), &Knowledge::default());
    assert_eq!(judged.record.verdict, Verdict::Held);
    assert_eq!(judged.effective.unwrap().revision.applications, before.revision.applications);
}

#[test]
fn a_faulty_application_that_runs_without_a_readable_source_is_frozen() {
    let faulty = BTreeSet::from(["a".to_owned(), "new".to_owned()]);
    let judged = judge(&Candidate { faulty, ..candidate("r2", &[]) }, None, &placed("a", "fog"));
    assert_eq!(judged.effective.unwrap().frozen, BTreeSet::from(["a".to_owned()]));
}

fn with_service(source: &ApplicationSource) -> Arc<ApplicationSource> {
    let object = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}});
    let mut source = source.clone();
    source.application.spec.namespace = Some("shared".into());
    source.manifests =
        BTreeMap::from([("web".into(), vec![Manifest { path: "m".into(), document: 0, object }])]).into();
    Arc::new(source)
}

#[test]
fn what_a_held_application_keeps_nobody_takes_over() {
    let mut first = candidate("r1", &["a", "b"]);
    first.revision.applications.insert("b".into(), with_service(&source("b", "r1", &["web"])));
    let before = judge(&first, None, &Knowledge::default()).effective.unwrap();

    let mut second = candidate("r2", &["a"]);
    second.revision.applications.insert("a".into(), with_service(&source("a", "r2", &["web"])));
    second.faulty = BTreeSet::from(["b".to_owned()]);
    let judged = judge(&second, Some(&before), &Knowledge::default());

    assert_eq!(judged.record.held, ["a", "b"]);
    let effective = judged.effective.unwrap();
    assert_eq!(effective.revision.applications["a"].commit, "r1");
    let older = before.revision.applications.clone();
    assert_eq!(Effective::restored(second, older, &Knowledge::default()), effective);
}

#[test]
fn a_fault_outside_of_apps_refuses_everything() {
    let before = effective("r1", FIVE);
    let candidate = Candidate { refused: true, ..candidate("r2", FIVE) };
    let judged = judge(&candidate, Some(&before), &Knowledge::default());
    assert_eq!((judged.record.verdict, judged.effective), (Verdict::Refused, None));
}

#[test]
fn a_commit_that_is_not_trusted_changes_nothing_and_says_why() {
    let before = effective("1234567890", FIVE);
    let distrust = Some("the commit is not trusted: it is not signed".to_owned());
    let candidate = Candidate { refused: true, distrust, ..candidate("r2", &[]) };
    let judged = judge(&candidate, Some(&before), &Knowledge::default());
    assert_eq!((judged.record.verdict, judged.effective), (Verdict::Refused, None));
    assert_eq!(judged.record.message, "the commit is not trusted: it is not signed, stays at 1234567");
}

#[test]
fn one_of_five_applications_may_go_but_two_wait_for_consent() {
    let before = effective("r1", FIVE);
    let verdict = |left: &[&str], allowed_removals| {
        let candidate = Candidate { allowed_removals, ..candidate("r2", left) };
        judge(&candidate, Some(&before), &Knowledge::default()).record
    };
    assert_eq!(verdict(&FIVE[..4], 0).verdict, Verdict::Accepted);
    let waiting = verdict(&FIVE[..3], 1);
    assert_eq!(waiting.verdict, Verdict::Waiting);
    assert!(waiting.message.contains("`Qonnect-Allow-Removals: 2`"), "{}", waiting.message);
    assert_eq!(verdict(&FIVE[..3], 2).verdict, Verdict::Accepted);
}

#[test]
fn more_than_a_quarter_of_the_components_waits_even_in_one_application() {
    let with = |commit: &str, components: &[&str]| {
        let mut candidate = candidate(commit, &[]);
        candidate.revision.applications.insert("a".into(), source("a", commit, components));
        candidate
    };
    let before = judge(&with("r1", FIVE), None, &Knowledge::default()).effective.unwrap();
    let verdict =
        |left: &[&str]| judge(&with("r2", left), Some(&before), &Knowledge::default()).record.verdict;
    assert_eq!(verdict(&FIVE[..4]), Verdict::Accepted);
    assert_eq!(verdict(&FIVE[..3]), Verdict::Waiting);
}

#[test]
fn what_runs_counts_even_if_its_source_is_not_known() {
    let judged = judge(&candidate("r2", &["b"]), None, &placed("a", "fog"));
    assert_eq!(judged.record.verdict, Verdict::Waiting);
}

#[test]
fn a_cluster_goes_only_when_it_is_empty() {
    let before = effective("r1", &["a"]);
    let mut candidate = candidate("r2", &["a"]);
    candidate.revision.clusters.clear();
    let judged = judge(&candidate, Some(&before), &placed("a", "fog"));
    assert_eq!((judged.record.verdict, judged.provisional), (Verdict::Refused, true));
    assert!(judged.record.findings[0].message.contains("a/web"));
    assert_eq!(judge(&candidate, Some(&before), &Knowledge::default()).record.verdict, Verdict::Accepted);
}

#[test]
fn the_trailer_is_read_from_any_line_of_the_message() {
    assert_eq!(allowed_removals("remove\n\nQonnect-Allow-Removals: 12\nSigned-off-by: a"), 12);
    assert_eq!(allowed_removals("remove\n\nqonnect-allow-removals:3"), 3);
    assert_eq!(allowed_removals("remove Qonnect-Allow-Removals"), 0);
    assert_eq!(allowed_removals("x\n\nQonnect-Allow-Removals: all"), 0);
}
