//! A Git server with one branch, and pushes that are still on their way to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_core::decision::{Deployed, Trailers};
use qonnect_core::lead::{Pushed, Tip};
use qonnect_schema::Epoch;
use sha2::{Digest, Sha256};

/// A commit. Its id says all of it.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) base: Option<String>,
    pub(super) message: String,
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
    /// Commits whose pushes nobody waits for any more.
    pub(super) late: BTreeSet<String>,
}

impl Git {
    /// Makes a commit that no branch holds; the same commit has the same id.
    pub(super) fn write(&mut self, base: Option<String>, message: String, author: Option<Epoch>) -> String {
        let text = format!("{base:?} {message}");
        let id = Sha256::digest(text)[..6].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if !self.objects.contains_key(&id) {
            Arc::make_mut(&mut self.objects).insert(id.clone(), Commit { base, message, author });
        }
        id
    }

    /// An exact compare-and-swap.
    pub(super) fn arrive(&mut self, commit: &str) -> Pushed {
        if self.tip == self.objects[commit].base {
            self.move_to(Some(commit.into()));
            Pushed::Published
        } else {
            Pushed::Lost
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
        let origin = self.history().find_map(|(_, commit)| Trailers::parse(&commit.message));
        let contains = self.history().map(|(id, _)| id).filter(|id| asks.contains(*id)).cloned().collect();
        Tip { deployed, origin: origin.map(|trailers| trailers.origin()), asks: asks.clone(), contains }
    }
}
