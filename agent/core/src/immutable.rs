//! Fields that the API server never changes: whether an object may be deleted and made anew for them.

use qonnect_schema::manifest::ObjectId;
use serde_json::Value;

/// The annotation with which a manifest agrees to that.
pub const RECREATE: &str = "qonnect.io/recreate";
/// Flux's name for the same.
const FLUX: &str = "kustomize.toolkit.fluxcd.io/force";

/// How the API server says so; it has no reason of its own for it.
const WORDS: [&str; 5] = [
    "field is immutable",
    "is immutable after creation",
    "may not change once set",
    "updates to statefulset spec for fields other than",
    "pod updates may not change fields other than",
];

/// Whether an update was refused because a field cannot change.
pub fn explains(message: &str) -> bool {
    WORDS.iter().any(|words| message.contains(words))
}

/// Whether this object may be deleted and made anew. What holds other objects never is: they would go with it.
pub fn may_recreate(id: &ObjectId, object: &Value) -> bool {
    let holds_others =
        matches!(id.kind.as_str(), "Namespace" | "CustomResourceDefinition" | "PersistentVolume");
    let annotation = |name: &str| object["metadata"]["annotations"][name].as_str();
    !holds_others && (annotation(RECREATE) == Some("enabled") || annotation(FLUX) == Some("enabled"))
}

/// For people: what cannot change, and the ways out.
pub fn explain(message: &str) -> String {
    format!(
        "{message}; give the object another name, or annotate it with {RECREATE}: enabled to have it deleted and made anew, with a gap in between"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_words_of_the_api_server_are_known() {
        for message in [
            r#"Deployment.apps "web" is invalid: spec.selector: Invalid value: v1.LabelSelector{}: field is immutable"#,
            r#"PersistentVolumeClaim "data" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests for bound claims"#,
            r#"StatefulSet.apps "db" is invalid: spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'template', and 'updateStrategy' are forbidden"#,
            r#"Service "web" is invalid: spec.clusterIP: Invalid value: "": may not change once set"#,
            r#"Pod "a" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"#,
        ] {
            assert!(explains(message), "{message}");
        }
        assert!(!explains(
            r#"Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"#
        ));
    }

    #[test]
    fn only_what_agrees_is_made_anew_and_never_what_holds_others() {
        let id = |kind: &str| ObjectId {
            group: String::new(),
            kind: kind.into(),
            namespace: "a".into(),
            name: "b".into(),
        };
        let annotated = |name: &str, value: &str| json!({"metadata": {"annotations": {name: value}}});
        assert!(may_recreate(&id("Job"), &annotated(RECREATE, "enabled")));
        assert!(may_recreate(&id("Job"), &annotated(FLUX, "enabled")));
        assert!(!may_recreate(&id("Job"), &annotated(RECREATE, "true")));
        assert!(!may_recreate(&id("Job"), &json!({})));
        assert!(!may_recreate(&id("Namespace"), &annotated(RECREATE, "enabled")));
    }
}
