//! What was rendered before: a decision renders what has changed, however large the fleet is.

use std::collections::BTreeMap;
use std::sync::Arc;

use qonnect_schema::Cluster;
use qonnect_schema::revision::{ApplicationSource, Revision};

use super::AllCopies;
use crate::rollout::Copies;

/// Paths from the root of the branch, with what stands there.
pub(super) type Files = Vec<(String, Arc<[u8]>)>;

/// Kept from one decision to the next; nothing depends on it but the time that they take.
#[derive(Debug, Default)]
pub struct Rendered {
    clusters: BTreeMap<String, Cluster>,
    cluster_scoped: Vec<String>,
    applications: BTreeMap<String, Application>,
}

/// The objects of an application, and all that they were made from besides the fleet.
#[derive(Debug)]
struct Application {
    source: Arc<ApplicationSource>,
    copies: BTreeMap<String, Copies>,
    files: Files,
}

impl Rendered {
    /// Forgets what another fleet would render otherwise, and who has left.
    pub(super) fn fit(&mut self, revision: &Revision, copies: &AllCopies) {
        let cluster_scoped = &revision.fleet.cluster_scoped;
        if self.clusters != revision.clusters || self.cluster_scoped != *cluster_scoped {
            self.clusters.clone_from(&revision.clusters);
            self.cluster_scoped.clone_from(cluster_scoped);
            self.applications.clear();
        }
        self.applications.retain(|name, _| copies.contains_key(name));
    }

    pub(super) fn files(
        &mut self,
        source: &Arc<ApplicationSource>,
        copies: &BTreeMap<String, Copies>,
        render: impl FnOnce() -> Files,
    ) -> &Files {
        let name = source.application.name();
        let same = |known: &Application| {
            known.copies == *copies && (Arc::ptr_eq(&known.source, source) || known.source.says_as(source))
        };
        if !self.applications.get(name).is_some_and(same) {
            let rendered = Application { source: source.clone(), copies: copies.clone(), files: render() };
            self.applications.insert(name.into(), rendered);
        }
        &self.applications[name].files
    }
}
