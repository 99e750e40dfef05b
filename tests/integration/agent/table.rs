//! The table of scenarios: one row an object that a release brings, and what the agent makes of it on a real API
//! server with controllers and played nodes.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use qonnect_schema::documents::snapshot::Health;
use qonnect_tests::control_plane::ControlPlane;
use qonnect_tests::kubelet::{Kubelets, MISSING_IMAGE, NodeSpec};
use serde_json::{Value, json};

use super::merge;
use super::world::{CONFIG_MAP, DEPLOYMENT, Wanted, World, config_map, deployment};

const CLAIM: &str = "PersistentVolumeClaim.v1.";

/// A component, the object that it consists of, and how it is reported: health, reason, a part of the message.
type Row = (&'static str, Value, Health, &'static str, &'static str);

fn object(version: &str, kind: &str, name: &str, rest: Value) -> Value {
    let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}});
    for (field, value) in rest.as_object().unwrap() {
        object[field] = value.clone();
    }
    object
}

fn pods(name: &str, image: &str, cpu: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}}, "spec": {"containers": [
        {"name": "main", "image": image, "resources": {"requests": {"cpu": cpu, "memory": "16Mi"}}}
    ]}})
}

fn selected(name: &str, rest: Value) -> Value {
    let mut spec =
        json!({"selector": {"matchLabels": {"app": name}}, "template": pods(name, "web:1", "10m")});
    for (field, value) in rest.as_object().unwrap() {
        spec[field] = value.clone();
    }
    json!({"spec": spec})
}

fn rows() -> Vec<Row> {
    use Health::{Ready, Reconciling, Stalled};
    let deployed = |name: &str, image: &str, cpu: &str| {
        let mut deployment = deployment(name, cpu);
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
        deployment
    };
    let role = json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]});
    let bound = json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "role"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot"}]});
    let claim =
        json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let port = |kind: &str| json!({"spec": {"type": kind, "selector": {"app": "x"}, "ports": [{"port": 80, "protocol": "TCP"}]}});
    let ingress = json!({"spec": {"rules": [{"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix",
        "backend": {"service": {"name": "service", "port": {"number": 80}}}}]}}]}});
    let scaler = json!({"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "deployment"}}});
    let job = |image: &str| {
        let mut template = pods("job", image, "10m");
        template["spec"]["restartPolicy"] = "Never".into();
        json!({"spec": {"template": template}})
    };
    let pod = pods("pod", "web:1", "10m");
    vec![
        // Every built-in kind that applications bring.
        ("config-map", config_map("config", "1"), Ready, "", ""),
        ("secret", object("v1", "Secret", "secret", json!({"stringData": {"password": "x"}})), Ready, "", ""),
        ("service", object("v1", "Service", "service", port("ClusterIP")), Ready, "", ""),
        ("node-port", object("v1", "Service", "node-port", port("NodePort")), Ready, "", ""),
        ("balancer", object("v1", "Service", "balancer", port("LoadBalancer")), Ready, "", ""),
        ("account", object("v1", "ServiceAccount", "robot", json!({})), Ready, "", ""),
        ("role", object("rbac.authorization.k8s.io/v1", "Role", "role", role), Ready, "", ""),
        ("binding", object("rbac.authorization.k8s.io/v1", "RoleBinding", "binding", bound), Ready, "", ""),
        (
            "quota",
            object("v1", "ResourceQuota", "quota", json!({"spec": {"hard": {"count/secrets": "9"}}})),
            Ready,
            "",
            "",
        ),
        (
            "limits",
            object(
                "v1",
                "LimitRange",
                "limits",
                json!({"spec": {"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "9Gi"}}]}}),
            ),
            Ready,
            "",
            "",
        ),
        (
            "endpoints",
            object(
                "v1",
                "Endpoints",
                "elsewhere",
                json!({"subsets": [{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}]}),
            ),
            Ready,
            "",
            "",
        ),
        (
            "policy",
            object("networking.k8s.io/v1", "NetworkPolicy", "policy", json!({"spec": {"podSelector": {}}})),
            Ready,
            "",
            "",
        ),
        ("ingress", object("networking.k8s.io/v1", "Ingress", "ingress", ingress), Ready, "", ""),
        ("scaler", object("autoscaling/v1", "HorizontalPodAutoscaler", "scaler", scaler), Ready, "", ""),
        ("pod", object("v1", "Pod", "pod", json!({"spec": pod["spec"]})), Ready, "", ""),
        ("deployment", deployed("deployment", "web:1", "10m"), Ready, "", ""),
        (
            "replica-set",
            object("apps/v1", "ReplicaSet", "replicas", selected("replicas", json!({}))),
            Ready,
            "",
            "",
        ),
        (
            "stateful-set",
            object(
                "apps/v1",
                "StatefulSet",
                "stateful",
                selected("stateful", json!({"serviceName": "service"})),
            ),
            Ready,
            "",
            "",
        ),
        (
            "daemon-set",
            object("apps/v1", "DaemonSet", "daemon", selected("daemon", json!({}))),
            Ready,
            "",
            "",
        ),
        (
            "nobody",
            object("apps/v1", "Deployment", "nobody", selected("nobody", json!({"replicas": 0}))),
            Ready,
            "",
            "",
        ),
        ("job", object("batch/v1", "Job", "job", job("web:1")), Ready, "", ""),
        // What a person has to know where it does not get ready.
        (
            "claim",
            object("v1", "PersistentVolumeClaim", "claim", claim.clone()),
            Reconciling,
            "NotBound",
            "no volume is bound",
        ),
        (
            "no-image",
            deployed("no-image", MISSING_IMAGE, "10m"),
            Reconciling,
            "ImagePullBackOff",
            "no such image",
        ),
        (
            "too-large",
            deployed("too-large", "web:1", "1000"),
            Reconciling,
            "Unschedulable",
            "Insufficient cpu",
        ),
        (
            "late-claim",
            object(
                "v1",
                "PersistentVolumeClaim",
                "late-claim",
                json!({"metadata": {"name": "late-claim", "annotations": {"qonnect.io/ready-within": "1s"}}, "spec": claim["spec"]}),
            ),
            Stalled,
            "NotReadyInTime",
            "it was not Ready within 1s: no volume is bound",
        ),
        (
            "late-image",
            {
                let mut late = deployed("late-image", MISSING_IMAGE, "10m");
                late["metadata"]["annotations"]["qonnect.io/ready-within"] = "1s".into();
                late
            },
            Stalled,
            "NotReadyInTime",
            "no such image",
        ),
        (
            "invalid",
            object("v1", "ConfigMap", "Not_A_Name", json!({"data": {}})),
            Stalled,
            "Invalid",
            "Not_A_Name",
        ),
        (
            "bad-field",
            object("apps/v1", "Deployment", "bad", selected("bad", json!({"replicas": -1}))),
            Stalled,
            "Invalid",
            "spec.replicas",
        ),
        (
            "bad-type",
            object("v1", "ConfigMap", "bad-type", json!({"data": {"key": {"not": "text"}}})),
            Stalled,
            "",
            "",
        ),
        (
            "no-port",
            object("v1", "Service", "no-port", json!({"spec": {"type": "ClusterIP"}})),
            Stalled,
            "Invalid",
            "spec.ports",
        ),
        (
            "unserved-kind",
            object("v1", "Toaster", "toaster", json!({})),
            Stalled,
            "NotServed",
            "serves no Toaster of v1",
        ),
        (
            "unserved-group",
            object("example.org/v9", "Robot", "robot", json!({})),
            Stalled,
            "NotServed",
            "serves no Robot of example.org/v9",
        ),
        (
            "wrong-selector",
            object(
                "apps/v1",
                "Deployment",
                "wrong",
                json!({"spec": {"selector": {"matchLabels": {"app": "other"}}, "template": pods("wrong", "web:1", "1m")}}),
            ),
            Stalled,
            "Invalid",
            "selector",
        ),
    ]
}

/// An object, what somebody does to it, and what must hold again; `None` deletes it.
type Meddling = (&'static str, &'static str, Option<Value>, &'static str, Value);

fn meddlings() -> Vec<Meddling> {
    vec![
        (CONFIG_MAP, "edited", Some(json!({"data": {"key": "2"}})), "/data/key", json!("1")),
        (CONFIG_MAP, "key-removed", Some(json!({"data": {"key": null}})), "/data/key", json!("1")),
        (
            CONFIG_MAP,
            "annotation-changed",
            Some(json!({"metadata": {"annotations": {"mine": "theirs"}}})),
            "/metadata/annotations/mine",
            json!("1"),
        ),
        (
            CONFIG_MAP,
            "label-removed",
            Some(json!({"metadata": {"labels": {"qonnect.io/component": null}}})),
            "/metadata/labels/qonnect.io~1component",
            json!("label-removed"),
        ),
        (
            CONFIG_MAP,
            "not-ours-any-more",
            Some(json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "somebody"}}})),
            "/metadata/labels/app.kubernetes.io~1managed-by",
            json!("qonnect"),
        ),
        (CONFIG_MAP, "deleted", None, "/data/key", json!("1")),
        (DEPLOYMENT, "scaled", Some(json!({"spec": {"replicas": 3}})), "/spec/replicas", json!(1)),
        (
            DEPLOYMENT,
            "image-changed",
            Some(
                json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "evil:1"}]}}}}),
            ),
            "/spec/template/spec/containers/0/image",
            json!("web:1"),
        ),
        (DEPLOYMENT, "deployment-deleted", None, "/spec/replicas", json!(1)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_applied_judged_kept_in_place_and_pruned() {
    let plane = ControlPlane::start("agent-table").await;
    let nodes = vec![NodeSpec::new("worker", "6", "6828Mi")];
    let _kubelets = Kubelets::start(&plane.kubeconfig_path(), nodes).await;
    let mut world = World::start(plane).await;
    world.start_agent();

    // All of them in one release: one that fails holds up no other.
    let mut wanted = Wanted::default();
    for (component, object, ..) in rows() {
        wanted.components.push(("shop", component, vec![object]));
    }
    for (kind, name, ..) in meddlings() {
        let object = match kind {
            DEPLOYMENT => deployment(name, "10m"),
            _ => {
                let mut map = config_map(name, "1");
                map["metadata"]["annotations"]["mine"] = "1".into();
                map
            }
        };
        wanted.components.push(("shop", name, vec![object]));
    }
    world.publish(&wanted);
    for (component, _, health, reason, message) in rows() {
        let status = match reason.is_empty() && health != Health::Ready {
            true => world.unhealthy(component, health).await,
            false => world.component(component, health, reason).await,
        };
        assert!(status.message.contains(message), "{component}: {}", status.message);
    }

    // Whatever somebody does is put right.
    for (_, name, ..) in meddlings() {
        world.component(name, Health::Ready, "").await;
    }
    for (kind, name, change, ..) in meddlings() {
        let params = PatchParams { field_manager: Some("somebody".into()), ..Default::default() };
        match change {
            Some(change) if kind == DEPLOYMENT => {
                drop(world.api(kind).patch(name, &params, &Patch::Strategic(change)).await.unwrap())
            }
            Some(change) => drop(world.api(kind).patch(name, &params, &Patch::Merge(change)).await.unwrap()),
            None => drop(world.api(kind).delete(name, &DeleteParams::background()).await.unwrap()),
        }
    }
    for (kind, name, _, pointer, value) in meddlings() {
        world
            .until(&format!("{name}: {pointer} is {value}"), async || {
                world.get(kind, name).await.is_some_and(|object| object.pointer(pointer) == Some(&value))
            })
            .await;
    }

    // And what the release removes is gone, namespace and all.
    let gone: Vec<(&str, &str)> =
        wanted.components.iter().map(|(app, component, _)| (*app, *component)).collect();
    world.publish(&Wanted { components: vec![], removals: gone });
    // Nobody plays the controller that lets claims go.
    for claim in ["claim", "late-claim"] {
        world
            .reported("the finalizer is named", |report| {
                let found = report.components.iter().find(|status| status.component == claim);
                let named =
                    found.is_some_and(|status| status.message.contains("kubernetes.io/pvc-protection"));
                named.then_some(()).ok_or(format!("{found:?}"))
            })
            .await;
        merge(&world, CLAIM, claim, json!({"metadata": {"finalizers": null}})).await;
    }
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    world.until("the namespace is gone", async || namespaces.get_opt("shop").await.unwrap().is_none()).await;
    world
        .reported("nothing left", |report| report.components.is_empty().then_some(()).ok_or("some".into()))
        .await;
}
