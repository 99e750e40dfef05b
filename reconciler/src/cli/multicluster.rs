//! The words that QONNECT and the API of SIG Multicluster share, for export and import alike.

pub(super) const API: &str = "multicluster.x-k8s.io/v1alpha1";

/// Who writes these objects.
pub(super) const MANAGER: &str = "qonnect";
/// Repeats the manager, so that consumers can select by it.
pub(super) const MANAGER_LABEL: &str = "x-k8s.io/cluster-manager";

/// The domain of what only we know by a name.
pub(super) const OWNER: &str = "qonnect.io";
pub(super) const TIER: &str = "qonnect.io/tier";
/// The name that Kubernetes gives a region anyway.
pub(super) const REGION: &str = "topology.kubernetes.io/region";
