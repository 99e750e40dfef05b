//! What starts at once, and what waits for its turn.

use qonnect_schema::documents::fleet::InFlight;
use qonnect_schema::documents::placement::Cause;

use super::*;

fn settings(scene: &mut Scene) -> &mut Moves {
    &mut scene.revision.fleet.moves
}

fn cause(scene: &Scene) -> Cause {
    scene.db().arrived.expect("it was sent there").cause
}

#[test]
fn what_would_only_be_better_off_stays_for_its_time_and_what_must_leave_goes_at_once() {
    let mut scene = Scene::running();
    settings(&mut scene).residence = Span::from_secs(600);
    assert_eq!(scene.next("b"), Step::Stayed);
    let mut forced = Scene { snapshot: scene.snapshot.clone(), ..Scene::running() };
    settings(&mut forced).residence = Span::from_secs(600);
    assert!(matches!(forced.next_as("b", &["db"]), Step::Started { .. }));
    assert_eq!(cause(&forced), Cause::Forced);
    scene.pass_the_deadline();
    assert_eq!(scene.snapshot.now, at(1600));
    assert!(matches!(scene.next("b"), Step::Started { .. }));
    assert_eq!(cause(&scene), Cause::Improved);
}

#[test]
fn what_a_person_asks_for_waits_for_nothing() {
    let mut scene = Scene::running();
    settings(&mut scene).residence = Span::from_secs(600);
    let source = Arc::make_mut(scene.revision.applications.get_mut("shop").unwrap());
    let placement = scene.snapshot.placements.get_mut("shop").unwrap();
    placement.spec.asked = asked(source);
    source.application.spec.objectives.cost = 1.0;
    assert!(matches!(scene.next("b"), Step::Started { .. }));
    assert_eq!(cause(&scene), Cause::Asked);
}

#[test]
fn a_cluster_that_was_lost_is_moved_back_to_only_after_a_while() {
    let mut scene = Scene::running();
    scene.snapshot.clusters.insert(
        "b".into(),
        ClusterState { status: ClusterStatus::Ready, back: Some(at(900)), ..Default::default() },
    );
    assert_eq!(scene.next("b"), Step::Stayed);
    scene.pass_the_deadline();
    assert_eq!(scene.snapshot.now, at(1500));
    assert!(matches!(scene.next("b"), Step::Started { .. }));
}

#[test]
fn improvements_of_one_hour_are_counted() {
    let mut scene = Scene::running();
    settings(&mut scene).per_hour = 1;
    let placement = scene.snapshot.placements["shop"].clone();
    let mut other = placement.clone();
    other.spec.components.get_mut("web").unwrap().improved = vec![at(1000)];
    scene.snapshot.placements.insert("other".into(), other);
    assert_eq!(scene.next("b"), Step::Stayed);
    assert_eq!(scene.db().improved, [], "it did not begin");
    scene.pass_the_deadline();
    assert_eq!(scene.snapshot.now, at(4600));
    assert!(matches!(scene.next("b"), Step::Started { .. }));
    assert_eq!(scene.db().improved, [at(4600)]);
}

#[test]
fn an_improvement_counts_whatever_became_of_it() {
    type Fate = fn(&mut Scene);
    let fates: [Fate; 4] = [
        |scene| {
            scene.ready("b", "db");
            scene.next("b");
            scene.ready("a", "web");
            assert_eq!(scene.next("b"), finished());
        },
        |scene| assert!(matches!(scene.next("a"), Step::RolledBack { .. })),
        |scene| {
            scene.lose("a");
            scene.lose("b");
            assert!(matches!(scene.next("c"), Step::FailedOver { .. }));
        },
        |scene| {
            scene.next("a");
            assert!(matches!(scene.next_as("c", &["db"]), Step::Started { .. }));
        },
    ];
    for fate in fates {
        let mut scene = Scene::running();
        assert_eq!(scene.next("b"), started());
        fate(&mut scene);
        assert_eq!(scene.db().improved, [at(1000)]);
    }
}

#[test]
fn a_second_improvement_within_the_hour_counts_beside_the_first() {
    let mut scene = Scene::running();
    settings(&mut scene).per_hour = 2;
    for second in [1000, 1100] {
        scene.snapshot.now = at(second);
        assert_eq!(scene.next("b"), started());
        assert!(matches!(scene.next("a"), Step::RolledBack { .. }));
    }
    assert_eq!(scene.next("b"), Step::Stayed);
    scene.snapshot.now = at(4600);
    assert_eq!(scene.next("b"), started());
    assert_eq!(scene.db().improved, [at(1100), at(4600)]);
}

#[test]
fn what_no_longer_counts_stands_there_until_something_else_changes() {
    let mut scene = Scene::running();
    scene.next("b");
    scene.next("a");
    scene.snapshot.now = at(9000);
    assert_eq!(scene.next("a"), Step::Stayed);
    assert_eq!(scene.db().improved, [at(1000)]);
    assert!(matches!(scene.next_as("b", &["db"]), Step::Started { .. }));
    assert_eq!(scene.db().improved, []);
}

#[test]
fn a_move_that_only_changes_its_target_counts_once() {
    let mut scene = Scene::running();
    scene.next("b");
    scene.snapshot.now = at(1100);
    assert_eq!(scene.next("c"), Step::Started { from: "a".into(), to: "c".into() });
    assert_eq!(scene.db().improved, [at(1000)]);
}

#[test]
fn a_move_turns_to_another_cluster_once_that_has_room_and_goes_on_until_then() {
    let mut scene = Scene::running();
    settings(&mut scene).in_flight.cluster = 1;
    scene.next("b");
    let mut other = scene.snapshot.placements["shop"].clone();
    other.spec.components.remove("db");
    let web = other.spec.components.get_mut("web").unwrap();
    (web.cluster, web.moving) = (Some("c".into()), moving("d", MovePhase::Placing, at(9_000)));
    scene.snapshot.placements.insert("other".into(), other);
    assert_eq!(scene.next("c"), Step::Stayed, "one moves to c");
    // What is under way does not wait for what it may not do: two that want each other's place would wait for ever.
    let under_way = scene.snapshot.clone();
    scene.ready("b", "db");
    assert_eq!(scene.next("c"), Step::Repointed { from: "a".into(), to: "b".into() });
    scene.snapshot = under_way;
    scene.snapshot.placements.remove("other");
    assert_eq!(scene.next("c"), Step::Started { from: "a".into(), to: "c".into() });
}

#[test]
fn no_more_of_one_application_move_at_once_than_may() {
    let mut scene = Scene::running();
    settings(&mut scene).in_flight.application = 1;
    let components = &mut scene.snapshot.placements.get_mut("shop").unwrap().spec.components;
    components.get_mut("web").unwrap().moving = moving("c", MovePhase::Placing, at(9_000));
    assert_eq!(scene.next_as("b", &["db"]), Step::Stayed, "one is under way");
    let components = &mut scene.snapshot.placements.get_mut("shop").unwrap().spec.components;
    components.get_mut("web").unwrap().moving = None;
    assert!(matches!(scene.next_as("b", &["db"]), Step::Started { .. }));
}

#[test]
fn no_more_move_at_once_than_may() {
    let mut scene = Scene::running();
    settings(&mut scene).in_flight = InFlight { fleet: 1, cluster: 1, application: 1 };
    let mut other = scene.snapshot.placements["shop"].clone();
    other.spec.components.get_mut("web").unwrap().moving = moving("c", MovePhase::Placing, at(9_000));
    scene.snapshot.placements.insert("other".into(), other);
    assert_eq!(scene.next_as("b", &["db"]), Step::Stayed, "one is under way");
    // A lost cluster waits for nobody.
    scene.lose("a");
    assert!(matches!(scene.next_as("b", &["db"]), Step::FailedOver { .. }));
}

#[test]
fn what_failed_here_too_long_is_tried_elsewhere_and_not_sent_back() {
    let mut scene = Scene::running();
    let state = scene.snapshot.clusters.get_mut("a").unwrap();
    state.failing.insert("shop/db".into(), at(300));
    assert!(matches!(scene.next_as("b", &["db"]), Step::Started { .. }));
    assert_eq!(cause(&scene), Cause::Failed);
    let db = scene.db();
    assert_eq!((db.tries, db.gave_up.as_ref().unwrap().cluster.as_str()), (1, "a"));
}
