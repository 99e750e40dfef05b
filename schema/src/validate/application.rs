//! An application: its document, its components and their manifests.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::findings::{Findings, Origin};
use super::fleet::Declared;
use super::manifests::Manifests;
use super::places::{below, is_yaml};
use super::{components, document};
use crate::json_schema::Kind;
use crate::manifest::{Manifest, ObjectId};
use crate::tree::{Entry, Tree};
use crate::{Application, layout};

/// An application whose document could be read; there may be findings all the same.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) application: Application,
    pub(super) manifests: Arc<BTreeMap<String, Vec<Manifest>>>,
    pub(super) objects: Vec<Object>,
}

/// An object with its namespace resolved, and where it stands.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) id: ObjectId,
    pub(super) component: String,
    pub(super) file: String,
    pub(super) document: usize,
    /// Of the object within the document; not empty within a `List`.
    pub(super) pointer: String,
}

pub(super) fn read(
    tree: &Tree,
    name: &str,
    entry: Option<&Entry>,
    fleet: &Declared,
    findings: &mut Findings,
) -> Option<Read> {
    let folder = format!("{}/{name}", layout::APPLICATIONS);
    if let Some(entry @ (Entry::Link(_) | Entry::TooLarge(_))) = tree.get(&folder) {
        document::bytes(entry, Origin::document(&folder, Some(name)), findings);
        return None;
    }
    let file = format!("{folder}/{}", layout::APPLICATION);
    let origin = Origin::document(&file, Some(name));
    let Some(entry) = entry else {
        missing(tree, &folder, origin, findings);
        return None;
    };
    let application: Application = document::read(Kind::Application, entry, origin, findings)?;
    document::check_name(application.name(), name, origin, findings);
    components::check(&application, fleet, origin, findings);
    let mut manifests = Manifests::new(tree, &folder, name, &application, fleet, findings);
    manifests.read();
    let Manifests { by_component, objects, .. } = manifests;
    Some(Read { application, manifests: by_component.into(), objects })
}

/// A folder without its document is a slip: an application is removed by removing its folder.
fn missing(tree: &Tree, folder: &str, origin: Origin<'_>, findings: &mut Findings) {
    let finding =
        findings.file_error(origin, "no-application", format!("`{folder}/` has no `application.yaml`"));
    let lookalike = below(tree, folder)
        .filter_map(|(path, _)| path.strip_prefix(folder)?.strip_prefix('/'))
        .find(|file| is_yaml(file) && file.to_lowercase().starts_with("application"));
    match lookalike {
        Some(file) => finding.help(format!("rename `{file}`")),
        None => finding.help("to remove the application, remove its whole folder"),
    };
}
