//! Which folders of the deploy branch are accepted: whole, for this cluster, and never older than the last one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use qonnect_schema::documents::release::{Mark, ReleaseSpec, ReleasedApplication};
use qonnect_schema::manifest::{ObjectId, is_path_segment};
use qonnect_schema::tree::{Entry, Tree};
use qonnect_schema::{Epoch, Release, layout, yaml};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whose an object is. The namespace of an application belongs to none of its components.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    pub application: Arc<str>,
    /// Empty for the application's namespace.
    pub component: Arc<str>,
}

impl Owner {
    pub fn new(application: &str, component: &str) -> Self {
        Self { application: application.into(), component: component.into() }
    }

    pub fn is_namespace(&self) -> bool {
        self.component.is_empty()
    }
}

/// `bookinfo/reviews`.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_namespace() {
            true => f.write_str(&self.application),
            false => write!(f, "{}/{}", self.application, self.component),
        }
    }
}

/// An object as the release wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    pub id: ObjectId,
    pub owner: Owner,
    /// `v1`, `apps/v1`.
    pub api_version: Arc<str>,
    /// JSON: what is sent, byte for byte. Parsed only where it is compared, for a tree of values takes five times the room.
    pub body: Arc<[u8]>,
    /// Of the file's bytes.
    pub hash: Arc<str>,
}

impl Desired {
    pub fn object(&self) -> Value {
        serde_json::from_slice(&self.body).expect("it was written by serde_json")
    }
}

/// A release that may be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    pub spec: ReleaseSpec,
    /// In the order in which the release lists their components, callees first.
    pub objects: Vec<Desired>,
}

impl Verified {
    pub fn mark(&self) -> Mark {
        Mark { epoch: self.spec.epoch, generation: self.spec.generation, digest: self.spec.digest.clone() }
    }
}

/// Why a folder is not carried out. Whatever runs goes on running.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the folder of this cluster holds no release.yaml; nothing is changed")]
    Missing,
    #[error("{path} is a symlink or a submodule, which an agent never follows")]
    Link { path: String },
    #[error("{path} has {bytes} bytes, more than an agent accepts")]
    TooLarge { path: String, bytes: u64 },
    #[error("release.yaml cannot be read: {why}")]
    Unreadable { why: String },
    #[error(
        "the release is for cluster {named}, this agent serves {cluster}; check `cluster` in its configuration"
    )]
    OtherCluster { named: String, cluster: String },
    #[error(
        "the folder has digest {found}, its release says {wanted}: files are missing or were changed by hand"
    )]
    Digest { found: String, wanted: String },
    #[error("generation {found} is older than {held}, which was accepted before")]
    Generation { found: u64, held: u64 },
    #[error("generation {generation} was accepted before with another digest")]
    Ambiguous { generation: u64 },
    #[error("epoch {found} is older than {held}: a deposed leader wrote it")]
    Epoch { found: Epoch, held: Epoch },
    #[error("{path} is no place for an object of this release")]
    Misplaced { path: String },
    #[error(
        "application {application} has the namespace {namespace:?}, which the API server has no address for"
    )]
    Namespace { application: String, namespace: String },
    #[error("{path} cannot be read: {why}")]
    Object { path: String, why: String },
    #[error("{id} stands in the release twice, in {first} and {second}")]
    Twice { id: String, first: Owner, second: Owner },
}

/// Accepts the folder of `cluster`, paths relative to it, or says why not.
///
/// Objects whose bytes stand in `before` are taken from there: a change costs what it changes.
///
/// Guarantees: what is accepted is complete by its digest, and neither older than `held` nor different from it at
/// the same generation.
pub fn verify(tree: &Tree, cluster: &str, held: &Mark, before: &[Desired]) -> Result<Verified, Refusal> {
    let files = files(tree)?;
    let release = files.get(layout::RELEASE).ok_or(Refusal::Missing)?;
    let release: Release = text(release)
        .and_then(|text| yaml::from_str(text).map_err(|error| error.to_string()))
        .map_err(|why| Refusal::Unreadable { why })?;
    if release.name() != cluster {
        return Err(Refusal::OtherCluster { named: release.metadata.name, cluster: cluster.into() });
    }
    let spec = release.spec;
    let found = layout::digest(files.iter().map(|(path, bytes)| (*path, *bytes)));
    if found != spec.digest {
        return Err(Refusal::Digest { found, wanted: spec.digest });
    }
    not_older(&spec, held)?;
    addressable(&spec)?;
    let before: BTreeMap<&str, &Desired> =
        before.iter().map(|object| (object.hash.as_ref(), object)).collect();
    let objects = objects(&files, &spec, &before)?;
    Ok(Verified { spec, objects })
}

fn not_older(spec: &ReleaseSpec, held: &Mark) -> Result<(), Refusal> {
    if spec.epoch < held.epoch {
        return Err(Refusal::Epoch { found: spec.epoch, held: held.epoch });
    }
    if spec.generation < held.generation {
        return Err(Refusal::Generation { found: spec.generation, held: held.generation });
    }
    if spec.generation == held.generation && spec.digest != held.digest && !held.digest.is_empty() {
        return Err(Refusal::Ambiguous { generation: spec.generation });
    }
    Ok(())
}

/// Service accounts are named by these namespaces.
fn addressable(spec: &ReleaseSpec) -> Result<(), Refusal> {
    match spec.order.iter().find(|released| !is_path_segment(&released.namespace)) {
        Some(ReleasedApplication { application, namespace, .. }) => {
            Err(Refusal::Namespace { application: application.clone(), namespace: namespace.clone() })
        }
        None => Ok(()),
    }
}

fn files(tree: &Tree) -> Result<BTreeMap<&str, &[u8]>, Refusal> {
    tree.iter()
        .map(|(path, entry)| match entry {
            Entry::File(bytes) => Ok((path.as_str(), bytes.as_ref())),
            Entry::Link(_) => Err(Refusal::Link { path: path.clone() }),
            Entry::TooLarge(bytes) => Err(Refusal::TooLarge { path: path.clone(), bytes: *bytes }),
        })
        .collect()
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| error.to_string())
}

fn objects(
    files: &BTreeMap<&str, &[u8]>,
    spec: &ReleaseSpec,
    before: &BTreeMap<&str, &Desired>,
) -> Result<Vec<Desired>, Refusal> {
    let mut by_owner: BTreeMap<Owner, Vec<Desired>> = BTreeMap::new();
    for (path, bytes) in files.iter().filter(|(path, _)| **path != layout::RELEASE) {
        let owner = owner(path).ok_or_else(|| Refusal::Misplaced { path: path.to_string() })?;
        let hash = hash(bytes);
        let desired = match before.get(hash.as_str()) {
            Some(known) => Desired { owner: owner.clone(), ..(*known).clone() },
            None => desired(bytes, owner.clone(), hash)
                .map_err(|why| Refusal::Object { path: path.to_string(), why })?,
        };
        if owner.is_namespace() && desired.id.kind != "Namespace" {
            return Err(Refusal::Misplaced { path: path.to_string() });
        }
        by_owner.entry(owner).or_default().push(desired);
    }
    let mut all = Vec::new();
    for application in &spec.order {
        let components = application.components.iter().map(String::as_str);
        for component in std::iter::once("").chain(components) {
            let owner = Owner::new(&application.application, component);
            all.extend(by_owner.remove(&owner).unwrap_or_default());
        }
    }
    match by_owner.into_keys().next() {
        Some(owner) => Err(Refusal::Misplaced { path: format!("{owner}/") }),
        None => distinct(all),
    }
}

/// Applications may share a namespace: the first of them brings it. Anything else has one owner.
fn distinct(objects: Vec<Desired>) -> Result<Vec<Desired>, Refusal> {
    let mut owners: BTreeMap<ObjectId, Owner> = BTreeMap::new();
    let mut repeated = BTreeSet::new();
    for (index, object) in objects.iter().enumerate() {
        match owners.get(&object.id) {
            None => drop(owners.insert(object.id.clone(), object.owner.clone())),
            Some(first) if first.is_namespace() && object.owner.is_namespace() => {
                repeated.insert(index);
            }
            Some(first) => {
                let (first, second) = (first.clone(), object.owner.clone());
                return Err(Refusal::Twice { id: object.id.to_string(), first, second });
            }
        }
    }
    let kept = objects.into_iter().enumerate().filter(|(index, _)| !repeated.contains(index));
    Ok(kept.map(|(_, object)| object).collect())
}

/// `<application>/namespace.yaml` or `<application>/<component>/<file>`.
fn owner(path: &str) -> Option<Owner> {
    let mut parts = path.split('/');
    let (application, second, third) = (parts.next()?, parts.next()?, parts.next());
    match (third, parts.next()) {
        (None, _) if second == layout::NAMESPACE => Some(Owner::new(application, "")),
        (Some(file), None) if !second.is_empty() && !file.is_empty() => Some(Owner::new(application, second)),
        _ => None,
    }
}

/// Sixteen hexadecimal digits tell any two versions of one object apart.
fn hash(bytes: &[u8]) -> String {
    layout::digest([("", bytes)]).trim_start_matches("sha256:").chars().take(16).collect()
}

fn desired(bytes: &[u8], owner: Owner, hash: String) -> Result<Desired, String> {
    let object: Value = yaml::from_str(text(bytes)?).map_err(|error| error.to_string())?;
    let (Some(id), Some(api_version)) = (ObjectId::of(&object), object["apiVersion"].as_str()) else {
        return Err("it lacks apiVersion, kind or metadata.name".into());
    };
    if let Some(part) = parts(&id, api_version).find(|part| !is_path_segment(part)) {
        return Err(format!("the API server has no address for {part:?}"));
    }
    let body = serde_json::to_vec(&object).map_err(|error| error.to_string())?.into();
    Ok(Desired { api_version: api_version.into(), id, owner, body, hash: hash.into() })
}

/// What the address of an object is made of, but for its kind, which the API server itself turns into a word.
fn parts<'a>(id: &'a ObjectId, api_version: &'a str) -> impl Iterator<Item = &'a str> {
    let namespace = Some(&*id.namespace).filter(|namespace| !namespace.is_empty());
    api_version.splitn(2, '/').chain(namespace).chain([&*id.name])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(cluster: &str, generation: u64, term: u64, files: &[(&str, &str)]) -> Tree {
        let mut tree: Tree = files.iter().map(|(path, text)| (path.to_string(), Entry::file(text))).collect();
        let spec = ReleaseSpec {
            generation,
            epoch: Epoch { era: 1, term, node: 1 },
            revision: "abc".into(),
            order: vec![ReleasedApplication {
                application: "shop".into(),
                namespace: "shop".into(),
                components: vec!["db".into(), "web".into()],
                depends_on: BTreeMap::new(),
            }],
            removals: vec![],
            digest: layout::digest(files.iter().map(|(path, text)| (*path, text.as_bytes()))),
            decommissioned: false,
        };
        let text = yaml::to_string(&Release::new(cluster, spec)).unwrap();
        tree.insert(layout::RELEASE.into(), Entry::file(text));
        tree
    }

    const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    const WEB: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n";
    const DB: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\n";
    const FILES: &[(&str, &str)] = &[
        ("shop/namespace.yaml", NAMESPACE),
        ("shop/web/00-service-web.yaml", WEB),
        ("shop/db/00-service-db.yaml", DB),
    ];

    #[test]
    fn a_whole_release_is_accepted_in_the_order_of_its_components() {
        let verified = verify(&release("fog", 4, 2, FILES), "fog", &Mark::default(), &[]).unwrap();
        let names: Vec<_> = verified.objects.iter().map(|object| object.id.name.as_str()).collect();
        assert_eq!(names, ["shop", "db", "web"]);
        assert_eq!(verified.mark().generation, 4);
    }

    #[test]
    fn what_did_not_change_is_taken_over_and_gives_the_same() {
        let first = verify(&release("fog", 1, 2, FILES), "fog", &Mark::default(), &[]).unwrap();
        let second = release("fog", 2, 2, &FILES[..2]);
        let taken = verify(&second, "fog", &first.mark(), &first.objects).unwrap();
        assert_eq!(taken, verify(&second, "fog", &first.mark(), &[]).unwrap());
        assert!(
            taken.objects.iter().all(|new| first.objects.iter().any(|old| Arc::ptr_eq(&old.body, &new.body)))
        );
    }

    #[test]
    fn the_same_release_is_accepted_again_and_a_newer_epoch_too() {
        let mark = verify(&release("fog", 4, 2, FILES), "fog", &Mark::default(), &[]).unwrap().mark();
        assert!(verify(&release("fog", 4, 2, FILES), "fog", &mark, &[]).is_ok());
        assert!(verify(&release("fog", 4, 3, FILES), "fog", &mark, &[]).is_ok());
        assert!(verify(&release("fog", 5, 2, &FILES[..2]), "fog", &mark, &[]).is_ok());
    }

    #[test]
    fn what_is_older_or_ambiguous_is_refused() {
        let mark = verify(&release("fog", 4, 2, FILES), "fog", &Mark::default(), &[]).unwrap().mark();
        let refusal = |tree: Tree| verify(&tree, "fog", &mark, &[]).unwrap_err();
        assert_eq!(refusal(release("fog", 3, 2, FILES)), Refusal::Generation { found: 3, held: 4 });
        assert_eq!(refusal(release("fog", 4, 2, &FILES[..2])), Refusal::Ambiguous { generation: 4 });
        assert!(matches!(refusal(release("fog", 9, 1, FILES)), Refusal::Epoch { .. }));
    }

    #[test]
    fn what_is_incomplete_or_foreign_is_refused() {
        let refuse = |change: fn(&mut Tree)| {
            let mut tree = release("fog", 4, 2, FILES);
            change(&mut tree);
            verify(&tree, "fog", &Mark::default(), &[]).unwrap_err()
        };
        assert_eq!(refuse(|tree| tree.clear()), Refusal::Missing);
        assert_eq!(refuse(|tree| drop(tree.remove(layout::RELEASE))), Refusal::Missing);
        assert!(matches!(refuse(|tree| drop(tree.remove("shop/namespace.yaml"))), Refusal::Digest { .. }));
        assert!(matches!(
            refuse(|tree| drop(tree.insert("shop/namespace.yaml".into(), Entry::file("")))),
            Refusal::Digest { .. }
        ));
        assert!(matches!(
            refuse(|tree| drop(tree.insert(layout::RELEASE.into(), Entry::file("")))),
            Refusal::Unreadable { .. }
        ));
        assert!(matches!(
            refuse(|tree| drop(tree.insert("shop/web/x".into(), Entry::Link(b"/etc".as_slice().into())))),
            Refusal::Link { .. }
        ));
        assert!(matches!(
            refuse(|tree| drop(tree.insert("shop/web/x".into(), Entry::TooLarge(1 << 30)))),
            Refusal::TooLarge { .. }
        ));
        let other = verify(&release("edge", 4, 2, FILES), "fog", &Mark::default(), &[]).unwrap_err();
        assert!(matches!(other, Refusal::OtherCluster { .. }), "{other}");
    }

    #[test]
    fn an_object_outside_the_listed_components_or_listed_twice_is_refused() {
        for (path, text) in [
            ("shop/cache/00-service-x.yaml", WEB),
            ("other/namespace.yaml", NAMESPACE),
            ("shop/stray.yaml", WEB),
            ("shop/web/deep/er.yaml", WEB),
            ("shop/namespace.yaml", WEB),
        ] {
            let refusal =
                verify(&release("fog", 1, 1, &[(path, text)]), "fog", &Mark::default(), &[]).unwrap_err();
            assert!(matches!(refusal, Refusal::Misplaced { .. }), "{path}: {refusal}");
        }
        let twice = [("shop/web/00-a.yaml", WEB), ("shop/db/00-b.yaml", WEB)];
        let refusal = verify(&release("fog", 1, 1, &twice), "fog", &Mark::default(), &[]).unwrap_err();
        assert!(matches!(refusal, Refusal::Twice { .. }), "{refusal}");
    }

    #[test]
    fn what_would_reach_another_address_is_refused() {
        for (api_version, namespace, name) in [
            ("v1", "shop", "web/status"),
            ("v1", "shop", "../../kube-system/configmaps/x"),
            ("v1", "shop", "web?force=true&x="),
            ("v1", "shop/../kube-system", "web"),
            ("apps/v1/namespaces", "shop", "web"),
            ("v1", "shop", ".."),
        ] {
            let object = format!(
                "apiVersion: {api_version}\nkind: ConfigMap\nmetadata: {{name: '{name}', namespace: '{namespace}'}}\n"
            );
            let tree = release("fog", 1, 1, &[("shop/web/00-a.yaml", &object)]);
            let refusal = verify(&tree, "fog", &Mark::default(), &[]).unwrap_err();
            assert!(matches!(refusal, Refusal::Object { .. }), "{api_version} {namespace} {name}: {refusal}");
        }
        let mut tree = release("fog", 1, 1, FILES);
        let text = text(tree[layout::RELEASE].bytes().unwrap())
            .unwrap()
            .replace("namespace: shop", "namespace: \"shop\\nx\"");
        tree.insert(layout::RELEASE.into(), Entry::file(text));
        let refusal = verify(&tree, "fog", &Mark::default(), &[]).unwrap_err();
        assert!(matches!(refusal, Refusal::Namespace { .. }), "{refusal}");
    }

    #[test]
    fn objects_of_any_depth_are_read_again_or_refused() {
        let read_again = |depth: &usize| {
            let deep = format!("{}1{}", "[".repeat(*depth), "]".repeat(*depth));
            let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web}}\ndata: {deep}\n");
            let read = desired(text.as_bytes(), Owner::new("shop", "web"), String::new());
            read.is_ok_and(|desired| desired.object()["data"].is_array())
        };
        let accepted = (1..300).filter(read_again).count();
        assert!((10..200).contains(&accepted), "{accepted}");
    }

    #[test]
    fn the_stricter_mark_joins_disk_and_cluster() {
        let mark = |term, generation| Mark {
            epoch: Epoch { era: 1, term, node: 1 },
            generation,
            digest: generation.to_string(),
        };
        assert_eq!(mark(3, 1).stricter(mark(2, 5)), Mark { epoch: mark(3, 0).epoch, ..mark(0, 5) });
    }
}
