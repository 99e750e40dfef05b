//! A cluster in memory with an agent's core in front of it.

mod deletions;
mod offline;

use std::collections::BTreeMap;

use qonnect_agent_core::inventory::{Inventory, SHARDS, shard_name};
use qonnect_agent_core::prune::Limits;
use qonnect_agent_core::release::Verified;
use qonnect_agent_core::state::{Deleted, State};
use qonnect_schema::documents::release::{ReleaseSpec, ReleasedApplication, Removal, RemovalCause};
use qonnect_schema::manifest::ObjectId;
use qonnect_schema::tree::{Entry, Tree};
use qonnect_schema::{Epoch, Release, layout, yaml};
use serde_json::Value;

const CLUSTER: &str = "fog";

/// Components of the application `shop` with their ConfigMaps, and what is removed by name.
#[derive(Clone, Default)]
struct Wanted {
    components: BTreeMap<String, BTreeMap<String, String>>,
    removals: Vec<(&'static str, &'static str)>,
}

impl Wanted {
    fn of(components: &[(&str, usize)]) -> Self {
        let mut wanted = Self::default();
        for (component, count) in components {
            for at in 0..*count {
                wanted.set(component, &format!("{component}-{at}"), "1");
            }
        }
        wanted
    }

    fn set(&mut self, component: &str, name: &str, value: &str) {
        self.components.entry(component.into()).or_default().insert(name.into(), value.into());
    }

    fn files(&self) -> BTreeMap<String, String> {
        let ours = format!("{}: {}", layout::label::MANAGED_BY, layout::label::QONNECT);
        let mut files = BTreeMap::new();
        for (component, objects) in &self.components {
            let namespace =
                format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {{{ours}}}}}\n");
            files.insert(format!("shop/{}", layout::NAMESPACE), namespace);
            for (name, value) in objects {
                let text = format!(
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop, labels: {{{ours}}}}}\ndata: {{key: \"{value}\"}}\n"
                );
                files.insert(format!("shop/{component}/{name}.yaml"), text);
            }
        }
        files
    }

    fn spec(&self, generation: u64) -> ReleaseSpec {
        let components: Vec<String> = self.components.keys().cloned().collect();
        let application = ReleasedApplication {
            application: "shop".into(),
            namespace: "shop".into(),
            components,
            depends_on: BTreeMap::new(),
        };
        let removal = |(application, component): &(&str, &str)| Removal {
            application: application.to_string(),
            component: component.to_string(),
            cause: RemovalCause::ComponentDeleted,
            intent: "1".into(),
        };
        let files = self.files();
        ReleaseSpec {
            generation,
            epoch: Epoch { era: 1, term: 2, node: 1 },
            revision: "abc".into(),
            order: if self.components.is_empty() { vec![] } else { vec![application] },
            removals: self.removals.iter().map(removal).collect(),
            digest: digest(&files),
            decommissioned: false,
        }
    }

    fn tree(&self, generation: u64) -> Tree {
        folder(&self.files(), CLUSTER, self.spec(generation))
    }
}

fn digest(files: &BTreeMap<String, String>) -> String {
    layout::digest(files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())))
}

fn folder(files: &BTreeMap<String, String>, cluster: &str, spec: ReleaseSpec) -> Tree {
    let mut tree: Tree = files.iter().map(|(path, text)| (path.clone(), Entry::file(text))).collect();
    tree.insert(layout::RELEASE.into(), Entry::file(yaml::to_string(&Release::new(cluster, spec)).unwrap()));
    tree
}

/// What an API server holds; every change counts up.
#[derive(Default)]
struct Server {
    objects: BTreeMap<ObjectId, Value>,
    version: u64,
    /// What people and controllers see when they look into it.
    shards: BTreeMap<String, BTreeMap<String, String>>,
    deleted: Vec<String>,
}

impl Server {
    fn put(&mut self, id: &ObjectId, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        object["metadata"]["uid"] = id.to_string().into();
        self.objects.insert(id.clone(), object.clone());
        object
    }

    /// One pass of the agent at a time.
    fn pass(&mut self, state: &mut State, now: u64) {
        let stages = state.to_apply(now);
        state.register(&stages);
        self.keep(state);
        for apply in stages.iter().flatten() {
            state.applying(apply);
            let object = self.put(&apply.desired.id, apply.desired.object());
            state.applied(apply, &object, now);
        }
        for deletion in state.to_delete(now) {
            self.version += 1;
            self.objects.remove(&deletion.id);
            self.deleted.push(deletion.id.to_string());
            state.deleted(&deletion, Deleted::Gone, now);
        }
        self.keep(state);
    }

    fn keep(&mut self, state: &State) {
        self.shards = (0..SHARDS).map(|shard| (shard_name(shard), state.inventory().encode(shard))).collect();
    }

    /// An agent that starts: what the cluster remembers, and a look at what is there.
    fn boot(&self, release: Option<Verified>) -> State {
        let mut inventory = Inventory::default();
        for (name, data) in &self.shards {
            inventory.decode(name, data).unwrap();
        }
        let mut state = State::new(inventory, Limits::default());
        if let Some(release) = release {
            state.adopt(release);
        }
        self.list(&mut state);
        state
    }

    fn list(&self, state: &mut State) {
        for kind in ["Namespace", "ConfigMap"] {
            state.list_begins("", kind);
            for (id, object) in self.objects.iter().filter(|(id, _)| id.kind == kind) {
                state.observe(id, object);
            }
            state.list_ends("", kind);
        }
    }
}
