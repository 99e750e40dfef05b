//! Which clusters are worked on at one moment.

use jiff::Timestamp;
use qonnect_schema::documents::application::ClusterSelector;
use qonnect_schema::documents::maintenance::Maintenance;
use qonnect_schema::{Cluster, FleetSpec};

use super::labels;

/// What is under way, and until when.
#[derive(Debug, Default)]
pub struct UnderWay<'a>(Vec<(&'a ClusterSelector, Timestamp)>);

impl<'a> UnderWay<'a> {
    pub fn at(now: Timestamp, fleet: &'a FleetSpec) -> Self {
        let open = |maintenance: &'a Maintenance| {
            let window = maintenance.window(now).filter(|window| window.contains(&now))?;
            Some((&maintenance.cluster_selector, window.end))
        };
        Self(fleet.maintenance.iter().filter_map(open).collect())
    }

    /// When the work on a cluster ends, if there is any.
    pub fn until(&self, cluster: &Cluster) -> Option<Timestamp> {
        let meant = self.0.iter().filter(|(selector, _)| labels::unmet(selector, cluster).is_none());
        meant.map(|(_, until)| *until).max()
    }
}

/// The next moment at which a cluster is to be drained, or may be filled.
pub(crate) fn next_change(now: Timestamp, fleet: &FleetSpec) -> Option<Timestamp> {
    let windows = fleet.maintenance.iter().filter_map(|maintenance| maintenance.window(now));
    windows.flat_map(|window| [window.start, window.end]).filter(|at| *at > now).min()
}
