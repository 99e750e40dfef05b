//! One revision after the other: read again is only what a revision touches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::application::{self, Read};
use super::findings::Findings;
use super::fleet::{self, Declared};
use super::places::{Places, below};
use super::{Checked, claims};
use crate::layout::APPLICATIONS;
use crate::revision::{ApplicationSource, Revision};
use crate::tree::{Entry, Tree};

/// Remembers the last tree that it checked.
///
/// Guarantees: the result is that of [`super::repository`], whatever was checked before. Parsing costs as much as
/// what has changed; a change outside of `apps/` concerns every application.
#[derive(Debug, Default)]
pub struct Checker {
    /// What lies outside of `apps/`.
    around: Tree,
    /// Whether the fleet was understood, which decides what is said of applications.
    complete: bool,
    applications: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    files: Tree,
    read: Option<Arc<Read>>,
    findings: Findings,
}

impl Checker {
    /// Reads a tree that is the root of a spec branch.
    ///
    /// Assumes that whoever made the tree kept symlinks as links and left out the contents of files that are too large.
    pub fn check(&mut self, tree: &Tree, commit: &str, time: Timestamp) -> Checked {
        let mut findings = Findings::default();
        let places = Places::of(tree, &mut findings);
        let fleet = fleet::read(&places, &mut findings);
        self.forget_what_changed(tree, &fleet);
        let mut applications = BTreeMap::new();
        for (name, entry) in &places.applications {
            let known = self.applications.remove(*name);
            let known = known.unwrap_or_else(|| Known::read(tree, name, *entry, &fleet));
            findings.extend(&known.findings);
            applications.insert((*name).to_owned(), known);
        }
        self.applications = applications;
        let read = |(name, known): (&String, &Known)| Some((name.clone(), known.read.clone()?));
        let applications: BTreeMap<String, Arc<Read>> = self.applications.iter().filter_map(read).collect();
        claims::check(&applications, &mut findings);

        let faulty: BTreeSet<String> =
            findings.errors().filter_map(|error| error.application.clone()).collect();
        let refused = findings.errors().any(|error| error.application.is_none());
        let good = applications.into_iter().filter(|(name, _)| !faulty.contains(name));
        let source = |read: &Read| {
            let (application, manifests) = (read.application.clone(), read.manifests.clone());
            Arc::new(ApplicationSource { commit: commit.into(), application, manifests })
        };
        let revision = Revision {
            commit: commit.into(),
            time,
            fleet: fleet.spec,
            clusters: fleet.clusters,
            signals: fleet.signals,
            applications: good.map(|(name, read)| (name, source(&read))).collect(),
        };
        Checked { revision, findings: findings.into_diagnostics(tree), refused, faulty }
    }

    fn forget_what_changed(&mut self, tree: &Tree, fleet: &Declared) {
        let inside = |path: &str| path.strip_prefix(APPLICATIONS).is_some_and(|rest| rest.starts_with('/'));
        let around = tree.iter().filter(|(path, _)| !inside(path));
        let same = self.complete == fleet.complete && around.clone().eq(&self.around);
        if same {
            self.applications.retain(|name, known| files(tree, name).eq(entries(&known.files)));
        } else {
            self.applications.clear();
            self.around = around.map(|(path, entry)| (path.clone(), entry.clone())).collect();
            self.complete = fleet.complete;
        }
    }
}

impl Known {
    fn read(tree: &Tree, name: &str, entry: Option<&Entry>, fleet: &Declared) -> Self {
        let mut findings = Findings::default();
        let read = application::read(tree, name, entry, fleet, &mut findings);
        let files = files(tree, name).map(|(path, entry)| (path.to_owned(), entry.clone()));
        Self { files: files.collect(), read: read.map(Arc::new), findings }
    }
}

/// The folder of an application; where something else stands in its place, that.
fn files<'t>(tree: &'t Tree, name: &str) -> impl Iterator<Item = (&'t str, &'t Entry)> + use<'t> {
    let folder = format!("{APPLICATIONS}/{name}");
    let itself = tree.get_key_value(&folder).map(|(path, entry)| (path.as_str(), entry));
    itself.into_iter().chain(below(tree, &folder))
}

fn entries(tree: &Tree) -> impl Iterator<Item = (&str, &Entry)> {
    tree.iter().map(|(path, entry)| (path.as_str(), entry))
}
