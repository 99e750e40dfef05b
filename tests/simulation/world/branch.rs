//! What the deploy branch said, commit by commit: decisions as anybody can read them in Git.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use qonnect_schema::documents::placement::{ComponentPlacement, MovePhase};
use qonnect_schema::{Placement, layout, yaml};

use super::git::{Commit, Git};
use super::{Ms, World};

/// By application.
pub(crate) type Placements = BTreeMap<String, Arc<Placement>>;

/// A change of the branch, and what it left.
pub(crate) struct Decision<'a> {
    pub(crate) at: Ms,
    pub(crate) id: &'a str,
    pub(crate) commit: &'a Commit,
    pub(crate) meddled: bool,
    pub(crate) placements: Placements,
}

impl Decision<'_> {
    pub(crate) fn components(&self) -> impl Iterator<Item = (&str, &str, &ComponentPlacement)> {
        self.placements.iter().flat_map(|(application, placement)| {
            let components = placement.spec.components.iter();
            components.map(move |(name, placed)| (application.as_str(), name.as_str(), placed))
        })
    }

    pub(crate) fn component(&self, application: &str, name: &str) -> Option<&ComponentPlacement> {
        self.placements.get(application)?.spec.components.get(name)
    }
}

impl Git {
    /// In which phases something is on its way.
    pub(super) fn moving(&mut self, commit: &str) -> BTreeSet<MovePhase> {
        let placements = read(&self.commits[commit], &mut self.parsed);
        let components = placements.values().flat_map(|placement| placement.spec.components.values());
        components.filter_map(|placed| Some(placed.moving.as_ref()?.phase)).collect()
    }
}

/// Files that were read before are not read again.
pub(super) type Known = HashMap<Arc<[u8]>, Option<Arc<Placement>>>;

fn read(commit: &Commit, known: &mut Known) -> Placements {
    let files = commit.folder(layout::PLACEMENTS).into_iter().flat_map(|folder| folder.files());
    let placements = files.filter_map(|(name, bytes)| {
        let placement = known.entry(bytes.clone()).or_insert_with(|| {
            let text = std::str::from_utf8(bytes).ok()?;
            yaml::from_str::<Placement>(text).ok().map(Arc::new)
        });
        Some((name.strip_suffix(".yaml")?.to_owned(), placement.clone()?))
    });
    placements.collect()
}

impl World {
    /// Every state that the branch was in, the first one first.
    pub(crate) fn decisions(&self) -> Vec<Decision<'_>> {
        let mut known = self.git.parsed.clone();
        let landed =
            self.git.landings.iter().filter_map(|landing| Some((landing, landing.commit.as_deref()?)));
        let decided = landed.map(|(landing, id)| {
            let commit = &self.git.commits[id];
            let placements = read(commit, &mut known);
            Decision { at: landing.at, id, commit, meddled: landing.meddled, placements }
        });
        decided.collect()
    }
}
