//! A Git server with the deploy branch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_core::decision::{Deployed, Draft, Trailers};
use qonnect_core::lead::Tip;
use qonnect_schema::tree::{Entry, Tree};
use sha2::{Digest, Sha256};

use super::Ms;

/// By path.
type Files = BTreeMap<String, Arc<[u8]>>;

#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) base: Option<String>,
    pub(crate) message: String,
    time: Timestamp,
    files: Arc<Files>,
}

impl Commit {
    pub(crate) fn trailers(&self) -> Option<Trailers> {
        Trailers::parse(&self.message)
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
    /// It takes connections and answers nothing until then.
    pub(super) hangs_until: Ms,
}

impl Git {
    pub(super) fn write(&mut self, draft: &Draft) -> String {
        let mut files = match &draft.base {
            Some(base) => self.commits[base].files.clone(),
            None => Arc::default(),
        };
        let changed = Arc::make_mut(&mut files);
        for (path, bytes) in &draft.files {
            match bytes {
                Some(bytes) => drop(changed.insert(path.clone(), bytes.clone())),
                None => drop(changed.remove(path)),
            }
        }
        self.put(draft.base.clone(), draft.message.clone(), draft.time, files)
    }

    fn put(&mut self, base: Option<String>, message: String, time: Timestamp, files: Arc<Files>) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{base:?} {message} {time}"));
        for (path, bytes) in &*files {
            hash.update(path);
            hash.update(bytes);
        }
        let id: String = hash.finalize()[..10].iter().map(|byte| format!("{byte:02x}")).collect();
        self.commits.entry(id.clone()).or_insert(Commit { base, message, time, files });
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
        let Commit { time, mut files, .. } = self.commits[&tip].clone();
        let releases = |path: &&String| path.ends_with("release.yaml");
        if let Some(path) = files.keys().find(releases).cloned() {
            Arc::make_mut(&mut files).insert(path, b"a person was here".as_slice().into());
        }
        let id = self.put(Some(tip), format!("a person's commit at {now}"), time, files);
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
        let tips = self.landings.iter().filter_map(|landing| landing.commit.as_deref());
        tips.flat_map(|tip| self.history(Some(tip))).map(|(id, _)| id).collect()
    }

    pub(super) fn read(&self, asks: &BTreeSet<String>) -> Tip {
        let deployed = match &self.tip {
            Some(tip) => {
                let Commit { time, files, .. } = &self.commits[tip];
                let tree = files.iter().map(|(path, bytes)| (path.clone(), Entry::File(bytes.clone())));
                Deployed::read(Some(tip.clone()), *time, &tree.collect())
            }
            None => Deployed::default(),
        };
        let history = || self.history(self.tip.as_deref());
        let origin = history().find_map(|(_, commit)| Some(commit.trailers()?.origin()));
        let contains = history().map(|(id, _)| id.to_owned()).filter(|id| asks.contains(id)).collect();
        Tip { deployed, origin, asks: asks.clone(), contains }
    }

    /// The folder of a cluster at the tip, and the commit.
    pub(super) fn folder(&self, cluster: &str) -> Option<(String, Tree)> {
        let tip = self.tip.clone()?;
        let prefix = format!("clusters/{cluster}/");
        let files = self.commits[&tip].files.iter().filter_map(|(path, bytes)| {
            Some((path.strip_prefix(&prefix)?.to_owned(), Entry::File(bytes.clone())))
        });
        Some((tip.clone(), files.collect()))
    }
}
