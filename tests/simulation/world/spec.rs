//! The spec branch: two applications on three clusters, and what people change about them.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use jiff::Timestamp;
use qonnect_core::hold::{Candidate, Effective};
use qonnect_core::knowledge::{Good, Knowledge};
use qonnect_schema::tree::{Entry, Tree};
use qonnect_schema::validate;

pub(crate) const CLUSTERS: [&str; 3] = ["edge-1", "edge-2", "edge-3"];

const APPLICATIONS: [&str; 2] = ["bank", "shop"];

/// What people can change.
#[derive(Debug, Clone)]
struct Wishes {
    leased: bool,
    applications: BTreeSet<&'static str>,
    /// Of the images, so to speak.
    version: u32,
    /// By cluster, in tenths.
    prices: BTreeMap<&'static str, u32>,
    drained: Option<&'static str>,
    /// Those that ever were.
    taken_out: BTreeSet<&'static str>,
}

pub(crate) struct Spec {
    wishes: Wishes,
    /// As every lead reads them; checked once, for that takes longest.
    commits: Vec<Candidate>,
}

impl Spec {
    pub(super) fn new(leased: bool) -> Self {
        let wishes = Wishes {
            leased,
            applications: APPLICATIONS.into(),
            version: 1,
            prices: CLUSTERS.into_iter().zip([10, 12, 14]).collect(),
            drained: None,
            taken_out: BTreeSet::new(),
        };
        Self { commits: vec![checked(&wishes, 0)], wishes }
    }

    /// Those that people want now.
    pub(crate) fn applications(&self) -> BTreeSet<String> {
        self.wishes.applications.iter().map(|name| (*name).to_owned()).collect()
    }

    pub(crate) fn was_taken_out(&self, application: &str) -> bool {
        self.wishes.taken_out.contains(application)
    }

    pub(crate) fn newest(&self) -> String {
        format!("spec-{}", self.commits.len() - 1)
    }

    pub(super) fn change(&mut self, rng: &mut Rng) -> String {
        let wishes = &mut self.wishes;
        // What was taken out and put back is new, and may run twice.
        let done = match rng.u32(u32::from(wishes.leased)..4) {
            0 => {
                let name = APPLICATIONS[rng.usize(..APPLICATIONS.len())];
                let was = !wishes.applications.insert(name) && wishes.applications.remove(name);
                if was {
                    wishes.taken_out.insert(name);
                }
                format!("{} {name}", if was { "removes" } else { "adds" })
            }
            1 => {
                wishes.version += 1;
                format!("releases version {}", wishes.version)
            }
            2 => {
                let cluster = CLUSTERS[rng.usize(..CLUSTERS.len())];
                let price = rng.u32(5..200);
                wishes.prices.insert(cluster, price);
                format!("prices {cluster} at {price}")
            }
            _ => {
                wishes.drained = match wishes.drained {
                    None => Some(CLUSTERS[rng.usize(..CLUSTERS.len())]),
                    Some(_) => None,
                };
                format!("drains {:?}", wishes.drained)
            }
        };
        let commit = checked(wishes, self.commits.len());
        self.commits.push(commit);
        done
    }

    pub(super) fn candidate(&self, commit: &str, seen: Timestamp) -> Candidate {
        let number: usize = commit.strip_prefix("spec-").unwrap().parse().unwrap();
        Candidate { seen, ..self.commits[number].clone() }
    }

    pub(super) fn restore(&self, good: &Good, knowledge: &Knowledge) -> Effective {
        let base = self.candidate(&good.commit, Timestamp::UNIX_EPOCH);
        Effective::restored(base, BTreeMap::new(), knowledge)
    }
}

fn checked(wishes: &Wishes, number: usize) -> Candidate {
    let commit = format!("spec-{number}");
    let checked = validate::repository(&tree(wishes), &commit, Timestamp::UNIX_EPOCH);
    assert!(checked.findings.is_empty(), "{:?}", checked.findings);
    Candidate {
        revision: checked.revision,
        subject: commit,
        seen: Timestamp::UNIX_EPOCH,
        findings: checked.findings,
        refused: checked.refused,
        distrust: None,
        faulty: checked.faulty,
        // People mean what they do here.
        allowed_removals: 100,
    }
}

fn tree(wishes: &Wishes) -> Tree {
    let mut tree = Tree::new();
    let mut put = |path: String, text: String| drop(tree.insert(path, Entry::file(text)));
    let document = |kind: &str, name: &str, spec: String| {
        format!("apiVersion: qonnect.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
    };
    // Whatever moves, moves at once: then its cause stands just before it in the log.
    let moves = "moves: {residence: 0s, failbackAfter: 0s}";
    // Lost long before what runs by a lease has ended.
    let lease = if wishes.leased { ", lease: {heartbeat: 5s, suspectAfter: 8s, lostAfter: 12s}" } else { "" };
    put("fleet.yaml".into(), document("Fleet", "fleet", format!("{{{moves}{lease}}}")));
    for cluster in CLUSTERS {
        let price = f64::from(wishes.prices[cluster]) / 10.0;
        let drain = if wishes.drained == Some(cluster) { ", drain: true" } else { "" };
        let node = "{name: node, cpu: 8, memory: 16Gi, storage: 100Gi}";
        let address = "ingress: {address: 10.0.0.1}";
        let spec = format!("{{tier: edge, {address}, defaults: {{price: {price}}}, nodes: [{node}]{drain}}}");
        put(format!("clusters/{cluster}.yaml"), document("Cluster", cluster, spec));
    }
    for application in &wishes.applications {
        // The store must not run twice.
        let on_lost = if wishes.leased { ", onLost: afterLease" } else { "" };
        let store = format!("{{name: store, manifests: [store.yaml], strategy: recreate{on_lost}}}");
        let components = format!("[{{name: web, manifests: [web.yaml]}}, {store}]");
        let spec = format!("{{objectives: {{cost: 1.0}}, components: {components}}}");
        put(format!("apps/{application}/application.yaml"), document("Application", application, spec));
        for component in ["web", "store"] {
            let text = deployment(component, wishes.version);
            put(format!("apps/{application}/{component}.yaml"), text);
        }
    }
    tree
}

fn deployment(name: &str, version: u32) -> String {
    let labels = format!("{{app: {name}}}");
    let container = format!(
        "{{name: main, image: \"example.org/{name}:{version}\", resources: {{requests: {{cpu: 1, memory: 1Gi}}}}}}"
    );
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: 1\n  selector: \
         {{matchLabels: {labels}}}\n  template:\n    metadata: {{labels: {labels}}}\n    spec: {{containers: \
         [{container}]}}\n"
    )
}
