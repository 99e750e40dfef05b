//! The kinds that a cluster serves: those that are built in, and those that CustomResourceDefinitions add.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::fields::{self, Shape};

/// One resource of the API, in all versions that it is served in.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) group: String,
    /// The first one is preferred, and what objects are stored in.
    pub(super) versions: Vec<Version>,
    pub(super) plural: String,
    pub(super) singular: String,
    pub(super) kind: String,
    pub(super) list_kind: String,
    pub(super) namespaced: bool,
    pub(super) short_names: Vec<String>,
    pub(super) categories: Vec<String>,
    /// Made by a CustomResourceDefinition.
    pub(super) custom: bool,
    /// Counts the changes of what is desired in `metadata.generation`.
    pub(super) generation: bool,
}

#[derive(Debug)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) status: bool,
    pub(super) scale: bool,
}

/// What names a collection: `deployments.apps`.
pub(super) type KindId = Arc<str>;

impl Kind {
    /// `deployments.apps`, or `pods` in the core group.
    pub(super) fn qualified(&self) -> String {
        match self.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    pub(super) fn api_version(&self, version: &str) -> String {
        match self.group.as_str() {
            "" => version.into(),
            group => format!("{group}/{version}"),
        }
    }

    pub(super) fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// What objects are stored in.
    pub(super) fn storage(&self) -> &Version {
        self.versions.first().expect("a kind is served in one version at least")
    }

    pub(super) fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

const NAMESPACED: u8 = 1;
const STATUS: u8 = 2;
const SCALE: u8 = 4;
const GENERATION: u8 = 8;
const ALL: u8 = 16;
const WORKLOAD: u8 = NAMESPACED | STATUS | SCALE | GENERATION | ALL;

/// Group, version, plural, kind, short names, properties.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, u8);

#[rustfmt::skip]
const BUILTIN: &[Row] = &[
    ("", "v1", "configmaps", "ConfigMap", "cm", NAMESPACED),
    ("", "v1", "endpoints", "Endpoints", "ep", NAMESPACED),
    ("", "v1", "events", "Event", "ev", NAMESPACED),
    ("", "v1", "limitranges", "LimitRange", "limits", NAMESPACED),
    ("", "v1", "namespaces", "Namespace", "ns", STATUS),
    ("", "v1", "nodes", "Node", "no", STATUS),
    ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", "pvc", NAMESPACED | STATUS),
    ("", "v1", "persistentvolumes", "PersistentVolume", "pv", STATUS),
    ("", "v1", "pods", "Pod", "po", NAMESPACED | STATUS | ALL),
    ("", "v1", "podtemplates", "PodTemplate", "", NAMESPACED),
    ("", "v1", "resourcequotas", "ResourceQuota", "quota", NAMESPACED | STATUS),
    ("", "v1", "secrets", "Secret", "", NAMESPACED),
    ("", "v1", "serviceaccounts", "ServiceAccount", "sa", NAMESPACED),
    ("", "v1", "services", "Service", "svc", NAMESPACED | STATUS | ALL),
    ("admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", "", GENERATION),
    ("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", "", GENERATION),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", "crd crds", STATUS | GENERATION),
    ("apps", "v1", "controllerrevisions", "ControllerRevision", "", NAMESPACED),
    ("apps", "v1", "daemonsets", "DaemonSet", "ds", NAMESPACED | STATUS | GENERATION | ALL),
    ("apps", "v1", "deployments", "Deployment", "deploy", WORKLOAD),
    ("apps", "v1", "replicasets", "ReplicaSet", "rs", WORKLOAD),
    ("apps", "v1", "statefulsets", "StatefulSet", "sts", WORKLOAD),
    ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", NAMESPACED | STATUS | ALL),
    ("batch", "v1", "cronjobs", "CronJob", "cj", NAMESPACED | STATUS | GENERATION | ALL),
    ("batch", "v1", "jobs", "Job", "", NAMESPACED | STATUS | GENERATION | ALL),
    ("coordination.k8s.io", "v1", "leases", "Lease", "", NAMESPACED),
    ("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", "", NAMESPACED | GENERATION),
    ("networking.k8s.io", "v1", "ingressclasses", "IngressClass", "", GENERATION),
    ("networking.k8s.io", "v1", "ingresses", "Ingress", "ing", NAMESPACED | STATUS | GENERATION),
    ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", "netpol", NAMESPACED | GENERATION),
    ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "pdb", NAMESPACED | STATUS | GENERATION),
    ("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", "", 0),
    ("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", "", 0),
    ("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", "", NAMESPACED),
    ("rbac.authorization.k8s.io", "v1", "roles", "Role", "", NAMESPACED),
    ("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", "pc", GENERATION),
    ("storage.k8s.io", "v1", "storageclasses", "StorageClass", "sc", 0),
];

/// The kinds of one cluster.
#[derive(Debug)]
pub(super) struct Kinds {
    by_id: BTreeMap<KindId, Arc<Kind>>,
}

impl Kinds {
    pub(super) fn builtin() -> Self {
        let mut kinds = Self { by_id: BTreeMap::new() };
        for &(group, version, plural, kind, short, flags) in BUILTIN {
            let has = |flag| flags & flag != 0;
            let shape = fields::builtin(group, kind);
            kinds.insert(Kind {
                group: group.into(),
                versions: vec![Version {
                    name: version.into(),
                    shape,
                    status: has(STATUS),
                    scale: has(SCALE),
                }],
                plural: plural.into(),
                singular: kind.to_lowercase(),
                kind: kind.into(),
                list_kind: format!("{kind}List"),
                namespaced: has(NAMESPACED),
                short_names: short.split_whitespace().map(Into::into).collect(),
                categories: has(ALL).then(|| "all".into()).into_iter().collect(),
                custom: false,
                generation: has(GENERATION),
            });
        }
        kinds
    }

    fn insert(&mut self, kind: Kind) {
        self.by_id.insert(kind.qualified().into(), Arc::new(kind));
    }

    pub(super) fn get(&self, id: &str) -> Option<&Arc<Kind>> {
        self.by_id.get(id)
    }

    /// The shared name of a kind that exists.
    pub(super) fn id(&self, id: &str) -> Option<KindId> {
        self.by_id.get_key_value(id).map(|(id, _)| id.clone())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&KindId, &Arc<Kind>)> {
        self.by_id.iter()
    }

    /// Serves what an established CustomResourceDefinition declares.
    pub(super) fn serve(&mut self, definition: &Value) {
        self.insert(custom(&definition["spec"]));
    }

    /// Stops serving a custom kind.
    pub(super) fn withdraw(&mut self, id: &str) {
        if self.by_id.get(id).is_some_and(|kind| kind.custom) {
            self.by_id.remove(id);
        }
    }
}

fn custom(spec: &Value) -> Kind {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect();
    let names = &spec["names"];
    let kind = text(&names["kind"]);
    let or = |value: &Value, default: String| value.as_str().map_or(default, Into::into);
    let served =
        spec["versions"].as_array().into_iter().flatten().filter(|version| version["served"] == true);
    let mut declared: Vec<&Value> = served.collect();
    declared.sort_by_key(|version| version["storage"] != true);
    let version = |version: &&Value| Version {
        name: text(&version["name"]),
        shape: fields::custom(&version["schema"]["openAPIV3Schema"]),
        status: version["subresources"].get("status").is_some(),
        scale: version["subresources"].get("scale").is_some(),
    };
    Kind {
        group: text(&spec["group"]),
        versions: declared.iter().map(version).collect(),
        plural: text(&names["plural"]),
        singular: or(&names["singular"], kind.to_lowercase()),
        list_kind: or(&names["listKind"], format!("{kind}List")),
        namespaced: spec["scope"] == "Namespaced",
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        custom: true,
        generation: true,
        kind,
    }
}
