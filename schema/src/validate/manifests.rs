//! The manifests of an application: which files, which objects.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::application::Object;
use super::findings::{Findings, Origin};
use super::fleet::Declared;
use super::places::{below, is_yaml};
use super::words::{did_you_mean, quoted};
use super::{division, document, objects};
use crate::documents::application::{Application, Component, Expose, MoveStrategy, OnLost};
use crate::layout;
use crate::manifest::{Manifest, ObjectId};
use crate::tree::{Entry, Tree};
use crate::yaml::{self, Dialect, Limits};

pub(super) struct Manifests<'a> {
    tree: &'a Tree,
    /// `apps/<app>`.
    folder: &'a str,
    /// As the folder says it.
    name: &'a str,
    application: &'a Application,
    fleet: &'a Declared,
    findings: &'a mut Findings,
    /// The component that reads a file.
    used: BTreeMap<&'a str, &'a str>,
    /// Something that is named could not be read: what seems to be missing may be in it.
    incomplete: bool,
    pub(super) by_component: BTreeMap<String, Vec<Manifest>>,
    pub(super) objects: Vec<Object>,
}

impl<'a> Manifests<'a> {
    pub(super) fn new(
        tree: &'a Tree,
        folder: &'a str,
        name: &'a str,
        application: &'a Application,
        fleet: &'a Declared,
        findings: &'a mut Findings,
    ) -> Self {
        let (used, incomplete, by_component, objects) = Default::default();
        Self { tree, folder, name, application, fleet, findings, used, incomplete, by_component, objects }
    }

    pub(super) fn read(&mut self) {
        let mut all_read = true;
        for (index, component) in self.application.spec.components.iter().enumerate() {
            self.incomplete = false;
            let mut manifests = Vec::new();
            for (at, path) in component.manifests.iter().enumerate() {
                let pointer = format!("/spec/components/{index}/manifests/{at}");
                for file in self.files(path, &pointer, component) {
                    self.file(file, component, &mut manifests);
                }
            }
            if !self.incomplete {
                self.check_component(index, component, &manifests);
            }
            all_read &= !self.incomplete;
            self.by_component.insert(component.name.clone(), manifests);
        }
        let own = format!("{}/{}", self.folder, layout::APPLICATION);
        if all_read && !self.findings.is_repaired(&own, |_| true) {
            self.unused();
        }
    }

    fn check_component(&mut self, index: usize, component: &Component, manifests: &[Manifest]) {
        // An empty list was found before.
        if manifests.is_empty() && !component.manifests.is_empty() {
            let message = format!("the manifests of `{}` hold no object", component.name);
            self.error("no-object", format!("/spec/components/{index}/manifests"), message, None);
            return;
        }
        if let Some(expose) = &component.expose {
            self.expose(index, expose, manifests);
        }
        if component.on_lost == OnLost::AfterLease {
            self.leased(index, component, manifests);
        }
        if let Some((wanted, there)) = division::too_few(component, manifests) {
            let message = format!("{wanted} clusters, but {there} replicas in its manifests");
            let help = Some("give each workload at least one replica for each cluster");
            let field = if component.replicas.is_some() { "replicas" } else { "spread" };
            self.error("too-few-replicas", format!("/spec/components/{index}/{field}"), message, help);
        }
    }

    /// What runs by a lease is ended by scaling it to zero.
    fn leased(&mut self, index: usize, component: &Component, manifests: &[Manifest]) {
        let at = format!("/spec/components/{index}/onLost");
        if component.strategy != MoveStrategy::Recreate {
            let message = "only what must not run twice ends with its lease".to_owned();
            self.error(
                "contradiction",
                at.clone(),
                message,
                Some("add `strategy: recreate`, or leave `onLost` out"),
            );
        }
        let ids = manifests.iter().filter_map(|manifest| ObjectId::of(&manifest.object));
        if let Some(id) = ids.into_iter().find(|id| id.runs_pods() && !id.has_replicas()) {
            let message = format!("{id} cannot be scaled to zero");
            let help = Some("use a Deployment or a StatefulSet, or leave `onLost` out");
            self.error("not-scalable", at, message, help);
        }
    }

    /// A finding at an entry of `manifests`, after which the component is not known whole.
    fn unreadable(&mut self, code: &str, pointer: &str, message: String, help: Option<&str>) {
        self.incomplete = true;
        self.error(code, pointer.into(), message, help);
    }

    /// A finding in `application.yaml`.
    fn error(&mut self, code: &str, pointer: String, message: String, help: Option<&str>) {
        let file = format!("{}/{}", self.folder, layout::APPLICATION);
        let finding = self.findings.error(Origin::document(&file, Some(self.name)), code, pointer, message);
        if let Some(help) = help {
            finding.help(help);
        }
    }

    /// The files that an entry of `manifests` names, in the order in which they are applied.
    fn files(&mut self, text: &str, pointer: &str, component: &'a Component) -> Vec<&'a str> {
        let relative = match relative(text) {
            Ok(relative) => relative,
            Err((message, help)) => {
                self.unreadable("outside-application", pointer, message, Some(help));
                return Vec::new();
            }
        };
        let path = format!("{}/{relative}", self.folder);
        if let Some(link) = self.link_above(&path) {
            let message = format!("`{link}` is a symlink, and nothing follows symlinks");
            self.unreadable(
                "link",
                pointer,
                message,
                Some("put the file itself into the application's folder"),
            );
            return Vec::new();
        }
        let tree = self.tree;
        let files: Vec<&'a str> = match tree.get_key_value(&path) {
            Some((path, _)) => vec![path.as_str()],
            None => below(tree, &path).map(|(path, _)| path).filter(|path| is_yaml(path)).collect(),
        };
        if files.is_empty() {
            self.nothing_at(&path, &relative, pointer);
        }
        files.into_iter().filter(|file| self.claim(file, pointer, component)).collect()
    }

    fn nothing_at(&mut self, path: &str, relative: &str, pointer: &str) {
        let tree = self.tree;
        if below(tree, path).next().is_some() {
            let message = format!("the folder `{relative}` holds no `.yaml` file");
            return self.unreadable("empty-folder", pointer, message, None);
        }
        let folder = format!("{}/", self.folder);
        let near = below(tree, self.folder).filter_map(|(path, _)| path.strip_prefix(&folder));
        let help = did_you_mean(relative, near.filter(|file| is_yaml(file)));
        let message = format!("there is no `{relative}` in `{}/`", self.folder);
        self.unreadable("manifest-missing", pointer, message, help.as_deref());
    }

    /// The first link on the way to a path, the path included.
    fn link_above(&self, path: &str) -> Option<&'a str> {
        let cuts = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        cuts.filter_map(|cut| self.tree.get_key_value(&path[..cut]))
            .find(|(_, entry)| matches!(entry, Entry::Link(_)))
            .map(|(path, _)| path.as_str())
    }

    fn claim(&mut self, file: &'a str, pointer: &str, component: &'a Component) -> bool {
        if file.strip_prefix(self.folder) == Some("/application.yaml") {
            let message = "`application.yaml` describes the application, it is no manifest".into();
            self.error(
                "not-a-manifest",
                pointer.into(),
                message,
                Some("keep manifests in files of their own"),
            );
            return false;
        }
        match self.used.insert(file, &component.name) {
            None => true,
            Some(other) => {
                let message = format!("`{file}` is already read by the component `{other}`");
                self.error("duplicate-manifest", pointer.into(), message, Some("name each file once"));
                false
            }
        }
    }

    fn file(&mut self, file: &'a str, component: &Component, manifests: &mut Vec<Manifest>) {
        let origin = Origin::manifest(file, 0, self.name);
        let Some(entry) = self.tree.get(file) else { return };
        let Some(bytes) = document::bytes(entry, origin, self.findings) else {
            self.incomplete = true;
            return;
        };
        let (documents, faults) = yaml::parse(bytes, Dialect::Kubernetes, &Limits::DEFAULT);
        self.incomplete |= !faults.is_empty();
        faults.into_iter().for_each(|fault| self.findings.fault(origin, fault));
        for (index, document) in documents.into_iter().enumerate().filter(|(_, document)| !document.is_null())
        {
            let origin = Origin::manifest(file, index, self.name);
            match objects::flatten(document.into_value(), origin, self.findings) {
                objects::Flat::One(object) => {
                    self.object(object, String::new(), origin, component, manifests)
                }
                objects::Flat::Items(items) => {
                    for (at, item) in items.into_iter().enumerate() {
                        self.object(item, format!("/items/{at}"), origin, component, manifests);
                    }
                }
            }
        }
    }

    fn object(
        &mut self,
        object: Value,
        pointer: String,
        origin: Origin<'_>,
        component: &Component,
        manifests: &mut Vec<Manifest>,
    ) {
        let place = objects::Place { origin, pointer: &pointer };
        let cluster_scoped = &self.fleet.spec.cluster_scoped;
        let id = objects::check(&object, self.application, cluster_scoped, place, self.findings);
        objects::check_variables(&object, component, &self.application.spec.components, place, self.findings);
        let (file, document) = (origin.file.to_string(), origin.document);
        if let Some(id) = id {
            let component = component.name.clone();
            self.objects.push(Object { id, component, file: file.clone(), document, pointer });
        }
        manifests.push(Manifest { path: file, document, object });
    }

    /// What is exposed is a Service of this component that leads to pods.
    fn expose(&mut self, index: usize, expose: &Expose, manifests: &[Manifest]) {
        let services = manifests.iter().map(|manifest| &manifest.object).filter(|object| {
            object.get("kind").and_then(Value::as_str) == Some("Service")
                && object.get("apiVersion").and_then(Value::as_str) == Some("v1")
        });
        let by_name: BTreeMap<&str, &Value> = services
            .filter_map(|object| Some((object.pointer("/metadata/name")?.as_str()?, object)))
            .collect();
        let pointer = format!("/spec/components/{index}/expose/service");
        let filled = |service: &Value, field: &str| {
            let value = service.pointer(field);
            value.is_some_and(|value| match value {
                Value::Array(items) => !items.is_empty(),
                Value::Object(map) => !map.is_empty(),
                _ => false,
            })
        };
        match by_name.get(expose.service.as_str()) {
            None => {
                let message =
                    format!("the manifests of this component hold no Service {}", quoted(&expose.service));
                let help = did_you_mean(&expose.service, by_name.keys().copied());
                self.error("unknown-service", pointer, message, help.as_deref());
            }
            Some(service) if !filled(service, "/spec/ports") => {
                let message = format!("the Service `{}` has no port", expose.service);
                self.error("service-without-port", pointer, message, None);
            }
            Some(service) if !filled(service, "/spec/selector") => {
                let message = format!("the Service `{}` selects no pods", expose.service);
                let help = Some("give it a `selector`: the node port leads to the same pods");
                self.error("service-without-selector", pointer, message, help);
            }
            Some(_) => {}
        }
    }

    /// Warns of YAML files that no component names: mostly a forgotten line.
    fn unused(&mut self) {
        let own = format!("{}/{}", self.folder, layout::APPLICATION);
        let unread: BTreeSet<&str> = below(self.tree, self.folder)
            .map(|(path, _)| path)
            .filter(|path| is_yaml(path) && *path != own && !self.used.contains_key(path))
            .collect();
        for file in unread {
            self.findings
                .file_warning(
                    Origin::manifest(file, 0, self.name),
                    "unused-file",
                    "no component names this file",
                )
                .help("add it to the `manifests` of a component, or remove it");
        }
    }
}

/// A path within the folder, without `.` and a `/` at its end.
fn relative(text: &str) -> Result<String, (String, &'static str)> {
    const BESIDE: &str = "manifests are files and folders beside `application.yaml`";
    if text.contains("://") {
        return Err((format!("{} is an address, and nothing is fetched", quoted(text)), BESIDE));
    }
    if text.starts_with('/') || text.contains('\\') {
        return Err((format!("{} is not a path within the application's folder", quoted(text)), BESIDE));
    }
    let steps: Vec<&str> = text.split('/').filter(|step| !step.is_empty() && *step != ".").collect();
    if steps.contains(&"..") {
        return Err((format!("{} leads out of the application's folder", quoted(text)), BESIDE));
    }
    if steps.is_empty() {
        return Err((format!("{} names no file", quoted(text)), "name files, or folders below this one"));
    }
    Ok(steps.join("/"))
}
