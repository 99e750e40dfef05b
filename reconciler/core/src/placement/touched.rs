//! What is different between two worlds that are planned one after the other, as far as planning reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use qonnect_schema::documents::fleet::FleetDefaults;
use qonnect_schema::documents::placement::ComponentPlacement;
use qonnect_schema::documents::snapshot::{ClusterState, Health};
use qonnect_schema::revision::Revision;
use qonnect_schema::units::Latency;
use qonnect_schema::{Cluster, FleetSpec, SnapshotSpec};

use super::maintenance::UnderWay;
use super::narrow::patience_ends;
use super::signals::Current;

/// What is different since a planner looked last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Applications that are new, gone, changed, or placed or moved elsewhere than planned.
    pub applications: BTreeSet<String>,
    /// Clusters with other nodes, prices, health or status. None may be new or gone, and no round trip changed.
    pub clusters: BTreeSet<String>,
}

impl Touched {
    /// From the world that was planned to the one that is now; `None` where so much is different that all is planned
    /// from nothing: other clusters, other round trips, another `fleet.yaml`.
    pub fn between(before: (&Revision, &SnapshotSpec), now: (&Revision, &SnapshotSpec)) -> Option<Self> {
        let signals = [before, now].map(|(revision, snapshot)| Current::at(snapshot.now, &revision.signals));
        let [(old, was), (new, is)] = [before, now];
        let same_places = old.clusters.len() == new.clusters.len()
            && old
                .clusters
                .iter()
                .zip(&new.clusters)
                .all(|((a, old), (b, new))| a == b && is_where(old, new));
        let same_trips = signals[0].round_trips == signals[1].round_trips && measured_alike(was, is);
        if old.fleet != new.fleet || !same_trips || !same_places {
            return None;
        }
        let maintenance =
            [before, now].map(|(revision, snapshot)| UnderWay::at(snapshot.now, &revision.fleet));
        let mut touched = Self::default();
        for (name, cluster) in &new.clusters {
            let states = [was, is].map(|snapshot| snapshot.clusters.get(name));
            if old.clusters[name] != *cluster
                || !alike(states)
                || maintenance[0].until(cluster) != maintenance[1].until(cluster)
                || priced_otherwise(cluster, &signals, &new.fleet.defaults)
            {
                touched.clusters.insert(name.clone());
            }
        }
        let names = |revision: &'_ Revision| revision.applications.keys().cloned().collect::<BTreeSet<_>>();
        touched.applications = names(old).symmetric_difference(&names(new)).cloned().collect();
        for (name, source) in &new.applications {
            let known = old.applications.get(name);
            let same = known.is_some_and(|known| Arc::ptr_eq(known, source) || known.says_as(source));
            if !same || placed_otherwise(name, was, is) {
                touched.applications.insert(name.clone());
            }
        }
        touched.applications.extend(failing_otherwise(&new.fleet, was, is));
        Some(touched)
    }

    pub fn is_empty(&self) -> bool {
        self.applications.is_empty() && self.clusters.is_empty()
    }
}

/// Round trips are worked out once for all clusters.
fn is_where(old: &Cluster, new: &Cluster) -> bool {
    old.spec.region == new.spec.region && old.spec.latency == new.spec.latency
}

fn measured_alike(was: &SnapshotSpec, is: &SnapshotSpec) -> bool {
    fn trips(snapshot: &SnapshotSpec) -> impl Iterator<Item = (&String, &BTreeMap<String, Latency>)> {
        let states = snapshot.clusters.iter().map(|(name, state)| (name, &state.measured.round_trips));
        states.filter(|(_, trips)| !trips.is_empty())
    }
    trips(was).eq(trips(is))
}

fn alike(states: [Option<&ClusterState>; 2]) -> bool {
    fn ready(state: &ClusterState) -> impl Iterator<Item = (&str, &str)> {
        let ready = state.components.iter().filter(|status| status.health == Health::Ready);
        ready.map(|status| (status.application.as_str(), status.component.as_str()))
    }
    match states {
        [None, None] => true,
        [Some(was), Some(is)] => was.status == is.status && was.nodes == is.nodes && ready(was).eq(ready(is)),
        _ => false,
    }
}

fn priced_otherwise(cluster: &Cluster, signals: &[Current<'_>; 2], defaults: &FleetDefaults) -> bool {
    let [was, is] = signals;
    let (name, region) = (cluster.name(), cluster.spec.region.as_deref().unwrap_or_default());
    was.prices.get(name) != is.prices.get(name)
        || was.power.get(name) != is.power.get(name)
        || was.processor(cluster) != is.processor(cluster)
        || was.pue.get(name) != is.pue.get(name)
        || was.intensity.get(region) != is.intensity.get(region)
        || was.egress(cluster, defaults) != is.egress(cluster, defaults)
}

/// Whether a component runs, moves or was given up elsewhere, or may be tried again since.
fn placed_otherwise(application: &str, was: &SnapshotSpec, is: &SnapshotSpec) -> bool {
    let placed = [was, is]
        .map(|snapshot| snapshot.placements.get(application).map(|placement| &placement.spec.components));
    let [Some(before), Some(now)] = placed else { return placed[0].is_some() != placed[1].is_some() };
    let same = |old: &ComponentPlacement, new: &ComponentPlacement| {
        let from = [old, new].map(|placed| placed.moving.as_ref().map(|moving| &moving.from));
        let again = new.gave_up.as_ref().is_some_and(|gave_up| passed(gave_up.until, was.now, is.now));
        old.cluster == new.cluster
            && from[0] == from[1]
            && old.gave_up == new.gave_up
            && old.tries == new.tries
            && !again
    };
    before.len() != now.len() || before.iter().zip(now).any(|((a, old), (b, new))| a != b || !same(old, new))
}

/// The applications of components that fail where they did not, fail no longer, or have failed for long enough.
fn failing_otherwise(fleet: &FleetSpec, was: &SnapshotSpec, is: &SnapshotSpec) -> BTreeSet<String> {
    let mut otherwise = BTreeSet::new();
    let none = ClusterState::default();
    for name in was.clusters.keys().chain(is.clusters.keys()) {
        let [old, new] = [was, is].map(|snapshot| snapshot.clusters.get(name).unwrap_or(&none));
        for key in old.failing.keys().chain(new.failing.keys()) {
            let since = new.failing.get(key);
            let over =
                since.is_some_and(|since| passed(patience_ends(*since, &fleet.moves), was.now, is.now));
            if over || old.status != new.status || old.failing.get(key) != since {
                otherwise.extend(key.split_once('/').map(|(application, _)| application.to_owned()));
            }
        }
    }
    otherwise
}

fn passed(moment: Timestamp, was: Timestamp, is: Timestamp) -> bool {
    was < moment && moment <= is
}
