//! What may be deleted: what a release removes by name, and little else.

use std::collections::BTreeSet;

use qonnect_schema::documents::release::ReleaseSpec;
use qonnect_schema::layout::label;
use qonnect_schema::manifest::ObjectId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::inventory::Inventory;
use crate::release::Owner;

/// Annotations that keep an object: ours, Flux's and Argo CD's.
pub const KEEP: [(&str, &str); 3] = [
    ("qonnect.io/prune", "disabled"),
    ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
    ("argocd.argoproj.io/sync-options", "Prune=false"),
];

/// How many objects may vanish from components that are still released, without being removed by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// So few are always fine: people rename and split objects.
    pub always: usize,
    /// More than this is never fine.
    pub max_objects: usize,
    /// Of all that the agent owns.
    pub max_share_percent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { always: 5, max_objects: 50, max_share_percent: 25 }
    }
}

impl Limits {
    fn allow(&self, vanished: usize, all: usize) -> bool {
        vanished <= self.always
            || (vanished <= self.max_objects && vanished * 100 <= self.max_share_percent * all)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub delete: Vec<(Owner, ObjectId)>,
    /// Namespaces of applications that are gone; each needs to be empty and made by us.
    pub namespaces: Vec<(Owner, ObjectId)>,
    /// What the guard keeps, and how to let it go.
    pub kept: Vec<String>,
}

/// What of the inventory is to go under a release that wants the objects `wanted`.
pub fn plan(
    release: &ReleaseSpec,
    wanted: impl Fn(&ObjectId) -> bool,
    inventory: &Inventory,
    limits: &Limits,
) -> Plan {
    let released: BTreeSet<(&str, &str)> = release
        .order
        .iter()
        .flat_map(|app| app.components.iter().map(|component| (app.application.as_str(), component.as_str())))
        .collect();
    let removed: BTreeSet<(&str, &str)> = release
        .removals
        .iter()
        .map(|removal| (removal.application.as_str(), removal.component.as_str()))
        .collect();

    let mut plan = Plan::default();
    let (mut vanished, mut unlisted) = (Vec::new(), Vec::new());
    for (owner, held) in inventory.owners() {
        let key = (owner.application.as_ref(), owner.component.as_ref());
        for id in held.objects.keys().filter(|id| !wanted(id)) {
            let doomed = (owner.clone(), id.clone());
            match (owner.is_namespace(), released.contains(&key), removed.contains(&key)) {
                (true, _, _) if namespace_is_over(release, inventory, owner, id) => {
                    plan.namespaces.push(doomed)
                }
                (true, _, _) => {}
                (false, true, _) => vanished.push(doomed),
                (false, false, true) => plan.delete.push(doomed),
                (false, false, false) => unlisted.push(doomed),
            }
        }
    }
    let all = inventory.len();
    match limits.allow(vanished.len(), all) {
        true => plan.delete.append(&mut vanished),
        false => plan.kept.push(tripped(&vanished, all, limits)),
    }
    if let Some((owner, _)) = unlisted.first() {
        plan.kept.push(format!(
            "{} objects stay although the release no longer has them, {owner} first: it lists no removal for their components; remove them through the spec branch, or delete them by hand",
            unlisted.len()
        ));
    }
    plan
}

/// A namespace goes last: nothing of its application is left, and no released application lives in it.
fn namespace_is_over(release: &ReleaseSpec, inventory: &Inventory, owner: &Owner, id: &ObjectId) -> bool {
    let used =
        release.order.iter().any(|app| app.namespace == id.name || *app.application == *owner.application);
    let left = inventory.owners().any(|(other, held)| {
        !other.is_namespace()
            && (other.application == owner.application
                || held.objects.keys().any(|object| object.namespace == id.name))
    });
    !used && !left
}

fn tripped(vanished: &[(Owner, ObjectId)], all: usize, limits: &Limits) -> String {
    let (owner, id) = &vanished[0];
    format!(
        "prune guard: {} of {all} objects would vanish from components that are still released, {id} of {owner} first; all of them stay. If this is meant, raise prune.maxObjects ({}) or prune.maxSharePercent ({}) in the agent's configuration, or delete them by hand",
        vanished.len(),
        limits.max_objects,
        limits.max_share_percent,
    )
}

/// Why a live object stays although its release gave it up.
pub fn kept_by_itself(live: &Value) -> Option<&'static str> {
    let annotation = |name: &str| live["metadata"]["annotations"][name].as_str().unwrap_or_default();
    if KEEP.iter().any(|(name, value)| annotation(name).split(',').any(|part| part.trim() == *value)) {
        return Some("an annotation disables pruning");
    }
    match live["metadata"]["labels"][label::MANAGED_BY].as_str() {
        Some(label::QONNECT) => None,
        _ => Some("it no longer carries the label app.kubernetes.io/managed-by: qonnect"),
    }
}

/// Whether an object in a namespace was put there by somebody, and so keeps the namespace alive.
///
/// Kubernetes itself fills every namespace with a few objects, and whatever has an owner goes with it.
pub fn is_foreign(id: &ObjectId, metadata: &Value) -> bool {
    let owned = metadata["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty());
    let automatic = match (id.group.as_str(), id.kind.as_str()) {
        ("" | "events.k8s.io", "Event") | ("", "Endpoints") | ("discovery.k8s.io", "EndpointSlice") => true,
        ("metrics.k8s.io", _) => true,
        ("", "ServiceAccount") => id.name == "default",
        ("", "ConfigMap") => id.name == "kube-root-ca.crt" || id.name == "openshift-service-ca.crt",
        ("", "Secret") => !metadata["annotations"]["kubernetes.io/service-account.uid"].is_null(),
        _ => false,
    };
    !owned && !automatic
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use qonnect_schema::documents::release::{ReleasedApplication, Removal, RemovalCause};
    use serde_json::json;

    use super::*;
    use crate::inventory::Record;

    fn id(kind: &str, namespace: &str, name: &str) -> ObjectId {
        ObjectId { group: String::new(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }

    fn release(order: &[(&str, &[&str])], removals: &[(&str, &str)]) -> ReleaseSpec {
        ReleaseSpec {
            generation: 2,
            epoch: Default::default(),
            revision: String::new(),
            order: order
                .iter()
                .map(|(application, components)| ReleasedApplication {
                    application: application.to_string(),
                    namespace: application.to_string(),
                    components: components.iter().map(ToString::to_string).collect(),
                    depends_on: BTreeMap::new(),
                })
                .collect(),
            removals: removals
                .iter()
                .map(|(application, component)| Removal {
                    application: application.to_string(),
                    component: component.to_string(),
                    cause: RemovalCause::ComponentDeleted,
                    intent: "1".into(),
                })
                .collect(),
            digest: String::new(),
            decommissioned: false,
        }
    }

    /// `count` ConfigMaps for each component of `shop`, and the namespace.
    fn inventory(components: &[(&str, usize)]) -> Inventory {
        let mut inventory = Inventory::default();
        let record = Record { api_version: Arc::from("v1"), applied: None };
        inventory.put(&Owner::new("shop", ""), &id("Namespace", "", "shop"), record.clone(), 1);
        for (component, count) in components {
            for at in 0..*count {
                let id = id("ConfigMap", "shop", &format!("{component}-{at}"));
                inventory.put(&Owner::new("shop", component), &id, record.clone(), 1);
            }
        }
        inventory
    }

    fn outcome(release: &ReleaseSpec, wanted: &[&str], inventory: &Inventory) -> (usize, usize, usize) {
        let plan = plan(
            release,
            |id| wanted.iter().any(|prefix| id.name.starts_with(prefix)),
            inventory,
            &Limits::default(),
        );
        (plan.delete.len(), plan.namespaces.len(), plan.kept.len())
    }

    #[test]
    fn what_removals_name_goes_however_much_it_is() {
        let held = inventory(&[("web", 500), ("db", 1)]);
        assert_eq!(
            outcome(&release(&[("shop", &["db"])], &[("shop", "web")]), &["shop", "db"], &held),
            (500, 0, 0)
        );
    }

    #[test]
    fn a_component_that_vanishes_without_a_removal_stays() {
        let held = inventory(&[("web", 1), ("db", 1)]);
        assert_eq!(outcome(&release(&[("shop", &["db"])], &[]), &["shop", "db"], &held), (0, 0, 1));
        assert_eq!(outcome(&release(&[], &[]), &[], &held), (0, 0, 1));
    }

    #[test]
    fn a_few_objects_may_vanish_from_a_released_component_many_may_not() {
        let order: &[(&str, &[&str])] = &[("shop", &["web", "db"])];
        for (web, db, vanished, deleted, kept) in [
            (1, 1, "web", 1, 0),
            (5, 1, "web", 5, 0),
            (6, 6, "web", 0, 1),
            (40, 400, "web", 40, 0),
            (60, 900, "web", 0, 1),
        ] {
            let stays: &[&str] = if vanished == "web" { &["shop", "db"] } else { &[] };
            let found = outcome(&release(order, &[]), stays, &inventory(&[("web", web), ("db", db)]));
            assert_eq!(found, (deleted, 0, kept), "{web} of {}", web + db);
        }
    }

    #[test]
    fn a_component_that_came_back_is_released_whatever_the_removals_say() {
        let held = inventory(&[("web", 2)]);
        assert_eq!(
            outcome(&release(&[("shop", &["web"])], &[("shop", "web")]), &["shop", "web"], &held),
            (0, 0, 0)
        );
    }

    #[test]
    fn a_namespace_goes_only_after_everything_in_it() {
        let over = release(&[], &[("shop", "web")]);
        assert_eq!(outcome(&over, &[], &inventory(&[("web", 1)])), (1, 0, 0));
        assert_eq!(outcome(&over, &[], &inventory(&[])), (0, 1, 0));
        assert_eq!(
            outcome(&release(&[], &[]), &[], &inventory(&[])),
            (0, 1, 0),
            "the removals were done before"
        );
        let mut shared = release(&[("other", &["web"])], &[]);
        shared.order[0].namespace = "shop".into();
        assert_eq!(outcome(&shared, &[], &inventory(&[])), (0, 0, 0), "another application lives in it");
    }

    #[test]
    fn annotations_and_a_lost_label_keep_an_object() {
        let live = |labels: Value, annotations: Value| json!({"metadata": {"labels": labels, "annotations": annotations}});
        let ours = json!({"app.kubernetes.io/managed-by": "qonnect"});
        assert_eq!(kept_by_itself(&live(ours.clone(), json!(null))), None);
        assert!(kept_by_itself(&live(json!({}), json!({}))).is_some());
        for annotations in [
            json!({"qonnect.io/prune": "disabled"}),
            json!({"kustomize.toolkit.fluxcd.io/prune": "disabled"}),
            json!({"argocd.argoproj.io/sync-options": "Validate=false, Prune=false"}),
        ] {
            assert!(kept_by_itself(&live(ours.clone(), annotations)).is_some());
        }
    }

    #[test]
    fn what_kubernetes_puts_into_a_namespace_is_not_foreign() {
        let none = json!({});
        assert!(!is_foreign(&id("ServiceAccount", "a", "default"), &none));
        assert!(!is_foreign(&id("ConfigMap", "a", "kube-root-ca.crt"), &none));
        assert!(!is_foreign(&id("Pod", "a", "x"), &json!({"ownerReferences": [{"kind": "ReplicaSet"}]})));
        assert!(is_foreign(&id("ServiceAccount", "a", "robot"), &none));
        assert!(is_foreign(&id("Pod", "a", "x"), &none));
        assert!(is_foreign(&id("Secret", "a", "password"), &none));
    }
}
