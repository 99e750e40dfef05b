use qonnect_schema::documents::release::{ReleaseSpec, ReleasedApplication, Removal, RemovalCause};
use qonnect_schema::documents::snapshot::Health;
use serde_json::json;

use super::*;

mod dependencies;

fn config(component: &str, name: &str, value: &str) -> Desired {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": {"key": value}});
    Desired {
        id: ObjectId::of(&object).unwrap(),
        owner: Owner::new("shop", component),
        api_version: "v1".into(),
        body: serde_json::to_vec(&object).unwrap().into(),
        hash: value.into(),
    }
}

fn release(generation: u64, objects: Vec<Desired>, removals: &[&str]) -> Verified {
    let mut components: Vec<String> =
        objects.iter().map(|object| object.owner.component.to_string()).collect();
    components.dedup();
    let order = match components.is_empty() {
        true => vec![],
        false => {
            vec![ReleasedApplication {
                application: "shop".into(),
                namespace: "shop".into(),
                components,
                depends_on: Default::default(),
            }]
        }
    };
    let removals = removals.iter().map(|component| Removal {
        application: "shop".into(),
        component: component.to_string(),
        cause: RemovalCause::ComponentDeleted,
        intent: "1".into(),
    });
    let spec = ReleaseSpec {
        generation,
        epoch: Default::default(),
        revision: String::new(),
        order,
        removals: removals.collect(),
        digest: String::new(),
        decommissioned: false,
    };
    Verified { spec, objects }
}

/// Carries out what is due, as a server without a will of its own does.
fn apply_all(state: &mut State, version: u64, now: u64) -> Vec<String> {
    let stages = state.to_apply(now);
    state.register(&stages);
    let mut names = Vec::new();
    for apply in stages.iter().flatten() {
        state.applying(apply);
        let mut object = apply.desired.object();
        object["metadata"]["resourceVersion"] = version.to_string().into();
        state.applied(apply, &object, now);
        names.push(apply.desired.id.name.clone());
    }
    names
}

fn live(desired: &Desired, version: u64, value: &str) -> Value {
    let mut object = desired.object();
    object["metadata"]["resourceVersion"] = version.to_string().into();
    object["data"]["key"] = value.into();
    object
}

fn problem(reason: &str) -> Problem {
    Problem { reason: reason.into(), message: "why".into(), transient: false }
}

#[test]
fn a_change_applies_only_what_changed() {
    let mut state = State::default();
    state.adopt(release(1, vec![config("web", "a", "1"), config("web", "b", "1")], &[]));
    assert_eq!(apply_all(&mut state, 1, 0), ["a", "b"]);
    assert!(state.is_complete());
    state.adopt(release(2, vec![config("web", "a", "1"), config("web", "b", "2")], &[]));
    assert_eq!(apply_all(&mut state, 2, 0), ["b"]);
    assert_eq!(state.components(&Default::default())[0].generation, 2);
}

#[test]
fn after_a_restart_only_what_differs_is_applied_again() {
    let mut state = State::default();
    let objects = vec![config("web", "a", "1"), config("web", "b", "1"), config("web", "c", "1")];
    state.adopt(release(1, objects.clone(), &[]));
    apply_all(&mut state, 1, 0);
    let mut state = State::new(state.inventory().clone(), Limits::default());
    state.adopt(release(1, objects.clone(), &[]));
    state.observe(&objects[0].id, &live(&objects[0], 1, "1"));
    state.observe(&objects[1].id, &live(&objects[1], 7, "changed"));
    assert_eq!(apply_all(&mut state, 9, 0), ["b", "c"]);
}

#[test]
fn after_a_restart_what_a_release_of_before_held_is_still_ours() {
    let mut state = State::default();
    let (old, new) = (config("web", "a", "1"), config("web", "a", "2"));
    state.remember(release(1, vec![old.clone(), config("web", "gone", "1")], &[]));
    state.adopt(release(2, vec![new.clone(), config("web", "b", "2")], &[]));
    let stages = state.to_apply(0);
    let previous: Vec<_> = stages
        .iter()
        .flatten()
        .map(|apply| (apply.desired.id.name.as_str(), apply.previous.clone()))
        .collect();
    assert_eq!(previous, [("a", Some(old.body)), ("b", None)]);
    assert!(!state.previous.contains_key(&config("web", "gone", "1").id));
}

#[test]
fn drift_is_repaired_at_once_and_ever_more_slowly_where_somebody_insists() {
    let mut state = State::default();
    let object = config("web", "a", "1");
    state.adopt(release(1, vec![object.clone()], &[]));
    apply_all(&mut state, 1, 0);
    let mut version = 1;
    let mut meddle = |state: &mut State, now| {
        version += 2;
        assert!(state.observe(&object.id, &live(&object, version, "2")));
        apply_all(state, version + 1, now).len()
    };
    assert_eq!([meddle(&mut state, 10), meddle(&mut state, 20), meddle(&mut state, 30)], [1, 1, 1]);
    assert_eq!(meddle(&mut state, 40), 0);
    assert_eq!(state.next_due(40), Some(1030));
    assert_eq!(apply_all(&mut state, 100, 1030), ["a"]);
    let reasons: Vec<&str> = state.take_notices().iter().map(|notice| notice.reason).collect();
    assert_eq!(reasons, ["DriftCorrected", "DriftCorrected", "DriftFight"]);
}

#[test]
fn a_deleted_object_comes_back() {
    let mut state = State::default();
    let object = config("web", "a", "1");
    state.adopt(release(1, vec![object.clone()], &[]));
    apply_all(&mut state, 1, 0);
    assert!(state.gone(&object.id));
    assert_eq!(apply_all(&mut state, 3, 0), ["a"]);
}

#[test]
fn an_old_view_does_not_undo_a_newer_one() {
    let mut state = State::default();
    let object = config("web", "a", "1");
    state.adopt(release(1, vec![object.clone()], &[]));
    apply_all(&mut state, 5, 0);
    assert!(!state.observe(&object.id, &live(&object, 4, "before")));
    assert!(state.to_apply(0).is_empty());
}

#[test]
fn what_the_server_changes_by_itself_is_no_drift() {
    let mut state = State::default();
    let object = config("web", "a", "1");
    state.adopt(release(1, vec![object.clone()], &[]));
    let stages = state.to_apply(0);
    state.applied(&stages[0][0], &live(&object, 5, "normalised"), 0);
    assert!(state.to_apply(0).is_empty());
    state.observe(&object.id, &live(&object, 6, "normalised"));
    assert!(state.to_apply(0).is_empty());
}

#[test]
fn after_a_restart_the_servers_own_changes_are_no_meddling() {
    let object = config("web", "a", "1");
    let mut state = State::default();
    state.adopt(release(1, vec![object.clone()], &[]));
    apply_all(&mut state, 1, 0);
    let mut state = State::new(state.inventory().clone(), Limits::default());
    state.adopt(release(1, vec![object.clone()], &[]));
    state.observe(&object.id, &live(&object, 2, "normalised"));
    let stages = state.to_apply(0);
    state.applied(&stages[0][0], &live(&object, 2, "normalised"), 0);
    assert!(state.take_notices().is_empty() && state.to_apply(0).is_empty());
}

#[test]
fn what_a_list_does_not_show_is_gone() {
    let mut state = State::default();
    let objects = [config("web", "a", "1"), config("web", "b", "1")];
    state.adopt(release(1, objects.to_vec(), &[]));
    apply_all(&mut state, 1, 0);
    state.list_begins("", "ConfigMap");
    state.observe(&objects[1].id, &live(&objects[1], 1, "1"));
    assert!(state.list_ends("", "ConfigMap"));
    assert_eq!(apply_all(&mut state, 2, 0), ["a"]);
}

#[test]
fn one_bad_object_is_reported_and_tried_again_while_the_rest_goes_on() {
    let mut state = State::default();
    state.adopt(release(1, vec![config("web", "a", "1"), config("db", "b", "1")], &[]));
    let stages = state.to_apply(0);
    state.register(&stages);
    state.failed(&stages[0][0].desired.id, problem("Forbidden"), 0);
    assert_eq!(apply_all(&mut state, 1, 0), ["b"]);
    let status = state.components(&Default::default());
    assert_eq!((status[0].health, status[0].generation), (Health::Ready, 1));
    assert_eq!(
        (status[1].health, status[1].reason.as_str(), status[1].generation),
        (Health::Stalled, "Forbidden", 0)
    );
    assert!(!state.is_complete());
    assert_eq!(state.next_due(0), Some(1000));
    state.adopt(release(2, vec![config("web", "a", "2"), config("db", "b", "1")], &[]));
    assert_eq!(
        apply_all(&mut state, 2, 0),
        ["a"],
        "a newer release does not wait for the older one's backoff"
    );
}

#[test]
fn a_removed_component_is_reported_until_it_is_gone() {
    let mut state = State::default();
    state.adopt(release(1, vec![config("web", "a", "1"), config("db", "b", "1")], &[]));
    apply_all(&mut state, 1, 0);
    state.adopt(release(2, vec![config("web", "a", "1")], &["db"]));
    let deletions = state.to_delete(0);
    assert_eq!(deletions.len(), 1);
    state.deleted(&deletions[0], Deleted::Going, 0);
    assert!(state.to_delete(0).is_empty(), "it is sent once");
    assert_eq!(state.components(&Default::default())[0].health, Health::Terminating);
    state.gone(&deletions[0].id);
    let again = state.to_delete(0);
    assert_eq!(again, deletions, "the shell looks whether it is really gone");
    state.deleted(&again[0], Deleted::Gone, 0);
    assert_eq!(state.components(&Default::default()).len(), 1);
}

#[test]
fn an_agent_that_has_read_no_release_yet_takes_nothing_for_leaving() {
    let mut before = State::default();
    let wanted = config("web", "a", "1");
    before.adopt(release(1, vec![wanted.clone()], &[]));
    apply_all(&mut before, 1, 0);
    let mut state = State::new(before.inventory().clone(), Limits::default());
    let health = |state: &State| state.components(&Default::default())[0].health;
    assert_eq!(health(&state), Health::Reconciling, "nobody has looked");
    state.observe(&wanted.id, &live(&wanted, 1, "1"));
    assert_eq!(health(&state), Health::Ready);
    state.adopt(release(2, vec![], &["web"]));
    assert_eq!(health(&state), Health::Terminating);
}

#[test]
fn a_denied_deletion_is_reported_and_never_forgotten() {
    let mut state = State::default();
    state.adopt(release(1, vec![config("db", "b", "1")], &[]));
    apply_all(&mut state, 1, 0);
    state.adopt(release(2, vec![], &["db"]));
    let deletions = state.to_delete(0);
    state.deleted(&deletions[0], Deleted::Failed(problem("Forbidden")), 0);
    let status = &state.components(&Default::default())[0];
    assert_eq!((status.health, status.reason.as_str()), (Health::Stalled, "Forbidden"));
    assert!(state.to_delete(500).is_empty());
    assert_eq!(state.to_delete(1000), deletions);
}

#[test]
fn a_renamed_object_is_deleted_only_after_its_successor_is_in_place() {
    let mut state = State::default();
    state.adopt(release(1, vec![config("web", "old", "1")], &[]));
    apply_all(&mut state, 1, 0);
    state.adopt(release(2, vec![config("web", "new", "1")], &[]));
    let stages = state.to_apply(0);
    state.register(&stages);
    state.failed(&stages[0][0].desired.id, problem("Invalid"), 0);
    assert!(state.to_delete(0).is_empty());
    assert_eq!(apply_all(&mut state, 2, 1000), ["new"]);
    assert_eq!(state.to_delete(1000)[0].id.name, "old");
}

#[test]
fn an_object_that_moves_between_components_is_not_deleted() {
    let mut state = State::default();
    state.adopt(release(1, vec![config("web", "a", "1"), config("db", "b", "1")], &[]));
    apply_all(&mut state, 1, 0);
    state.adopt(release(2, vec![config("web", "b", "2")], &["db"]));
    state.previous.clear();
    assert_eq!(apply_all(&mut state, 2, 0), ["b"]);
    let names: Vec<_> = state.to_delete(0).into_iter().map(|deletion| deletion.id.name).collect();
    assert_eq!(names, ["a"]);
}

#[test]
fn the_namespace_of_somebody_else_is_used_and_left_alone() {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    let desired = Desired {
        id: ObjectId::of(&namespace).unwrap(),
        owner: Owner::new("shop", ""),
        api_version: "v1".into(),
        body: serde_json::to_vec(&namespace).unwrap().into(),
        hash: "n".into(),
    };
    let mut state = State::default();
    state.adopt(release(1, vec![desired.clone(), config("web", "a", "1")], &[]));
    let stages = state.to_apply(0);
    state.register(&stages);
    state.belongs_to_others(&desired);
    assert_eq!(apply_all(&mut state, 1, 0), ["a"]);
    assert!(state.is_complete());
    state.failed(&config("web", "a", "1").id, problem("NotFound"), 0);
    assert_eq!(state.to_apply(0)[0][0].desired.id, desired.id, "it vanished, so it is made anew");
}

#[test]
fn a_deletion_whose_end_was_seen_before_its_answer_came_is_looked_after() {
    let mut state = State::default();
    let doomed = config("web", "a", "1");
    state.adopt(release(1, vec![doomed.clone()], &[]));
    apply_all(&mut state, 1, 0);
    state.adopt(release(2, vec![], &["web"]));
    let deletion = state.to_delete(0).remove(0);
    state.gone(&doomed.id);
    state.deleted(&deletion, Deleted::Going, 0);
    assert!(state.to_delete(0).is_empty());
    let due = state.next_due(0).unwrap();
    let again = state.to_delete(due).remove(0);
    state.deleted(&again, Deleted::Gone, due);
    assert!(state.inventory().is_empty() && state.next_due(due).is_none());
}

fn leased(name: &str, replicas: u64) -> Desired {
    let annotations = json!({"qonnect.io/on-lost": "afterLease"});
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "annotations": annotations},
        "spec": {"replicas": replicas},
    });
    Desired {
        id: ObjectId::of(&object).unwrap(),
        owner: Owner::new("shop", name),
        api_version: "apps/v1".into(),
        body: serde_json::to_vec(&object).unwrap().into(),
        hash: replicas.to_string().into(),
    }
}

/// What would be applied, first to last, with the replicas of each.
fn due(state: &mut State) -> Vec<(String, Value)> {
    let stages = state.to_apply(0);
    let applies = stages.iter().flatten();
    applies
        .map(|apply| (apply.desired.id.name.clone(), apply.desired.object()["spec"]["replicas"].clone()))
        .collect()
}

#[test]
fn what_runs_by_a_lease_is_at_zero_without_one_and_ends_before_anything_else_is_done() {
    let mut state = State::default();
    state.adopt(release(1, vec![config("web", "a", "1"), leased("store", 2)], &[]));
    assert!(state.is_leased());
    assert_eq!(
        due(&mut state).last(),
        Some(&("store".into(), json!(0))),
        "nobody vouches yet, and nothing runs"
    );
    assert!(state.lease(true));
    assert_eq!(due(&mut state).last(), Some(&("store".into(), json!(2))));
    apply_all(&mut state, 1, 0);
    assert!(due(&mut state).is_empty());

    assert!(!state.lease(true), "it is no news");
    assert!(state.lease(false));
    let stages = state.to_apply(0);
    assert!(stages[0].iter().all(|apply| apply.stops && apply.desired.id.name == "store"));
    apply_all(&mut state, 2, 0);
    let status = &state.components(&Default::default())[0];
    assert_eq!(
        (status.component.as_str(), status.health, status.reason.as_str()),
        ("store", Health::Reconciling, "NoLease")
    );

    // A release that comes meanwhile does not wake it.
    state.adopt(release(2, vec![config("web", "a", "2"), leased("store", 3)], &[]));
    assert!(due(&mut state).contains(&("store".into(), json!(0))));
    apply_all(&mut state, 3, 0);
    assert!(state.lease(true));
    assert_eq!(due(&mut state), [("store".into(), json!(3))]);
}

#[test]
fn what_runs_without_a_lease_does_not_hear_of_leases() {
    let mut state = State::default();
    state.adopt(release(1, vec![config("web", "a", "1")], &[]));
    assert!(!state.is_leased());
    apply_all(&mut state, 1, 0);
    assert!(!state.lease(true));
    assert!(!state.lease(false));
    assert!(due(&mut state).is_empty());
}
