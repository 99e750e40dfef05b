//! Components that wait for those that they call.

use super::*;

const MINUTE: u64 = 60_000;

/// A Deployment that is Ready when [`comes_on`] says so.
fn deployment(component: &str, version: &str) -> Desired {
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": component, "namespace": "shop"}, "spec": {"replicas": 1, "paused": version},
    });
    Desired {
        id: ObjectId::of(&object).unwrap(),
        owner: Owner::new("shop", component),
        api_version: "apps/v1".into(),
        body: serde_json::to_vec(&object).unwrap().into(),
        hash: version.into(),
    }
}

/// `web` calls `db`, which calls `disk`.
fn calling(generation: u64, objects: &[&Desired]) -> Verified {
    let mut release = release(generation, objects.iter().map(|object| (*object).clone()).collect(), &[]);
    let calls = [("web", "db"), ("db", "disk")];
    let calls = calls.map(|(caller, callee)| (caller.to_owned(), vec![callee.to_owned()]));
    release.spec.order[0].depends_on = calls.into();
    release
}

fn comes_on(state: &mut State, desired: &Desired, version: u64) {
    let mut object = desired.object();
    object["metadata"]["resourceVersion"] = version.to_string().into();
    object["status"] = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1});
    state.observe(&desired.id, &object);
}

fn said(state: &State, component: &str) -> (Health, String, String) {
    let all = state.components(&Default::default());
    let status = all.into_iter().find(|status| status.component == component).unwrap();
    (status.health, status.reason, status.message)
}

#[test]
fn a_component_is_rolled_out_once_those_that_it_calls_are_ready() {
    let (disk, db, web) = (deployment("disk", "1"), deployment("db", "1"), deployment("web", "1"));
    let other = config("other", "other", "1");
    let mut state = State::default();
    state.adopt(calling(1, &[&disk, &db, &other, &web]));
    assert_eq!(apply_all(&mut state, 1, 0), ["other", "disk"], "others wait for nobody");
    assert!(!state.has_to_apply(0) && !state.is_complete());
    let (health, reason, message) = said(&state, "web");
    assert_eq!((health, reason.as_str()), (Health::Reconciling, "WaitingForDependency"));
    assert!(message.contains("it waits until shop/db is Ready, for 5 minutes at most"), "{message}");

    comes_on(&mut state, &disk, 2);
    assert_eq!(apply_all(&mut state, 3, 0), ["db"]);
    comes_on(&mut state, &db, 4);
    assert_eq!(apply_all(&mut state, 5, 0), ["web"]);
    assert!(state.is_complete());
}

#[test]
fn what_is_late_holds_nobody_for_ever() {
    let (disk, db, web) = (deployment("disk", "1"), deployment("db", "1"), deployment("web", "1"));
    let mut state = State::default();
    state.adopt(calling(1, &[&disk, &db, &web]));
    assert_eq!(apply_all(&mut state, 1, 0), ["disk"]);
    assert_eq!(state.next_due(0), Some(5 * MINUTE));
    assert!(!state.has_to_apply(5 * MINUTE - 1));
    assert_eq!(apply_all(&mut state, 2, 5 * MINUTE), ["db"]);
    let notices = state.take_notices();
    assert_eq!(notices.len(), 1);
    assert_eq!((notices[0].reason, notices[0].owner.to_string()), ("DependencyLate", "shop/disk".into()));
    assert!(notices[0].message.contains("not Ready within 5 minutes"));
    // Whom it calls is late, so its own time begins only now.
    assert_eq!(apply_all(&mut state, 3, 10 * MINUTE - 1), Vec::<String>::new());
    assert_eq!(apply_all(&mut state, 3, 10 * MINUTE), ["web"]);

    // The next release waits for nobody who was late and stays as it was.
    let web = deployment("web", "2");
    state.adopt(calling(2, &[&disk, &db, &web]));
    assert_eq!(apply_all(&mut state, 4, 11 * MINUTE), ["web"]);
    // Another version of it is waited for again.
    state.adopt(calling(3, &[&disk, &deployment("db", "2"), &deployment("web", "3")]));
    assert_eq!(apply_all(&mut state, 5, 12 * MINUTE), ["db"]);
}

#[test]
fn a_failure_after_the_roll_out_holds_nobody_and_drift_never_waits() {
    let (disk, db, web) = (deployment("disk", "1"), deployment("db", "1"), deployment("web", "1"));
    let mut state = State::default();
    state.adopt(calling(1, &[&disk, &db, &web]));
    for (version, desired) in [(2, &disk), (4, &db), (6, &web)] {
        apply_all(&mut state, version - 1, 0);
        comes_on(&mut state, desired, version);
    }
    assert!(state.is_complete());
    // The callee fails; what mends the caller goes out all the same.
    state.observe(&db.id, &live(&db, 7, "x"));
    let (disk, web) = (deployment("disk", "2"), deployment("web", "2"));
    state.adopt(calling(2, &[&disk, &db, &web]));
    assert_eq!(apply_all(&mut state, 8, 0), ["disk", "web"]);

    // While the callee rolls out anew, the caller is put right where it was changed or deleted.
    comes_on(&mut state, &disk, 9);
    let newer = deployment("db", "2");
    state.adopt(calling(3, &[&disk, &newer, &web]));
    assert_eq!(apply_all(&mut state, 10, 0), ["db"]);
    state.gone(&web.id);
    assert_eq!(apply_all(&mut state, 11, 0), ["web"]);
}

#[test]
fn removals_go_while_a_caller_waits_and_a_circle_holds_nobody() {
    let (db, web) = (deployment("db", "1"), deployment("web", "1"));
    let mut state = State::default();
    state.adopt(release(1, vec![config("old", "old", "1")], &[]));
    apply_all(&mut state, 1, 0);
    let mut next = calling(2, &[&db, &web]);
    next.spec.removals = release(2, vec![], &["old"]).spec.removals;
    // A lead would have refused it.
    next.spec.order[0].depends_on.insert("db".into(), vec!["web".into()]);
    state.adopt(next);
    assert_eq!(apply_all(&mut state, 2, 0), ["db"]);
    assert_eq!(state.to_delete(0)[0].id.name, "old");
    comes_on(&mut state, &db, 3);
    assert_eq!(apply_all(&mut state, 4, 0), ["web"]);
}
