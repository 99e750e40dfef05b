//! A Git server with the deploy branch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_core::decision::{Deployed, Draft, Trailers};
use qonnect_core::lead::Tip;
use qonnect_schema::layout::{self, RELEASE};
use qonnect_schema::tree::Entry;
use sha2::{Digest, Sha256};

use super::Ms;
use super::branch::Known;

/// The files of one folder, by name or by path below it, and a hash of them: commits share the folders that they
/// do not change.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Folder {
    hash: Vec<u8>,
    files: BTreeMap<String, Arc<[u8]>>,
}

impl Folder {
    fn new(files: BTreeMap<String, Arc<[u8]>>) -> Arc<Self> {
        let mut hash = Sha256::new();
        for (name, bytes) in &files {
            hash.update(name);
            hash.update(bytes);
        }
        Arc::new(Self { hash: hash.finalize().to_vec(), files })
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = (&String, &Arc<[u8]>)> {
        self.files.iter()
    }
}

/// `placements`, and one for each cluster.
type Folders = BTreeMap<String, Arc<Folder>>;

/// A path as the folder that it is in and the rest.
fn split(path: &str) -> (&str, &str) {
    let depth = if path.starts_with("clusters/") { 2 } else { 1 };
    let end = path.match_indices('/').nth(depth - 1).map(|(at, _)| at);
    end.map_or(("", path), |end| (&path[..end], &path[end + 1..]))
}

#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) base: Option<String>,
    pub(crate) message: String,
    time: Timestamp,
    folders: Folders,
}

impl Commit {
    pub(crate) fn trailers(&self) -> Option<Trailers> {
        Trailers::parse(&self.message)
    }

    pub(crate) fn folder(&self, path: &str) -> Option<&Arc<Folder>> {
        self.folders.get(path)
    }

    fn change(&mut self, files: impl IntoIterator<Item = (String, Option<Arc<[u8]>>)>) {
        let mut changed: BTreeMap<String, BTreeMap<String, Arc<[u8]>>> = BTreeMap::new();
        for (path, bytes) in files {
            let (folder, name) = split(&path);
            let before = || self.folders.get(folder).map(|folder| folder.files.clone()).unwrap_or_default();
            let files = changed.entry(folder.into()).or_insert_with(before);
            match bytes {
                Some(bytes) => drop(files.insert(name.into(), bytes)),
                None => drop(files.remove(name)),
            }
        }
        for (folder, files) in changed {
            match files.is_empty() {
                true => drop(self.folders.remove(&folder)),
                false => drop(self.folders.insert(folder, Folder::new(files))),
            }
        }
    }

    fn id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{:?} {} {}", self.base, self.message, self.time));
        for (path, folder) in &self.folders {
            hash.update(path);
            hash.update(&folder.hash);
        }
        hash.finalize()[..10].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A change of the branch.
#[derive(Debug, Clone)]
pub(crate) struct Landing {
    pub(crate) at: Ms,
    pub(crate) commit: Option<String>,
    /// The server went back, or a person wrote: no push of a lead.
    pub(crate) meddled: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Git {
    /// Those that a lead has made and perhaps never pushed included.
    pub(crate) commits: BTreeMap<String, Commit>,
    pub(crate) tip: Option<String>,
    pub(crate) landings: Vec<Landing>,
    pub(super) parsed: Known,
    /// It takes connections and answers nothing until then.
    pub(super) hangs_until: Ms,
}

impl Git {
    pub(super) fn write(&mut self, draft: &Draft) -> String {
        let folders = draft.base.as_ref().map(|base| self.commits[base].folders.clone()).unwrap_or_default();
        let (base, message) = (draft.base.clone(), draft.message.clone());
        let mut commit = Commit { base, message, time: draft.time, folders };
        commit.change(draft.files.clone());
        self.put(commit)
    }

    fn put(&mut self, commit: Commit) -> String {
        let id = commit.id();
        self.commits.entry(id.clone()).or_insert(commit);
        id
    }

    /// An exact compare-and-swap.
    pub(super) fn swap(&mut self, now: Ms, commit: &str, base: Option<&str>) -> bool {
        let fits = self.tip.as_deref() == base;
        if fits {
            self.move_to(now, Some(commit.into()), false);
        }
        fits
    }

    pub(super) fn move_to(&mut self, at: Ms, commit: Option<String>, meddled: bool) {
        self.landings.push(Landing { at, commit: commit.clone(), meddled });
        self.tip = commit;
    }

    /// A person pushes a commit that breaks what leads own.
    pub(super) fn meddle(&mut self, now: Ms) {
        let Some(tip) = self.tip.clone() else { return };
        let mut commit = self.commits[&tip].clone();
        let releases = |(_, folder): &(&String, &Arc<Folder>)| folder.files.contains_key(RELEASE);
        let release = commit.folders.iter().find(releases);
        if let Some(path) = release.map(|(path, _)| join(path, RELEASE)) {
            commit.change([(path, Some(b"a person was here".as_slice().into()))]);
        }
        commit.base = Some(tip);
        commit.message = format!("a person's commit at {now}");
        let id = self.put(commit);
        self.move_to(now, Some(id), true);
    }

    /// From a commit down to the first one.
    pub(crate) fn history<'a>(
        &'a self,
        from: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, &'a Commit)> {
        let mut next = from;
        std::iter::from_fn(move || {
            let (id, commit) = self.commits.get_key_value(next?)?;
            next = commit.base.as_deref();
            Some((id.as_str(), commit))
        })
    }

    /// Every commit that has ever been the tip, or below it.
    pub(crate) fn ever(&self) -> BTreeSet<&str> {
        let mut ever = BTreeSet::new();
        for landing in &self.landings {
            let below = self.history(landing.commit.as_deref()).map(|(id, _)| id);
            below.take_while(|id| ever.insert(*id)).for_each(drop);
        }
        ever
    }

    pub(super) fn read(&self, asks: &BTreeSet<String>) -> Tip {
        let deployed = match &self.tip {
            Some(tip) => {
                let Commit { time, folders, .. } = &self.commits[tip];
                let files = folders.iter().flat_map(|(path, folder)| {
                    let entry = |bytes: &Arc<[u8]>| Entry::File(bytes.clone());
                    folder.files().map(move |(name, bytes)| (join(path, name), entry(bytes)))
                });
                Deployed::read(Some(tip.clone()), *time, &files.collect())
            }
            None => Deployed::default(),
        };
        let history = || self.history(self.tip.as_deref());
        let origin = history().find_map(|(_, commit)| Some(commit.trailers()?.origin()));
        let contains = history().map(|(id, _)| id.to_owned()).filter(|id| asks.contains(id)).collect();
        Tip { deployed, origin, asks: asks.clone(), contains }
    }

    /// The folder of a cluster at the tip.
    pub(super) fn folder(&self, cluster: &str) -> Option<&Arc<Folder>> {
        self.commits[self.tip.as_ref()?].folder(&layout::cluster_folder(cluster))
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.into() } else { format!("{folder}/{name}") }
}
