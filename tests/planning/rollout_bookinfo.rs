//! Bookinfo moves from the clusters that save energy to those that cost little: commit by commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use qonnect_core::decision::{Deployed, Draft, Input, Rendered, decide};
use qonnect_core::placement;
use qonnect_schema::api::ReleaseHint;
use qonnect_schema::documents::application::Objectives;
use qonnect_schema::documents::snapshot::{
    AppliedRelease, ClusterState, ClusterStatus, ComponentStatus, Health,
};
use qonnect_schema::revision::Revision;
use qonnect_schema::{Epoch, Release, SnapshotSpec, validate, yaml};
use qonnect_tests::folder;
use serde_json::Value;

/// Leads and agents without processes: drafts are published, releases applied, components Ready.
struct Fleet {
    revision: Revision,
    snapshot: SnapshotSpec,
    releases: BTreeMap<String, ReleaseHint>,
    deployed: Deployed,
    files: BTreeMap<String, Arc<[u8]>>,
}

impl Fleet {
    fn example() -> Self {
        let tree = qonnect::files::tree(&folder::repository().join("example-repo")).unwrap();
        let checked = validate::repository(&tree, "r1", Timestamp::UNIX_EPOCH);
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
        let now = Timestamp::from_second(1_000_000).unwrap();
        Self {
            revision: checked.revision,
            snapshot: SnapshotSpec { index: 1, now, ..Default::default() },
            releases: BTreeMap::new(),
            deployed: Deployed::default(),
            files: BTreeMap::new(),
        }
    }

    fn weigh(&mut self, commit: &str, objectives: Objectives) {
        self.revision.commit = commit.into();
        let source = Arc::make_mut(self.revision.applications.get_mut("bookinfo").unwrap());
        source.application.spec.objectives = objectives;
    }

    /// Decides and publishes; `None` if there is nothing to do.
    fn publish(&mut self) -> Option<Draft> {
        let plan = placement::plan(&self.revision, &self.snapshot);
        let input = Input {
            revision: &self.revision,
            frozen: &BTreeSet::new(),
            plan: &plan,
            snapshot: &self.snapshot,
            releases: &self.releases,
            deployed: &self.deployed,
            epoch: Epoch { era: 0, term: 1, node: 1 },
            group: "g",
            withheld: &BTreeSet::new(),
        };
        let draft = decide(&input, &mut Rendered::default())?;
        let commit = format!("c{}", self.snapshot.index);
        self.deployed.advance(commit.clone(), draft.time, &draft.files);
        for (path, bytes) in draft.files.clone() {
            match bytes {
                Some(bytes) => drop(self.files.insert(path, bytes)),
                None => drop(self.files.remove(&path)),
            }
        }
        for (name, placement) in draft.placements.clone() {
            self.snapshot.placements.insert(name, placement.expect("nothing is removed here"));
        }
        for (cluster, release) in &draft.releases {
            let (generation, digest) = (release.generation, release.digest.clone());
            self.releases.insert(cluster.clone(), ReleaseHint { commit: commit.clone(), generation, digest });
        }
        self.snapshot.index += 1;
        Some(draft)
    }

    /// Every cluster has applied its release, and everything there is Ready.
    fn apply(&mut self) {
        for cluster in self.releases.clone().into_keys() {
            let release = self.release(&cluster);
            let applied = AppliedRelease {
                generation: release.spec.generation,
                epoch: release.spec.epoch,
                digest: release.spec.digest.clone(),
                commit: String::new(),
            };
            let status = |application: &str, component: &String| ComponentStatus {
                application: application.into(),
                component: component.clone(),
                generation: release.spec.generation,
                health: Health::Ready,
                reason: String::new(),
                message: String::new(),
                objects: 2,
            };
            let components = release.spec.order.iter().flat_map(|application| {
                let name = application.application.as_str();
                application.components.iter().map(move |component| status(name, component))
            });
            let state = ClusterState {
                status: ClusterStatus::Ready,
                release: Some(applied),
                components: components.collect(),
                ..Default::default()
            };
            self.snapshot.clusters.insert(cluster, state);
        }
        self.snapshot.now = self.snapshot.now.checked_add(SignedDuration::from_secs(1)).unwrap();
    }

    fn release(&self, cluster: &str) -> Release {
        self.read(&format!("clusters/{cluster}/release.yaml"))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        yaml::from_str(std::str::from_utf8(&self.files[path]).unwrap()).unwrap()
    }

    /// `component -> cluster`, as the callers on the deploy branch are told by their environment.
    fn addresses(&self) -> BTreeSet<(String, String)> {
        let mut addresses = BTreeSet::new();
        for (path, _) in self.files.iter().filter(|(path, _)| path.contains("deployment")) {
            let cluster = path.split('/').nth(1).unwrap();
            let object: Value = self.read(path);
            let env = object.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array);
            for variable in env.into_iter().flatten() {
                let name = variable["name"].as_str().unwrap();
                let Some(callee) = name.strip_suffix("_HOSTNAME") else { continue };
                let host = variable["value"].as_str().unwrap();
                let at = self.revision.clusters.values().find(|cluster| {
                    cluster.spec.ingress.as_ref().is_some_and(|ingress| ingress.address == host)
                });
                let at = at.map_or(cluster, |cluster| cluster.name());
                addresses.insert((callee.to_lowercase(), at.to_owned()));
            }
        }
        addresses
    }

    /// Whether a cluster was Ready with a component before the newest commit.
    fn serves(&self, cluster: &str, component: &str) -> bool {
        let state = self.snapshot.clusters.get(cluster);
        state.is_some_and(|state| state.components.iter().any(|status| status.component == component))
    }

    fn holds(&self, cluster: &str, component: &str) -> bool {
        let prefix = format!("clusters/{cluster}/bookinfo/{component}/");
        self.files.keys().any(|path| path.starts_with(&prefix))
    }
}

fn subject(draft: &Draft) -> String {
    draft.message.lines().next().unwrap().to_owned()
}

#[test]
fn no_commit_sends_callers_to_a_copy_that_is_gone_or_not_ready_yet() {
    let mut fleet = Fleet::example();
    fleet.publish().expect("Bookinfo is placed");
    fleet.apply();
    assert_eq!(fleet.publish(), None, "nothing is left to do");

    fleet.weigh("r2", Objectives { cost: 1.0, ..Default::default() });
    let mut subjects = Vec::new();
    while let Some(draft) = fleet.publish() {
        subjects.push(subject(&draft));
        for (callee, cluster) in fleet.addresses() {
            assert!(fleet.holds(&cluster, &callee), "{callee} is not on {cluster} after: {subjects:#?}");
            assert!(fleet.serves(&cluster, &callee), "{callee} is not Ready on {cluster} at: {subjects:#?}");
        }
        assert!(subjects.len() < 20, "it does not come to an end: {subjects:#?}");
        fleet.apply();
    }
    let placement = &fleet.snapshot.placements["bookinfo"].spec.components;
    for (component, cluster) in [
        ("productpage", "cloud-cost"),
        ("details", "fog-cost"),
        ("reviews", "fog-cost"),
        ("ratings", "edge-cost"),
    ] {
        assert_eq!(placement[component].cluster.as_deref(), Some(cluster));
        assert_eq!(placement[component].moving, None);
    }
    assert_eq!(
        subjects,
        [
            "place bookinfo: details fog-energy -> fog-cost, productpage cloud-energy -> cloud-cost, \
             ratings edge-energy -> edge-cost, and 1 more",
            "repoint bookinfo: callers of details fog-energy -> fog-cost, and 3 more",
            "drop bookinfo: details on fog-energy, ratings on edge-energy, reviews on fog-energy",
        ]
    );
}
