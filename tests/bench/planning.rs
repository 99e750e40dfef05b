//! How long a whole fleet takes to plan from nothing: one Bookinfo for every nine clusters.

use jiff::Timestamp;
use qonnect_core::placement;
use qonnect_schema::SnapshotSpec;
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus};
use qonnect_schema::validate;

use crate::figures::{Figures, median, ms};
use crate::fleet;

pub(crate) fn measure(figures: &mut Figures) {
    for clusters in [9, 100, 1000] {
        let name = format!("plan_full_{clusters}_ms");
        if !figures.wants(&[&name]) {
            continue;
        }
        let tree = fleet::tree(&fleet::grown(clusters, clusters / 9));
        let revision = validate::repository(&tree, "", Timestamp::UNIX_EPOCH).revision;
        let ready = ClusterState { status: ClusterStatus::Ready, ..ClusterState::default() };
        let states = revision.clusters.keys().map(|name| (name.clone(), ready.clone())).collect();
        let snapshot = SnapshotSpec { clusters: states, ..SnapshotSpec::default() };
        let plan = placement::plan(&revision, &snapshot);
        let mut components = plan.applications.values().flat_map(|app| app.components.values());
        assert!(components.all(|component| component.cluster.is_some()), "not everything found a place");
        let time = median(|| drop(placement::plan(&revision, &snapshot)));
        figures.add(&name, ms(time), "ms");
    }
}
