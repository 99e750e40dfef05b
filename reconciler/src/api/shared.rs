//! What all requests share.

use std::collections::BTreeMap;
use std::sync::Arc;

use qonnect_core::knowledge::{Knowledge, liveness};
use qonnect_schema::api::ReleaseHint;
use qonnect_schema::documents::fleet::Lease;
use qonnect_schema::revision::Revision;
use tokio::sync::{Semaphore, watch};

use super::access::Access;
use super::deliveries::Deliveries;
use super::explain::Explanations;
use super::{Parts, problem::Refusal};

/// Requests under way at once, heartbeats that wait for news included: what 64 KiB each make of a GiB.
pub(super) const REQUESTS_MAX: usize = 16_384;

/// Readers that watch: each renders its list anew after a change.
const WATCHERS_MAX: usize = 128;

pub(super) type Releases = Arc<BTreeMap<String, ReleaseHint>>;

pub(super) struct Shared {
    pub(super) parts: Parts,
    /// Absent: everybody may everything.
    pub(super) access: Option<Access>,
    /// Absent: GitHub is not listened to.
    pub(super) deliveries: Option<Deliveries>,
    /// Changes less often than the Knowledge Base, so that agents who wait sleep through reports.
    pub(super) releases: watch::Receiver<Releases>,
    pub(super) explanations: Explanations,
    pub(super) requests: Arc<Semaphore>,
    pub(super) watchers: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(parts: Parts, access: Option<Access>, deliveries: Option<Deliveries>) -> Arc<Self> {
        let mut changes = parts.consensus.changes();
        let (tell, releases) = watch::channel(changes.borrow_and_update().releases.clone());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                let now = changes.borrow_and_update().releases.clone();
                tell.send_if_modified(|known| {
                    let news = !Arc::ptr_eq(known, &now);
                    *known = now;
                    news
                });
            }
        });
        Arc::new(Self {
            parts,
            access,
            deliveries,
            releases,
            explanations: Explanations::default(),
            requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
        })
    }

    pub(super) fn knowledge(&self) -> Arc<Knowledge> {
        self.parts.consensus.knowledge()
    }

    pub(super) fn revision(&self) -> Option<Arc<Revision>> {
        self.parts.revision.borrow().clone()
    }

    pub(super) fn lease(&self) -> Lease {
        let revision = self.parts.revision.borrow();
        let stretched =
            |revision: &Arc<Revision>| liveness::stretched(&revision.fleet.lease, revision.clusters.len());
        revision.as_ref().map(stretched).unwrap_or_default()
    }

    /// Silence is counted by the leader: a word that does not reach it must be said to another lead.
    pub(super) fn hears(&self) -> Result<(), Refusal> {
        match self.parts.liveness.counts(&self.parts.consensus) {
            true => Ok(()),
            false => Err(crate::consensus::Error::NotLeader { leader: self.leader() }.into()),
        }
    }

    pub(super) fn leader(&self) -> Option<u64> {
        *self.parts.consensus.leader().borrow()
    }
}
