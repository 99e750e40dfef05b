//! Which component runs on which cluster, and why.

use std::collections::BTreeMap;

use qonnect_schema::SnapshotSpec;
use qonnect_schema::documents::application::Strategy;
use qonnect_schema::documents::placement::ComponentPlacement;
use qonnect_schema::revision::Revision;

/// All placements for one revision and one snapshot. What cannot be placed has no cluster and says why.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub applications: BTreeMap<String, ApplicationPlan>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationPlan {
    pub strategy: Strategy,
    /// By name of the component; `moving` is absent here, rolling out decides it.
    pub components: BTreeMap<String, ComponentPlacement>,
}

/// Plans all applications together. Same input, same plan, on every machine.
pub fn plan(_revision: &Revision, _snapshot: &SnapshotSpec) -> Plan {
    Plan::default()
}
