//! Which file of a repository is what.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::findings::{Findings, Origin};
use crate::layout;
use crate::tree::{Entry, Tree};

/// The documents of a repository by their place.
#[derive(Debug, Default)]
pub(super) struct Places<'t> {
    pub(super) fleet: Option<&'t Entry>,
    /// By the name that the file gives: `clusters/<name>.yaml`.
    pub(super) clusters: BTreeMap<&'t str, (&'t str, &'t Entry)>,
    /// By path.
    pub(super) signals: BTreeMap<&'t str, &'t Entry>,
    /// Every folder of `apps/`, with its `application.yaml` if there is one.
    pub(super) applications: BTreeMap<&'t str, Option<&'t Entry>>,
}

impl<'t> Places<'t> {
    pub(super) fn of(tree: &'t Tree, findings: &mut Findings) -> Self {
        let mut places = Self::default();
        for (path, entry) in tree {
            places.sort_in(path, entry, findings);
        }
        if places.clusters.is_empty() && !places.applications.is_empty() {
            let message = "no cluster: `clusters/` holds no `.yaml` file, so that nothing can be placed";
            findings.file_error(Origin::document(layout::CLUSTERS, None), "no-clusters", message);
        }
        places
    }

    fn sort_in(&mut self, path: &'t str, entry: &'t Entry, findings: &mut Findings) {
        let (top, rest) = path.split_once('/').unwrap_or((path, ""));
        let origin = Origin::document(path, None);
        match (top, rest) {
            (layout::FLEET, "") => self.fleet = Some(entry),
            (layout::FLEET, _) | (layout::CLUSTERS | layout::SIGNALS | layout::APPLICATIONS, "") => {
                let wanted = if top == layout::FLEET { "file" } else { "folder" };
                findings.file_error(origin, "wrong-place", format!("`{top}` must be a {wanted}"));
            }
            (layout::CLUSTERS, file) => match file.strip_suffix(".yaml") {
                Some(name) if !name.contains('/') => _ = self.clusters.insert(name, (path, entry)),
                _ => Self::misplaced(path, top, findings),
            },
            (layout::SIGNALS, file) => match file.strip_suffix(".yaml") {
                Some(name) if !name.contains('/') => _ = self.signals.insert(path, entry),
                _ => Self::misplaced(path, top, findings),
            },
            (layout::APPLICATIONS, rest) => self.sort_application(rest, path, entry, findings),
            ("fleet.yml", "") => {
                findings
                    .file_error(origin, "wrong-place", "`fleet.yml` is read by nobody")
                    .help("rename it to `fleet.yaml`");
            }
            (_, "") if is_ours(path, entry) => {
                findings
                    .file_warning(origin, "wrong-place", "a document of QONNECT that is read by nobody")
                    .help("`fleet.yaml`, `clusters/`, `signals/` and `apps/<app>/application.yaml` are read");
            }
            _ => {}
        }
    }

    fn sort_application(&mut self, rest: &'t str, path: &'t str, entry: &'t Entry, findings: &mut Findings) {
        match rest.split_once('/') {
            Some((name, file)) => {
                let found = self.applications.entry(name).or_default();
                if file == layout::APPLICATION {
                    *found = Some(entry);
                }
            }
            // A link to a folder: it cannot be read, and must not look as if it had been deleted.
            None if !matches!(entry, Entry::File(_)) => _ = self.applications.insert(rest, Some(entry)),
            None if is_yaml(path) => {
                findings
                    .file_warning(Origin::document(path, None), "wrong-place", "read by nobody")
                    .help("an application is a folder: `apps/<app>/application.yaml`");
            }
            None => {}
        }
    }

    /// A cluster that is called `.yml` would look as if it had left the fleet: an error, not a warning.
    fn misplaced(path: &str, folder: &str, findings: &mut Findings) {
        if !is_yaml(path) {
            return;
        }
        let origin = Origin::document(path, None);
        findings
            .file_error(origin, "wrong-place", format!("read by nobody: only `{folder}/<name>.yaml` is"))
            .help("move or rename it");
    }
}

/// The files below a folder; the path has no `/` at its end.
pub(super) fn below<'t>(
    tree: &'t Tree,
    folder: &str,
) -> impl Iterator<Item = (&'t str, &'t Entry)> + use<'t> {
    let prefix = format!("{folder}/");
    let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
    let range = tree.range::<str, _>(from);
    range.map(|(path, entry)| (path.as_str(), entry)).take_while(move |(path, _)| path.starts_with(&prefix))
}

pub(super) fn is_yaml(path: &str) -> bool {
    [".yaml", ".yml"].iter().any(|end| path.ends_with(end))
}

/// A YAML file of our API group, without parsing it.
fn is_ours(path: &str, entry: &Entry) -> bool {
    let says = |text: &str| text.lines().any(|line| line.starts_with("apiVersion: qonnect.io/"));
    let text = |bytes| std::str::from_utf8(bytes).is_ok_and(says);
    is_yaml(path) && entry.bytes().is_some_and(text)
}
