//! Where applications ran well: what a person may want back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_schema::documents::snapshot::{ComponentStatus, Health};

use super::Knowledge;

/// The cluster of each component.
pub type Places = BTreeMap<String, String>;

/// Of each application: the one of now, and the one before.
const PLACES_MAX: usize = 2;

impl Knowledge {
    /// The newest placement that was Ready as a whole and is not the one of now.
    pub fn ran_before(&self, application: &str) -> Option<&Places> {
        let now = self.places(application);
        self.settled.get(application)?.iter().rev().find(|places| Some(*places) != now.as_ref())
    }

    /// Remembers the applications of a report that are Ready as a whole.
    pub(super) fn remember_settled(&mut self, reported: &[ComponentStatus]) {
        let names: BTreeSet<&str> = reported.iter().map(|status| status.application.as_str()).collect();
        for name in names {
            let Some(places) = self.places(name) else { continue };
            if self.settled.get(name).and_then(|known| known.last()) == Some(&places)
                || !places.iter().all(|(component, cluster)| self.is_ready(cluster, name, component))
            {
                continue;
            }
            let settled = Arc::make_mut(&mut self.settled).entry(name.into()).or_default();
            settled.push(places);
            if settled.len() > PLACES_MAX {
                settled.remove(0);
            }
        }
    }

    /// Where each component is, if nothing moves and nothing is left out.
    fn places(&self, application: &str) -> Option<Places> {
        let components = &self.placements.get(application)?.spec.components;
        let place = |(name, placed): (&String, &qonnect_schema::documents::placement::ComponentPlacement)| {
            let cluster = placed.cluster.clone().filter(|_| placed.moving.is_none())?;
            Some((name.clone(), cluster))
        };
        components.iter().map(place).collect()
    }

    pub(crate) fn is_ready(&self, cluster: &str, application: &str, component: &str) -> bool {
        self.clusters.get(cluster).is_some_and(|state| {
            state.components.iter().any(|status| {
                (status.application.as_str(), status.component.as_str()) == (application, component)
                    && status.health == Health::Ready
            })
        })
    }
}
