//! A Git server with one branch, and pushes that may be on their way to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_core::decision::{Deployed, Trailers};
use qonnect_core::lead::Tip;
use qonnect_schema::Epoch;
use sha2::{Digest, Sha256};

/// A commit. Its id says all of it.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) base: Option<String>,
    /// What its message says.
    pub(super) trailers: Option<Trailers>,
    /// Who made it in truth, whatever its trailers say; absent for the foreign writer.
    pub(super) author: Option<Epoch>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Git {
    /// Every commit that was ever made.
    objects: Arc<BTreeMap<String, Commit>>,
    pub(super) tip: Option<String>,
    /// Every commit that has ever been on the branch.
    pub(super) ever: Arc<BTreeSet<String>>,
    /// Commits whose pushes nobody waits for: each may arrive, once more too.
    pub(super) pushed: BTreeSet<String>,
}

impl Git {
    /// Makes a commit that no branch holds; the same commit has the same id.
    pub(super) fn write(&mut self, base: Option<String>, message: String, author: Option<Epoch>) -> String {
        let text = format!("{base:?} {message}");
        let id = Sha256::digest(text)[..6].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if !self.objects.contains_key(&id) {
            let trailers = Trailers::parse(&message);
            Arc::make_mut(&mut self.objects).insert(id.clone(), Commit { base, trailers, author });
        }
        id
    }

    /// An exact compare-and-swap. Whether it moved the branch.
    pub(super) fn arrive(&mut self, commit: &str) -> bool {
        let fits = self.fits(commit);
        if fits {
            self.move_to(Some(commit.into()));
        }
        fits
    }

    pub(super) fn fits(&self, commit: &str) -> bool {
        self.tip == self.objects[commit].base
    }

    /// Those that would move the branch now.
    pub(super) fn arriving(&self) -> impl Iterator<Item = &String> {
        self.pushed.iter().filter(|commit| self.fits(commit))
    }

    /// Forgets what cannot arrive any more on a server that never goes back: its base is not the tip, and no push
    /// that may arrive makes it so.
    pub(super) fn forget(&mut self) {
        let mut alive: BTreeSet<_> = self.arriving().cloned().collect();
        loop {
            let based = |commit: &&String| {
                self.objects[*commit].base.as_ref().is_some_and(|base| alive.contains(base))
            };
            let next: Vec<_> =
                self.pushed.iter().filter(based).filter(|commit| !alive.contains(*commit)).cloned().collect();
            if next.is_empty() {
                return self.pushed = alive;
            }
            alive.extend(next);
        }
    }

    pub(super) fn move_to(&mut self, tip: Option<String>) {
        if let Some(tip) = &tip
            && !self.ever.contains(tip)
        {
            Arc::make_mut(&mut self.ever).insert(tip.clone());
        }
        self.tip = tip;
    }

    /// The branch, its tip first.
    pub(super) fn history(&self) -> impl Iterator<Item = (&String, &Commit)> {
        let mut next = self.tip.as_ref();
        std::iter::from_fn(move || {
            let (id, commit) = self.objects.get_key_value(next?)?;
            next = commit.base.as_ref();
            Some((id, commit))
        })
    }

    pub(super) fn read(&self, asks: &BTreeSet<String>) -> Tip {
        let deployed = Deployed::read(self.tip.clone(), Default::default(), &Default::default());
        let origin = self.history().find_map(|(_, commit)| commit.trailers.as_ref());
        let contains = self.history().map(|(id, _)| id).filter(|id| asks.contains(*id)).cloned().collect();
        Tip { deployed, origin: origin.map(|trailers| trailers.origin()), asks: asks.clone(), contains }
    }
}
