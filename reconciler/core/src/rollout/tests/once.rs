//! Components that must not run twice.

use qonnect_schema::documents::application::OnLost;
use qonnect_schema::documents::snapshot::AppliedRelease;

use super::*;

impl Scene {
    /// As `running`, where `db` must not run twice.
    fn once() -> Self {
        let mut scene = Self::running();
        let source = Arc::make_mut(scene.revision.applications.get_mut("shop").unwrap());
        source.application.spec.components[1].strategy = MoveStrategy::Recreate;
        scene
    }

    /// The agent has applied the newest release, in which `db` is not; its objects are still going.
    fn released(&mut self, cluster: &str) {
        let ReleaseHint { commit, generation, digest } = self.releases[cluster].clone();
        let release = AppliedRelease { generation, epoch: Epoch::default(), digest, commit };
        self.snapshot.clusters.get_mut(cluster).unwrap().release = Some(release);
    }

    fn gone(&mut self, cluster: &str) {
        self.released(cluster);
        let state = self.snapshot.clusters.get_mut(cluster).unwrap();
        state.components.retain(|status| status.component != "db");
    }

    fn fence(&mut self, cluster: &str) {
        self.revision.clusters.get_mut(cluster).unwrap().spec.fenced = true;
    }
}

fn left() -> Step {
    Step::Left { from: "a".into(), to: "b".into() }
}

fn nowhere() -> Vec<String> {
    Vec::new()
}

#[test]
fn it_is_placed_only_when_it_is_gone_where_it_was() {
    let mut scene = Scene::once();
    assert_eq!(scene.next("b"), started());
    assert_eq!(scene.copies(), (nowhere(), "b".into()));
    assert_eq!(scene.next("b"), Step::Stayed, "the old release may still be applied");

    scene.released("a");
    assert_eq!(scene.next("b"), Step::Stayed, "its objects are still going");

    scene.gone("a");
    assert_eq!(scene.next("b"), left());
    assert_eq!(scene.copies(), (vec!["b".into()], "b".into()));
}

#[test]
fn what_does_not_go_in_time_is_placed_where_it_is() {
    let mut scene = Scene::once();
    scene.next("b");
    scene.pass_the_deadline();
    assert!(matches!(scene.next("b"), Step::RolledBack { why: "it was not gone in time", .. }));
    assert_eq!(scene.copies(), (vec!["a".into()], "a".into()));
    assert_eq!(scene.next("b"), Step::Stayed, "it is not dropped again at once");
}

#[test]
fn a_target_that_is_lost_on_the_way_is_replaced_or_given_up() {
    let mut scene = Scene::once();
    scene.next("b");
    scene.lose("b");
    assert!(matches!(scene.next("b"), Step::RolledBack { why: "the target is lost", .. }));

    let mut scene = Scene::once();
    scene.next("b");
    scene.lose("b");
    scene.gone("a");
    assert_eq!(scene.next("c"), Step::Left { from: "a".into(), to: "c".into() });
    assert_eq!(scene.copies(), (vec!["c".into()], "c".into()));
}

#[test]
fn silence_is_no_proof_that_it_is_gone() {
    let mut scene = Scene::once();
    scene.lose("a");
    let Step::Stranded { on, why } = scene.next("b") else { panic!("{:?}", scene.db()) };
    assert_eq!(on, "a");
    assert!(why.contains("`qonnect fence a`"), "{why}");
    assert_eq!(scene.copies(), (vec!["a".into()], "a".into()));
    assert_eq!(scene.next("b"), Step::Stayed, "it is said once");

    scene.fence("a");
    assert_eq!(scene.next("b"), Step::FailedOver { from: "a".into(), to: "b".into() });
    assert_eq!(scene.copies(), (vec!["b".into()], "b".into()));
}

#[test]
fn a_source_that_falls_silent_on_the_way_is_waited_for() {
    let mut scene = Scene::once();
    scene.next("b");
    scene.lose("a");
    scene.gone("a");
    scene.pass_the_deadline();
    assert_eq!(scene.next("b"), Step::Stayed, "what it said before may be out of date");
    scene.fence("a");
    assert_eq!(scene.next("b"), left());
}

#[test]
fn a_fenced_cluster_that_answers_is_believed_before_the_person() {
    let mut scene = Scene::once();
    scene.fence("a");
    assert_eq!(scene.next("b"), started());
    assert_eq!(scene.copies(), (nowhere(), "b".into()));
    scene.released("a");
    assert_eq!(scene.next("b"), Step::Stayed, "its objects are still going");
    scene.gone("a");
    assert_eq!(scene.next("b"), left());
}

#[test]
fn a_fence_counts_as_soon_as_the_cluster_is_silent() {
    let mut scene = Scene::once();
    scene.fence("a");
    scene.snapshot.clusters.get_mut("a").unwrap().status = ClusterStatus::Suspect;
    assert_eq!(scene.next("b"), Step::FailedOver { from: "a".into(), to: "b".into() });
}

#[test]
fn what_runs_by_a_lease_is_placed_elsewhere_when_that_has_ended() {
    let mut scene = Scene::once();
    let source = Arc::make_mut(scene.revision.applications.get_mut("shop").unwrap());
    source.application.spec.components[1].on_lost = OnLost::AfterLease;
    scene.lose("a");
    let Step::Stranded { why, .. } = scene.next("b") else { panic!("{:?}", scene.db()) };
    assert!(why.contains("its lease has to end there"), "{why}");
    scene.snapshot.clusters.get_mut("a").unwrap().expired = true;
    assert_eq!(scene.next("b"), Step::FailedOver { from: "a".into(), to: "b".into() });
}

#[test]
fn a_lease_ends_on_the_way_to_elsewhere_too() {
    let mut scene = Scene::once();
    let source = Arc::make_mut(scene.revision.applications.get_mut("shop").unwrap());
    source.application.spec.components[1].on_lost = OnLost::AfterLease;
    scene.next("b");
    scene.lose("a");
    assert_eq!(scene.next("b"), Step::Stayed);
    scene.snapshot.clusters.get_mut("a").unwrap().expired = true;
    assert_eq!(scene.next("b"), left());
}
