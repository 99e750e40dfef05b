//! A checked commit of the spec branch: what the pure core plans from.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::manifest::Manifest;
use crate::{Application, Cluster, FleetSpec, Signals};

/// Everything that a commit of the spec branch says, free of faults.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// Hexadecimal; empty for a folder that is no commit.
    pub commit: String,
    /// The committer's time.
    pub time: Timestamp,
    pub fleet: FleetSpec,
    pub clusters: BTreeMap<String, Cluster>,
    /// By path.
    pub signals: BTreeMap<String, Signals>,
    pub applications: BTreeMap<String, Arc<ApplicationSource>>,
}

/// An application with its manifests.
#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationSource {
    /// The commit that it was read at; an older one than the revision's while a faulty change is held.
    pub commit: String,
    pub application: Application,
    /// By component; each keeps the order of its files and documents.
    pub manifests: Arc<BTreeMap<String, Vec<Manifest>>>,
}

impl ApplicationSource {
    /// Whether it says what another one says, whichever commits they were read at: each push reads all anew.
    pub fn says_as(&self, other: &Self) -> bool {
        let same_files =
            || Arc::ptr_eq(&self.manifests, &other.manifests) || self.manifests == other.manifests;
        self.application == other.application && same_files()
    }

    pub fn namespace(&self) -> &str {
        self.application.spec.namespace.as_deref().unwrap_or(self.application.name())
    }
}
