//! What stands on the deploy branch.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::api::ReleaseHint;
use qonnect_schema::tree::{Entry, Tree};
use qonnect_schema::{Placement, Release, layout, yaml};

/// The paths that leads own, at one tip. Others, such as a README, are nobody's business here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deployed {
    /// Absent where the branch is.
    pub tip: Option<String>,
    pub time: Timestamp,
    pub(super) files: BTreeMap<String, Arc<[u8]>>,
    /// By cluster; one that cannot be read is missing.
    pub(super) releases: BTreeMap<String, Release>,
    /// A file that is not ours may stand here: compare all of them.
    pub(super) foreign: bool,
}

impl Deployed {
    /// Reads the tree of a tip, which anybody may have written.
    pub fn read(tip: Option<String>, time: Timestamp, tree: &Tree) -> Self {
        let owned = tree.iter().filter(|(path, _)| owns(path));
        let files = owned.map(|(path, entry)| {
            let bytes = match entry {
                Entry::File(bytes) => bytes.clone(),
                // Never equal to a rendered file, so that it is replaced.
                Entry::Link(_) | Entry::TooLarge(_) => Arc::default(),
            };
            (path.clone(), bytes)
        });
        let files: BTreeMap<String, Arc<[u8]>> = files.collect();
        let releases =
            files.iter().filter_map(|(path, bytes)| Some((released_cluster(path)?.into(), read(bytes)?)));
        Self { releases: releases.collect(), files, tip, time, foreign: true }
    }

    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|bytes| &**bytes)
    }

    /// The tip after our own commit.
    pub fn advance(
        &mut self,
        commit: String,
        time: Timestamp,
        changes: &BTreeMap<String, Option<Arc<[u8]>>>,
    ) {
        for (path, bytes) in changes {
            let cluster = released_cluster(path);
            match bytes {
                Some(bytes) => {
                    if let Some((cluster, release)) = cluster.zip(read(bytes)) {
                        self.releases.insert(cluster.into(), release);
                    }
                    self.files.insert(path.clone(), bytes.clone());
                }
                None => {
                    if let Some(cluster) = cluster {
                        self.releases.remove(cluster);
                    }
                    self.files.remove(path);
                }
            }
        }
        self.tip = Some(commit);
        self.time = time;
        // A commit that changed files brought all of them to what was decided; a barrier changes none.
        self.foreign &= changes.is_empty();
    }

    /// What the branch says, for a Knowledge Base that knows nothing.
    pub fn knowledge(&self) -> (BTreeMap<String, Placement>, BTreeMap<String, ReleaseHint>) {
        let prefix = format!("{}/", layout::PLACEMENTS);
        let placements = under(&self.files, &prefix).filter_map(|(_, bytes)| read::<Placement>(bytes));
        let hint = |release: &Release| ReleaseHint {
            commit: self.tip.clone().unwrap_or_default(),
            generation: release.spec.generation,
            digest: release.spec.digest.clone(),
        };
        let releases = self.releases.iter().map(|(cluster, release)| (cluster.clone(), hint(release)));
        (placements.map(|placement| (placement.name().to_owned(), placement)).collect(), releases.collect())
    }

    /// What turns these files into `wanted`.
    pub(super) fn changes(
        &self,
        wanted: &BTreeMap<String, Arc<[u8]>>,
    ) -> BTreeMap<String, Option<Arc<[u8]>>> {
        let gone =
            self.files.keys().filter(|path| !wanted.contains_key(*path)).map(|path| (path.clone(), None));
        let changed = wanted.iter().filter(|(path, bytes)| self.files.get(*path) != Some(*bytes));
        gone.chain(changed.map(|(path, bytes)| (path.clone(), Some(bytes.clone())))).collect()
    }
}

/// The files whose path begins with `prefix`, which ends with `/`.
pub(super) fn under<'a>(
    files: &'a BTreeMap<String, Arc<[u8]>>,
    prefix: &str,
) -> impl Iterator<Item = (&'a str, &'a Arc<[u8]>)> {
    let prefix = prefix.to_owned();
    files
        .range(prefix.clone()..)
        .take_while(move |(path, _)| path.starts_with(&prefix))
        .map(|(path, bytes)| (path.as_str(), bytes))
}

fn owns(path: &str) -> bool {
    path.split_once('/').is_some_and(|(first, _)| first == layout::PLACEMENTS || first == layout::CLUSTERS)
}

fn released_cluster(path: &str) -> Option<&str> {
    let cluster = path.strip_prefix(layout::CLUSTERS)?.strip_prefix('/')?.strip_suffix(layout::RELEASE)?;
    cluster.strip_suffix('/').filter(|cluster| !cluster.contains('/'))
}

fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    yaml::from_str(std::str::from_utf8(bytes).ok()?).ok()
}
