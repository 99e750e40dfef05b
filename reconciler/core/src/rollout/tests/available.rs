//! What must not run twice, and must run somewhere.

use super::*;

/// `db` and its second part are Ready on `a` and `b`, and one of them must be.
fn two_parts() -> Scene {
    let mut scene = Scene::running();
    let source = Arc::make_mut(scene.revision.applications.get_mut("shop").unwrap());
    let components = &mut source.application.spec.components;
    components[1].strategy = MoveStrategy::Recreate;
    components[1].min_available = Some(1);
    let second = Component { name: "db.2".into(), ..components[1].clone() };
    components.push(second);
    scene.next_of(&[("web", "a"), ("db", "a"), ("db.2", "b")], &[]);
    for (cluster, component) in [("a", "web"), ("a", "db"), ("b", "db.2")] {
        scene.ready(cluster, component);
    }
    scene
}

fn moving(scene: &Scene) -> Vec<&str> {
    let components = &scene.snapshot.placements["shop"].spec.components;
    let moving = components.iter().filter(|(_, placed)| placed.moving.is_some());
    moving.map(|(name, _)| name.as_str()).collect()
}

const ELSEWHERE: &[(&str, &str)] = &[("web", "a"), ("db", "c"), ("db.2", "a")];

#[test]
fn one_leaves_after_the_other() {
    let mut scene = two_parts();
    scene.next_of(ELSEWHERE, &[]);
    assert_eq!(moving(&scene), ["db"]);
    scene.next_of(ELSEWHERE, &[]);
    assert_eq!(moving(&scene), ["db"], "it runs nowhere");
}

#[test]
fn the_last_one_that_is_ready_stays() {
    let mut scene = two_parts();
    scene.snapshot.clusters.get_mut("b").unwrap().components.clear();
    scene.next_of(&[("web", "a"), ("db", "c"), ("db.2", "b")], &[]);
    assert_eq!(moving(&scene), [""; 0]);
}

#[test]
fn one_on_a_silent_cluster_does_not_count() {
    let mut scene = two_parts();
    scene.snapshot.clusters.get_mut("b").unwrap().status = ClusterStatus::Suspect;
    scene.next_of(&[("web", "a"), ("db", "c"), ("db.2", "b")], &[]);
    assert_eq!(moving(&scene), [""; 0]);
}

#[test]
fn one_that_is_not_ready_is_missed_by_nobody() {
    let mut scene = two_parts();
    scene.snapshot.clusters.get_mut("b").unwrap().components.clear();
    scene.next_of(&[("web", "a"), ("db", "a"), ("db.2", "c")], &[]);
    assert_eq!(moving(&scene), ["db.2"]);
}
