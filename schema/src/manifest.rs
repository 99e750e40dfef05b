//! A Kubernetes object as a user wrote it, or as a lead rendered it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One document of a manifest file.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The file, from the root of the repository.
    pub path: String,
    /// Which document of that file, from zero.
    pub document: usize,
    pub object: Value,
}

/// What an object is called inside one cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectId {
    /// Empty for the core group. The version is no part of an object's identity.
    pub group: String,
    pub kind: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    pub name: String,
}

impl ObjectId {
    /// The identity of an object, or `None` if it lacks kind, version or name.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        let version = text("/apiVersion")?;
        Some(Self {
            group: version.split_once('/').map_or("", |(group, _)| group).into(),
            kind: text("/kind")?.into(),
            namespace: text("/metadata/namespace").unwrap_or_default().into(),
            name: text("/metadata/name")?.into(),
        })
    }

    /// Whether `spec.replicas` says how many pods it runs.
    pub fn has_replicas(&self) -> bool {
        self.group == "apps" && matches!(&*self.kind, "Deployment" | "StatefulSet" | "ReplicaSet")
    }

    /// Of the kinds that Kubernetes itself turns into pods.
    pub fn runs_pods(&self) -> bool {
        match &*self.group {
            "" => matches!(&*self.kind, "Pod" | "ReplicationController"),
            "apps" => self.has_replicas() || self.kind == "DaemonSet",
            "batch" => matches!(&*self.kind, "Job" | "CronJob"),
            _ => false,
        }
    }
}

/// Whether a group, version, namespace or name is one segment of an address of the API server, and no more.
///
/// `web/status`, `../secrets/key` and `web?force=true` would be another request than the one that was checked. So
/// far the rule is that of Kubernetes (`ValidatePathSegmentName`); what an address would have to escape is no part
/// of any name that it takes.
pub fn is_path_segment(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '%' | '?' | '#');
    !matches!(text, "" | "." | "..") && text.chars().all(plain)
}

/// `Deployment.apps bookinfo/reviews-v1`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, kind, namespace, name } = self;
        let dot = if group.is_empty() { "" } else { "." };
        let slash = if namespace.is_empty() { "" } else { "/" };
        write!(f, "{kind}{dot}{group} {namespace}{slash}{name}")
    }
}

/// Kinds of Kubernetes itself that live outside namespaces, as `Kind.group`.
const CLUSTER_SCOPED: [&str; 32] = [
    "APIService.apiregistration.k8s.io",
    "CSIDriver.storage.k8s.io",
    "CSINode.storage.k8s.io",
    "CertificateSigningRequest.certificates.k8s.io",
    "ClusterRole.rbac.authorization.k8s.io",
    "ClusterRoleBinding.rbac.authorization.k8s.io",
    "ClusterTrustBundle.certificates.k8s.io",
    "ComponentStatus",
    "CustomResourceDefinition.apiextensions.k8s.io",
    "DeviceClass.resource.k8s.io",
    "FlowSchema.flowcontrol.apiserver.k8s.io",
    "IPAddress.networking.k8s.io",
    "IngressClass.networking.k8s.io",
    "MutatingAdmissionPolicy.admissionregistration.k8s.io",
    "MutatingAdmissionPolicyBinding.admissionregistration.k8s.io",
    "MutatingWebhookConfiguration.admissionregistration.k8s.io",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PodSecurityPolicy.policy",
    "PriorityClass.scheduling.k8s.io",
    "PriorityLevelConfiguration.flowcontrol.apiserver.k8s.io",
    "ResourceSlice.resource.k8s.io",
    "RuntimeClass.node.k8s.io",
    "ServiceCIDR.networking.k8s.io",
    "StorageClass.storage.k8s.io",
    "StorageVersion.internal.apiserver.k8s.io",
    "StorageVersionMigration.storagemigration.k8s.io",
    "ValidatingAdmissionPolicy.admissionregistration.k8s.io",
    "ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io",
    "ValidatingWebhookConfiguration.admissionregistration.k8s.io",
    "VolumeAttachment.storage.k8s.io",
];

/// Whether objects of a kind live outside namespaces: known kinds of Kubernetes, and what `fleet.yaml` lists.
///
/// `listed` holds `Kind` or `Kind.group`.
pub fn is_cluster_scoped(group: &str, kind: &str, listed: &[String]) -> bool {
    let matches = |name: &str| match name.split_once('.') {
        Some((name, of)) => name == kind && of == group,
        None => name == kind,
    };
    let known = |name: &&str| matches(name) && (name.contains('.') || group.is_empty());
    CLUSTER_SCOPED.iter().any(known) || listed.iter().any(|name| matches(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_of_a_path_reaches_no_further() {
        for text in ["web", "system:kube-scheduler", "v1", "rbac.authorization.k8s.io", "a@b"] {
            assert!(is_path_segment(text), "{text}");
        }
        for text in ["", ".", "..", "a/b", "a%2fb", "a?force=true", "a#b", "a b", "a\n", "ä"] {
            assert!(!is_path_segment(text), "{text:?}");
        }
    }

    #[test]
    fn scope_is_known_by_kind_and_group() {
        assert!(is_cluster_scoped("", "Namespace", &[]));
        assert!(is_cluster_scoped("rbac.authorization.k8s.io", "ClusterRole", &[]));
        assert!(!is_cluster_scoped("apps", "Deployment", &[]));
        assert!(!is_cluster_scoped("example.org", "Node", &[]), "another group's kind of the same name");
        assert!(is_cluster_scoped("example.org", "Widget", &["Widget".into()]));
        assert!(is_cluster_scoped("example.org", "Widget", &["Widget.example.org".into()]));
        assert!(!is_cluster_scoped("example.org", "Widget", &["Widget.example.com".into()]));
    }
}
