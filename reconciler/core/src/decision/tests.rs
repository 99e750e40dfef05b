use std::cell::RefCell;

use qonnect_schema::documents::application::{ApplicationSpec, Objectives};
use qonnect_schema::documents::cluster::Ingress;
use qonnect_schema::documents::fleet::Moves;
use qonnect_schema::documents::release::{Mark, RemovalCause};
use qonnect_schema::documents::snapshot::{
    AppliedRelease, ClusterState, ClusterStatus, ComponentStatus, Health,
};
use qonnect_schema::manifest::Manifest;
use qonnect_schema::tree::{Entry, Tree};
use qonnect_schema::units::Span;
use qonnect_schema::{Application, Cluster, ClusterSpec, FleetSpec, Release};
use serde_json::json;

use super::*;
use crate::placement::ApplicationPlan;

mod lost;

/// A fleet of two clusters that publishes each draft, as a lead does.
struct Fleet {
    revision: Revision,
    frozen: BTreeSet<String>,
    snapshot: SnapshotSpec,
    releases: BTreeMap<String, ReleaseHint>,
    deployed: Deployed,
    withheld: BTreeSet<Class>,
    rendered: RefCell<Rendered>,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What has arrived may go on at once.
fn settled_at_once() -> FleetSpec {
    let moves = Moves { residence: Span(0), ..Default::default() };
    FleetSpec { moves, ..Default::default() }
}

fn application(name: &str, value: &str) -> Arc<ApplicationSource> {
    let component = |value| serde_json::from_value(value).unwrap();
    let spec = ApplicationSpec {
        objectives: Objectives { energy: 1.0, ..Default::default() },
        components: vec![
            component(json!({"name": "web", "manifests": ["w"], "dependsOn": [{"component": "db"}]})),
            component(json!({"name": "db", "manifests": ["d"]})),
        ],
        ..Default::default()
    };
    let map = |component: &str| Manifest {
        path: format!("apps/{name}/{component}"),
        document: 0,
        object: json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": component},
                       "data": {"value": value, "db": "${component.db.host}"}}),
    };
    let manifests = ["web", "db"].map(|component| (component.to_owned(), vec![map(component)]));
    Arc::new(ApplicationSource {
        commit: "r1".into(),
        application: Application::new(name, spec),
        manifests: Arc::new(manifests.into()),
    })
}

impl Fleet {
    fn new() -> Self {
        let clusters = ["a", "b"].map(|name| (name.into(), Cluster::new(name, ClusterSpec::default())));
        Self {
            revision: Revision {
                commit: "r1".into(),
                time: at(100),
                fleet: settled_at_once(),
                clusters: clusters.into(),
                signals: BTreeMap::new(),
                applications: BTreeMap::from([("shop".into(), application("shop", "1"))]),
            },
            frozen: BTreeSet::new(),
            snapshot: SnapshotSpec { index: 7, now: at(1000), ..Default::default() },
            releases: BTreeMap::new(),
            deployed: Deployed::default(),
            withheld: BTreeSet::new(),
            rendered: RefCell::default(),
        }
    }

    /// Everything of `shop` and `bank` is on `a`.
    fn running() -> Self {
        let mut fleet = Self::new();
        fleet.revision.applications.insert("bank".into(), application("bank", "1"));
        fleet.publish(&[("web", "a"), ("db", "a")]).unwrap();
        fleet
    }

    fn decide(&self, placed: &[(&str, &str)]) -> Option<Draft> {
        let on = |cluster: &str| ComponentPlacement { cluster: Some(cluster.into()), ..Default::default() };
        let components: BTreeMap<_, _> =
            placed.iter().map(|(component, cluster)| ((*component).to_owned(), on(cluster))).collect();
        let plan = ApplicationPlan { components, ..Default::default() };
        let names = self.revision.applications.keys();
        let plan = Plan { applications: names.map(|name| (name.clone(), plan.clone())).collect() };
        let input = Input {
            revision: &self.revision,
            frozen: &self.frozen,
            plan: &plan,
            snapshot: &self.snapshot,
            releases: &self.releases,
            deployed: &self.deployed,
            epoch: Epoch { era: 0, term: 1, node: 1 },
            group: "g",
            withheld: &self.withheld,
        };
        let draft = decide(&input, &mut self.rendered.borrow_mut());
        assert_eq!(draft, decide(&input, &mut Rendered::default()), "what is kept changes nothing");
        draft
    }

    fn publish(&mut self, placed: &[(&str, &str)]) -> Option<Draft> {
        let draft = self.decide(placed)?;
        let commit = format!("c{}", self.snapshot.index);
        self.deployed.advance(commit.clone(), draft.time, &draft.files);
        for (name, placement) in draft.placements.clone() {
            match placement {
                Some(placement) => drop(self.snapshot.placements.insert(name, placement)),
                None => drop(self.snapshot.placements.remove(&name)),
            }
        }
        for (cluster, release) in draft.releases.clone() {
            let NewRelease { generation, digest } = release;
            self.releases.insert(cluster, ReleaseHint { commit: commit.clone(), generation, digest });
        }
        self.snapshot.index += 1;
        Some(draft)
    }

    fn report(&mut self, cluster: &str, components: &[&str]) {
        let generation = self.releases[cluster].generation;
        let status = |component: &&str| ComponentStatus {
            application: "shop".into(),
            component: (*component).into(),
            generation,
            health: Health::Ready,
            reason: String::new(),
            message: String::new(),
            objects: 1,
        };
        let state = ClusterState {
            status: ClusterStatus::Ready,
            release: Some(AppliedRelease {
                generation,
                epoch: Epoch::default(),
                digest: String::new(),
                commit: String::new(),
            }),
            mark: Mark { generation, ..Mark::default() },
            components: components.iter().map(status).collect(),
            ..Default::default()
        };
        self.snapshot.clusters.insert(cluster.into(), state);
    }

    fn release(&self, cluster: &str) -> ReleaseSpec {
        self.deployed.releases[cluster].spec.clone()
    }

    fn text(&self, path: &str) -> &str {
        std::str::from_utf8(&self.deployed.files[path]).unwrap()
    }
}

use qonnect_schema::ReleaseSpec;

const SAME: &[(&str, &str)] = &[("web", "a"), ("db", "a")];

fn subject(draft: &Draft) -> &str {
    draft.message.lines().next().unwrap()
}

#[test]
fn the_first_decision_writes_placements_objects_and_a_release_that_proves_them() {
    let mut fleet = Fleet::new();
    let draft = fleet.publish(&[("web", "a"), ("db", "b")]).unwrap();
    let paths: Vec<_> = draft.files.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "clusters/a/release.yaml",
            "clusters/a/shop/namespace.yaml",
            "clusters/a/shop/web/00-configmap-web.yaml",
            "clusters/b/release.yaml",
            "clusters/b/shop/db/00-configmap-db.yaml",
            "clusters/b/shop/namespace.yaml",
            "placements/shop.yaml",
        ]
    );
    assert_eq!(subject(&draft), "place shop: db -> b, web -> a");
    assert!(
        draft.message.contains(
            "\nQonnect-Epoch: 0.1.1\nQonnect-Group: g\nQonnect-Revision: r1\nQonnect-KB-Index: 7\n"
        )
    );
    let release = fleet.release("a");
    assert_eq!(release.generation, 1);
    let folder = under(&fleet.deployed.files, "clusters/a/");
    let files: Vec<_> = folder.map(|(path, bytes)| (&path["clusters/a/".len()..], &**bytes)).collect();
    assert_eq!(release.digest, layout::digest(files));
}

use super::deployed::under;

#[test]
fn the_same_inputs_give_the_same_draft() {
    let fleet = Fleet::new();
    assert_eq!(fleet.decide(SAME), fleet.decide(SAME));
}

#[test]
fn what_changes_nothing_makes_no_commit() {
    let mut fleet = Fleet::running();
    fleet.revision.commit = "r2".into();
    fleet.revision.time = at(200);
    fleet.snapshot.now = at(5000);
    fleet.report("a", &["web", "db"]);
    assert_eq!(fleet.decide(SAME), None);
}

#[test]
fn a_changed_manifest_changes_its_file_and_its_release_and_nothing_else() {
    let mut fleet = Fleet::running();
    fleet.revision.applications.insert("shop".into(), application("shop", "2"));
    let draft = fleet.publish(SAME).unwrap();
    let paths: Vec<_> = draft.files.keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "clusters/a/release.yaml",
            "clusters/a/shop/db/00-configmap-db.yaml",
            "clusters/a/shop/web/00-configmap-web.yaml"
        ]
    );
    assert_eq!(subject(&draft), "render shop on a");
    assert_eq!(fleet.release("a").generation, 2);
}

#[test]
fn callers_are_rendered_anew_for_another_address_of_their_callee() {
    let mut fleet = Fleet::new();
    let mut exposed = ApplicationSource::clone(&application("shop", "1"));
    exposed.application.spec.components[1].expose =
        Some(serde_json::from_value(json!({"service": "db", "nodePort": 30090})).unwrap());
    fleet.revision.applications.insert("shop".into(), exposed.into());
    let apart = &[("web", "a"), ("db", "b")];
    for address in ["10.0.0.1", "10.0.0.2"] {
        let ingress = Ingress { address: address.into(), port: None };
        fleet.revision.clusters.get_mut("b").unwrap().spec.ingress = Some(ingress);
        let draft = fleet.publish(apart).unwrap();
        let caller = draft.files["clusters/a/shop/web/00-configmap-web.yaml"].as_ref().unwrap();
        assert!(String::from_utf8_lossy(caller).contains(address), "{}", draft.message);
    }
}

#[test]
fn callees_are_released_before_their_callers() {
    let fleet = Fleet::running();
    let order = fleet.release("a").order;
    assert_eq!(order.iter().map(|app| app.application.as_str()).collect::<Vec<_>>(), ["bank", "shop"]);
    assert_eq!(order[1].components, ["db", "web"]);
    assert_eq!(order[1].depends_on, BTreeMap::from([("web".to_owned(), vec!["db".to_owned()])]));
}

#[test]
fn a_component_waits_for_no_callee_on_another_cluster() {
    let mut fleet = Fleet::new();
    fleet.publish(&[("web", "a"), ("db", "b")]).unwrap();
    assert!(fleet.release("a").order[0].depends_on.is_empty());
}

#[test]
fn a_removed_application_goes_and_its_removal_is_listed_until_it_is_reported() {
    let mut fleet = Fleet::running();
    fleet.revision.applications.remove("shop");
    let draft = fleet.publish(SAME).unwrap();
    assert_eq!(subject(&draft), "remove shop");
    assert!(fleet.deployed.files.keys().all(|path| !path.contains("shop")));
    assert_eq!(draft.placements["shop"], None);
    let removals = fleet.release("a").removals;
    assert_eq!(removals.len(), 2);
    let cause = RemovalCause::ApplicationDeleted;
    assert!(removals.iter().all(|removal| removal.cause == cause && removal.intent == draft.intent));

    fleet.report("a", &["web"]);
    assert_eq!(fleet.decide(SAME), None, "dropping a removal is no reason for a commit");
    fleet.revision.applications.insert("bank".into(), application("bank", "2"));
    fleet.publish(SAME).unwrap();
    let left: Vec<_> = fleet.release("a").removals.into_iter().map(|removal| removal.component).collect();
    assert_eq!(left, ["web"], "db is gone, web is not");
}

#[test]
fn a_move_repoints_its_callers_and_then_drops_the_old_copy() {
    let mut fleet = Fleet::new();
    fleet.publish(SAME).unwrap();
    let to_b = &[("web", "a"), ("db", "b")];
    let draft = fleet.publish(to_b).unwrap();
    assert_eq!(subject(&draft), "place shop: db a -> b");
    assert!(draft.files.keys().all(|path| !path.starts_with("clusters/a/")), "callers are left alone");
    fleet.report("b", &["db"]);
    assert_eq!(subject(&fleet.publish(to_b).unwrap()), "repoint shop: callers of db a -> b");
    fleet.report("a", &["db", "web"]);
    let draft = fleet.publish(to_b).unwrap();
    assert_eq!(subject(&draft), "drop shop: db on a");
    assert_eq!(fleet.release("a").removals[0].cause, RemovalCause::Moved);
    assert_eq!(fleet.decide(to_b), None);
}

#[test]
fn owned_paths_are_restored_after_a_foreign_commit_and_others_left_alone() {
    let mut fleet = Fleet::running();
    let ours = fleet.deployed.files.clone();
    let mut tree: Tree =
        ours.iter().map(|(path, bytes)| (path.clone(), Entry::File(bytes.clone()))).collect();
    tree.insert("README.md".into(), Entry::file("hello"));
    tree.insert("clusters/a/shop/web/99-evil.yaml".into(), Entry::file("kind: Evil"));
    tree.insert("placements/shop.yaml".into(), Entry::file("{}"));
    tree.remove("clusters/a/bank/namespace.yaml");
    fleet.deployed = Deployed::read(Some("foreign".into()), at(300), &tree);
    let draft = fleet.publish(SAME).unwrap();
    assert_eq!(draft.base.as_deref(), Some("foreign"));
    assert_eq!(draft.time, at(300));
    assert_eq!(fleet.deployed.files.keys().collect::<Vec<_>>(), ours.keys().collect::<Vec<_>>());
    assert_eq!(fleet.text("placements/shop.yaml").as_bytes(), &*ours["placements/shop.yaml"]);
}

#[test]
fn a_frozen_application_stays_byte_by_byte() {
    let mut fleet = Fleet::running();
    let before = fleet.deployed.files.clone();
    fleet.revision.applications.remove("shop");
    fleet.frozen.insert("shop".into());
    assert_eq!(fleet.decide(SAME), None);
    fleet.revision.applications.insert("bank".into(), application("bank", "2"));
    fleet.publish(SAME).unwrap();
    let changed = before.iter().filter(|(path, bytes)| fleet.deployed.files.get(*path) != Some(*bytes));
    assert!(changed.into_iter().all(|(path, _)| !path.contains("shop")));
    assert_eq!(fleet.release("a").order.len(), 2);
    assert!(fleet.release("a").removals.is_empty());
}

#[test]
fn a_cluster_that_leaves_the_fleet_ends_with_a_decommissioned_release() {
    let mut fleet = Fleet::new();
    fleet.publish(SAME).unwrap();
    fleet.revision.applications.clear();
    fleet.publish(SAME).unwrap();
    fleet.revision.clusters.remove("a");
    let draft = fleet.publish(SAME).unwrap();
    assert_eq!(subject(&draft), "release a");
    let release = fleet.release("a");
    assert!(release.decommissioned && release.order.is_empty());
    assert_eq!(release.removals.len(), 2, "its agent has not reported yet");
    assert_eq!(fleet.decide(SAME), None);
}

#[test]
fn a_placement_keeps_a_bounded_number_of_runners_up() {
    let refusal = |message: &str| qonnect_schema::documents::placement::Refusal {
        filter: qonnect_schema::documents::placement::Filter::Tier,
        message: message.into(),
    };
    let others = (0..100).map(|number| Candidate {
        cluster: format!("c{number}"),
        score: None,
        refused: (number >= 50).then(|| refusal("no")),
    });
    let placement = ComponentPlacement { others: others.collect(), ..Default::default() };
    let kept = shortened(Progress { placement, step: Step::Unplaced }).others;
    assert_eq!(kept.len(), RUNNERS_UP_MAX + REFUSED_MAX);
    assert_eq!((kept[0].cluster.as_str(), kept[RUNNERS_UP_MAX].cluster.as_str()), ("c0", "c50"));
}

#[test]
fn a_barrier_is_empty_and_says_whose_it_is() {
    let fleet = Fleet::running();
    let draft = barrier(&fleet.deployed, "g", Epoch { era: 0, term: 2, node: 3 }, 9);
    assert!(draft.files.is_empty());
    assert_eq!(draft.base, fleet.deployed.tip);
    assert!(
        draft.message.starts_with(
            "begin epoch 0.2.3\n\nQonnect-Epoch: 0.2.3\nQonnect-Group: g\nQonnect-KB-Index: 9\n"
        )
    );
}
