//! In which order kinds are applied: what others stand on goes first.

use qonnect_schema::manifest::ObjectId;

/// Each stage is finished before the next begins; inside a stage objects go in the order of the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Namespaces,
    Definitions,
    Configuration,
    Storage,
    Services,
    Workloads,
    /// Kinds that we do not know, and what stands on workloads, such as autoscalers.
    Others,
    /// They could refuse what goes before them, and need what answers them.
    Webhooks,
}

pub fn stage(id: &ObjectId) -> Stage {
    match (id.group.as_str(), id.kind.as_str()) {
        ("", "Namespace") => Stage::Namespaces,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Stage::Definitions,
        ("", "ServiceAccount" | "ConfigMap" | "Secret" | "ResourceQuota" | "LimitRange")
        | ("rbac.authorization.k8s.io" | "scheduling.k8s.io", _) => Stage::Configuration,
        ("", "PersistentVolume" | "PersistentVolumeClaim") | ("storage.k8s.io", _) => Stage::Storage,
        ("", "Service" | "Endpoints") | ("networking.k8s.io" | "discovery.k8s.io", _) => Stage::Services,
        ("", "Pod" | "ReplicationController") | ("apps" | "batch", _) => Stage::Workloads,
        ("admissionregistration.k8s.io", _) => Stage::Webhooks,
        _ => Stage::Others,
    }
}

/// What may be applied side by side, one list after the other.
pub fn stages<T>(objects: Vec<T>, id: impl Fn(&T) -> &ObjectId) -> Vec<Vec<T>> {
    let mut stages = std::collections::BTreeMap::<Stage, Vec<T>>::new();
    for object in objects {
        stages.entry(stage(id(&object))).or_default().push(object);
    }
    stages.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(group: &str, kind: &str) -> ObjectId {
        ObjectId { group: group.into(), kind: kind.into(), namespace: "a".into(), name: kind.into() }
    }

    #[test]
    fn what_others_need_goes_first_and_the_release_orders_the_rest() {
        let objects = vec![
            id("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
            id("apps", "Deployment"),
            id("example.com", "Lamp"),
            id("", "Service"),
            id("batch", "Job"),
            id("", "ConfigMap"),
            id("rbac.authorization.k8s.io", "Role"),
            id("", "PersistentVolumeClaim"),
            id("apiextensions.k8s.io", "CustomResourceDefinition"),
            id("", "Namespace"),
        ];
        let stages = stages(objects, |id| id);
        let kinds: Vec<Vec<&str>> =
            stages.iter().map(|stage| stage.iter().map(|id| id.kind.as_str()).collect()).collect();
        assert_eq!(
            kinds,
            [
                vec!["Namespace"],
                vec!["CustomResourceDefinition"],
                vec!["ConfigMap", "Role"],
                vec!["PersistentVolumeClaim"],
                vec!["Service"],
                vec!["Deployment", "Job"],
                vec!["Lamp"],
                vec!["ValidatingWebhookConfiguration"],
            ]
        );
    }
}
