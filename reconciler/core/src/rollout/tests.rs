use std::sync::Arc;

use qonnect_schema::documents::application::{MoveStrategy, Objectives};
use qonnect_schema::documents::fleet::Moves;
use qonnect_schema::documents::placement::PlacementSpec;
use qonnect_schema::documents::snapshot::{ClusterState, ComponentStatus};
use qonnect_schema::units::Span;
use qonnect_schema::{Application, ApplicationSpec, Cluster, ClusterSpec, Epoch, FleetSpec, Placement};
use serde_json::json;

use super::*;
use crate::placement::ApplicationPlan;

mod available;
mod budget;
mod once;

/// `web` calls `db`; three clusters; `db` is what moves.
struct Scene {
    revision: Revision,
    snapshot: SnapshotSpec,
    releases: BTreeMap<String, ReleaseHint>,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn on(cluster: &str) -> ComponentPlacement {
    ComponentPlacement { cluster: Some(cluster.into()), ..Default::default() }
}

impl Scene {
    fn new() -> Self {
        let component = |value| serde_json::from_value(value).unwrap();
        let spec = ApplicationSpec {
            objectives: Objectives { energy: 1.0, ..Default::default() },
            components: vec![
                component(json!({"name": "web", "manifests": ["w"], "dependsOn": [{"component": "db"}]})),
                component(json!({"name": "db", "manifests": ["d"]})),
            ],
            ..Default::default()
        };
        let source = ApplicationSource {
            commit: "c".into(),
            application: Application::new("shop", spec),
            manifests: Arc::default(),
        };
        let clusters = ["a", "b", "c"].map(|name| (name.into(), Cluster::new(name, ClusterSpec::default())));
        Self {
            revision: Revision {
                commit: "c".into(),
                time: at(0),
                // What has arrived may go on at once.
                fleet: FleetSpec {
                    moves: Moves { residence: Span(0), ..Default::default() },
                    ..Default::default()
                },
                clusters: clusters.into(),
                signals: BTreeMap::new(),
                applications: BTreeMap::from([("shop".into(), Arc::new(source))]),
            },
            snapshot: SnapshotSpec { now: at(1000), ..Default::default() },
            releases: BTreeMap::new(),
        }
    }

    /// `web` and `db` are Ready on `a`, and that is published.
    fn running() -> Self {
        let mut scene = Self::new();
        scene.next("a");
        scene.ready("a", "web");
        scene.ready("a", "db");
        scene
    }

    /// Plans `db` onto a cluster, and publishes what comes of it.
    fn next(&mut self, db: &str) -> Step {
        self.next_as(db, &[])
    }

    /// The same where these components may not stay where they are.
    fn next_as(&mut self, db: &str, forced: &[&str]) -> Step {
        self.next_of(&[("web", "a"), ("db", db)], forced).remove("db").unwrap()
    }

    /// Plans each component onto a cluster, and publishes what comes of it.
    fn next_of(&mut self, wanted: &[(&str, &str)], forced: &[&str]) -> BTreeMap<String, Step> {
        let components = wanted.iter().map(|(name, cluster)| ((*name).to_owned(), on(cluster))).collect();
        let forced = forced.iter().map(|name| (*name).to_owned()).collect();
        let plan = ApplicationPlan { components, forced, ..Default::default() };
        let plan = Plan { applications: BTreeMap::from([("shop".into(), plan)]) };
        let world = World {
            revision: &self.revision,
            plan: &plan,
            snapshot: &self.snapshot,
            releases: &self.releases,
        };
        let progress = roll_out(&world).remove("shop").unwrap();
        let steps: BTreeMap<_, _> = progress.iter().map(|(name, p)| (name.clone(), p.step.clone())).collect();
        if steps.iter().any(|(_, step)| *step != Step::Stayed) {
            for cluster in ["a", "b", "c"] {
                self.publish(cluster);
            }
        }
        let components = progress.into_iter().map(|(name, p)| (name, p.placement)).collect();
        let spec = PlacementSpec {
            revision: "c".into(),
            kb_index: 1,
            epoch: Epoch::default(),
            components,
            ..Default::default()
        };
        self.snapshot.placements.insert("shop".into(), Placement::new("shop", spec));
        steps
    }

    fn publish(&mut self, cluster: &str) {
        let generation = self.releases.get(cluster).map_or(0, |release| release.generation) + 1;
        let hint = ReleaseHint { commit: "d".into(), generation, digest: generation.to_string() };
        self.releases.insert(cluster.into(), hint);
    }

    fn ready(&mut self, cluster: &str, component: &str) {
        let state = self
            .snapshot
            .clusters
            .entry(cluster.into())
            .or_insert_with(|| ClusterState { status: ClusterStatus::Ready, ..Default::default() });
        state.components.retain(|status| status.component != component);
        state.components.push(ComponentStatus {
            application: "shop".into(),
            component: component.into(),
            generation: self.releases.get(cluster).map_or(0, |release| release.generation),
            health: Health::Ready,
            reason: String::new(),
            message: String::new(),
            objects: 1,
        });
    }

    fn lose(&mut self, cluster: &str) {
        self.snapshot.clusters.entry(cluster.into()).or_default().status = ClusterStatus::Lost;
    }

    fn db(&self) -> &ComponentPlacement {
        &self.snapshot.placements["shop"].spec.components["db"]
    }

    fn copies(&self) -> (Vec<String>, String) {
        let copies = copies(self.db()).unwrap();
        (copies.on.into_iter().collect(), copies.callers_use)
    }

    fn pass_the_deadline(&mut self) {
        self.snapshot.now = next_deadline(&self.snapshot, &self.revision).expect("a phase has a deadline");
    }
}

fn started() -> Step {
    Step::Started { from: "a".into(), to: "b".into() }
}

fn finished() -> Step {
    Step::Finished { from: "a".into(), to: "b".into() }
}

#[test]
fn what_is_placed_for_the_first_time_has_no_phases() {
    let mut scene = Scene::new();
    assert_eq!(scene.next("a"), Step::Placed { to: "a".into() });
    assert_eq!(scene.db().moving, None);
    assert_eq!(scene.next("a"), Step::Stayed);
}

#[test]
fn the_old_copy_goes_only_after_the_callers_run_on_with_the_new_one() {
    let mut scene = Scene::running();
    assert_eq!(scene.next("b"), started());
    assert_eq!(scene.copies(), (vec!["a".into(), "b".into()], "a".into()));
    assert_eq!(scene.next("b"), Step::Stayed, "not Ready on b yet");

    scene.ready("b", "db");
    assert_eq!(scene.next("b"), Step::Repointed { from: "a".into(), to: "b".into() });
    assert_eq!(scene.copies(), (vec!["a".into(), "b".into()], "b".into()));
    assert_eq!(scene.next("b"), Step::Stayed, "web was Ready before it was told");

    scene.ready("a", "web");
    assert_eq!(scene.next("b"), finished());
    assert_eq!(scene.copies(), (vec!["b".into()], "b".into()));
}

#[test]
fn a_component_that_nobody_calls_is_dropped_as_soon_as_the_new_copy_is_ready() {
    let mut scene = Scene::running();
    let source = Arc::make_mut(scene.revision.applications.get_mut("shop").unwrap());
    source.application.spec.components[0].depends_on.clear();
    scene.next("b");
    scene.ready("b", "db");
    assert_eq!(scene.next("b"), finished());
}

#[test]
fn a_component_that_no_cluster_takes_any_more_stays() {
    let mut scene = Scene::running();
    let nowhere = Plan::default();
    let world = World {
        revision: &scene.revision,
        plan: &nowhere,
        snapshot: &scene.snapshot,
        releases: &scene.releases,
    };
    assert_eq!(roll_out(&world)["shop"]["db"].step, Step::Stayed);
    scene.lose("a");
    assert!(matches!(scene.next("a"), Step::Stranded { .. }), "never evicted without a target");
    assert_eq!(scene.copies(), (vec!["a".into()], "a".into()));
}

#[test]
fn a_target_that_is_not_ready_in_time_is_given_up_for_a_while() {
    let mut scene = Scene::running();
    scene.next("b");
    scene.pass_the_deadline();
    assert!(matches!(scene.next("b"), Step::RolledBack { .. }));
    assert_eq!(scene.copies(), (vec!["a".into()], "a".into()));
    assert_eq!(scene.next("b"), Step::Stayed, "it is remembered");
    assert_eq!(
        scene.next("c"),
        Step::Started { from: "a".into(), to: "c".into() },
        "another one may be tried"
    );
}

#[test]
fn a_move_is_tried_again_later_or_with_other_manifests() {
    for change_manifests in [true, false] {
        let mut scene = Scene::running();
        scene.next("b");
        scene.pass_the_deadline();
        scene.next("b");
        if change_manifests {
            let object = json!({"kind": "ConfigMap"});
            let manifest = qonnect_schema::manifest::Manifest { path: "d".into(), document: 0, object };
            let source = Arc::make_mut(scene.revision.applications.get_mut("shop").unwrap());
            Arc::make_mut(&mut source.manifests).insert("db".into(), vec![manifest]);
        } else {
            scene.pass_the_deadline();
            assert_eq!(scene.next("b"), Step::Stayed, "it only does not count in the hour's budget any more");
            scene.pass_the_deadline();
        }
        assert_eq!(scene.next("b"), started(), "change_manifests: {change_manifests}");
    }
}

#[test]
fn callers_that_do_not_follow_turn_the_move_round_and_the_way_back_ends() {
    let mut scene = Scene::running();
    scene.next("b");
    scene.ready("b", "db");
    scene.next("b");
    scene.pass_the_deadline();
    assert!(matches!(scene.next("b"), Step::RolledBack { .. }));
    assert_eq!(scene.copies(), (vec!["a".into(), "b".into()], "a".into()), "both stay until web is back");
    assert_eq!(scene.next("b"), Step::Stayed, "the plan still wants b, and has to wait");
    scene.pass_the_deadline();
    assert_eq!(scene.next("b"), Step::Finished { from: "b".into(), to: "a".into() });
    assert_eq!(scene.copies(), (vec!["a".into()], "a".into()));
    assert_eq!(scene.next("b"), Step::Stayed);
}

#[test]
fn a_revert_rolls_back_what_is_placing_and_turns_round_what_is_repointing() {
    let mut scene = Scene::running();
    scene.next("b");
    assert!(matches!(scene.next("a"), Step::RolledBack { .. }));
    assert_eq!(scene.copies(), (vec!["a".into()], "a".into()));

    let mut scene = Scene::running();
    scene.next("b");
    scene.ready("b", "db");
    scene.next("b");
    assert!(matches!(scene.next("a"), Step::RolledBack { .. }));
    assert_eq!(scene.copies(), (vec!["a".into(), "b".into()], "a".into()));
    scene.ready("a", "web");
    assert_eq!(scene.next("a"), Step::Finished { from: "b".into(), to: "a".into() });
}

#[test]
fn a_lost_source_leaves_the_target_and_a_lost_target_the_source() {
    let mut scene = Scene::running();
    scene.next("b");
    scene.lose("a");
    assert_eq!(scene.next("b"), finished());
    assert_eq!(scene.copies(), (vec!["b".into()], "b".into()));

    let mut scene = Scene::running();
    scene.next("b");
    scene.lose("b");
    assert!(matches!(scene.next("b"), Step::RolledBack { .. }));
    assert_eq!(scene.copies(), (vec!["a".into()], "a".into()));
}

#[test]
fn a_failover_places_and_repoints_at_once() {
    let mut scene = Scene::running();
    scene.lose("a");
    assert_eq!(scene.next("b"), Step::FailedOver { from: "a".into(), to: "b".into() });
    assert_eq!(scene.copies(), (vec!["b".into()], "b".into()));
}

#[test]
fn what_no_other_cluster_takes_stays_assigned_and_says_so_once() {
    let mut scene = Scene::running();
    scene.lose("a");
    assert!(matches!(scene.next("a"), Step::Stranded { .. }));
    assert!(scene.db().stranded);
    assert_eq!(scene.next("a"), Step::Stayed);
    assert_eq!(scene.copies(), (vec!["a".into()], "a".into()));
    // Room turns up, or the cluster comes back before.
    let mut back = Scene { snapshot: scene.snapshot.clone(), ..Scene::new() };
    back.snapshot.clusters.get_mut("a").unwrap().status = ClusterStatus::Ready;
    assert_eq!(back.next("a"), Step::Returned { on: "a".into() });
    assert!(!back.db().stranded);
    assert_eq!(scene.next("b"), Step::FailedOver { from: "a".into(), to: "b".into() });
    assert!(!scene.db().stranded);
}

#[test]
fn the_brake_keeps_everything_where_it_is() {
    let brake = |scene: &mut Scene, released| {
        let clusters = ["a".to_owned()].into();
        scene.snapshot.brake = Some(Brake { since: at(1000), clusters, released });
    };
    let mut scene = Scene::running();
    brake(&mut scene, None);
    assert_eq!(scene.next("b"), Step::Stayed);
    scene.lose("a");
    assert!(matches!(scene.next("b"), Step::Stayed));
    brake(&mut scene, Some(at(1001)));
    assert_eq!(scene.next("b"), Step::FailedOver { from: "a".into(), to: "b".into() });
}
