use qonnect_schema::documents::application::{Component, Expose, Objectives};
use qonnect_schema::documents::cluster::{ClusterSpec, Ingress};
use qonnect_schema::manifest::Manifest;
use qonnect_schema::units::Span;
use qonnect_schema::{Application, ApplicationSpec};

use super::*;

fn cluster(name: &str) -> Cluster {
    Cluster::new(
        name,
        ClusterSpec {
            tier: "fog".into(),
            ingress: Some(Ingress { address: format!("{name}.example"), port: None }),
            ..Default::default()
        },
    )
}

fn written(name: &str, expose: Option<Expose>, objects: Vec<Value>) -> (ApplicationSource, Component) {
    let component: Component =
        serde_json::from_value(json!({"name": name, "manifests": ["all.yaml"]})).unwrap();
    let component = Component { expose, ..component };
    let manifest = |(document, object)| Manifest { path: "apps/shop/all.yaml".into(), document, object };
    let spec = ApplicationSpec {
        objectives: Objectives { energy: 1.0, ..Default::default() },
        components: vec![component.clone()],
        ..Default::default()
    };
    let source = ApplicationSource {
        commit: "c".into(),
        application: Application::new("shop", spec),
        manifests: BTreeMap::from([(name.into(), objects.into_iter().enumerate().map(manifest).collect())])
            .into(),
    };
    (source, component)
}

fn rendered(objects: Vec<Value>, expose: Option<Expose>) -> BTreeMap<String, Value> {
    let (source, component) = written("web", expose, objects);
    let endpoints = BTreeMap::from([
        ("db", Endpoint { host: "edge.example".into(), port: Some(30081) }),
        ("cache", Endpoint { host: "cache".into(), port: None }),
    ]);
    let context =
        Context { cluster: &cluster("fog"), source: &source, endpoints: &endpoints, cluster_scoped: &[] };
    let files = super::component(&component, &context);
    let read = |bytes: &[u8]| yaml::from_str(std::str::from_utf8(bytes).unwrap()).unwrap();
    files.into_iter().map(|(name, bytes)| (name, read(&bytes))).collect()
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "other"},
           "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": "web"}]}})
}

#[test]
fn files_keep_the_order_of_their_author_and_say_what_they_hold() {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                      "metadata": {"name": "system:Reader"}});
    let files = rendered(vec![service("web"), role], None);
    assert_eq!(
        files.keys().collect::<Vec<_>>(),
        ["00-service-web.yaml", "01-clusterrole-system-reader.yaml"]
    );
    assert_eq!(files["00-service-web.yaml"]["metadata"]["namespace"], "shop");
    assert_eq!(files["01-clusterrole-system-reader.yaml"]["metadata"].get("namespace"), None);
}

#[test]
fn objects_have_the_time_of_their_component_unless_they_say_otherwise() {
    let mut slow = service("slow");
    slow["metadata"]["annotations"]["qonnect.io/ready-within"] = "1h".into();
    let (source, component) = written("web", None, vec![service("web"), slow]);
    let component = Component { ready_within: Some(Span::from_secs(300)), ..component };
    let context = Context {
        cluster: &cluster("fog"),
        source: &source,
        endpoints: &BTreeMap::new(),
        cluster_scoped: &[],
    };
    let files = super::component(&component, &context);
    let texts: Vec<&str> = files.values().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect();
    assert!(texts[0].contains("qonnect.io/ready-within: 5m"), "{}", texts[0]);
    assert!(texts[1].contains("qonnect.io/ready-within: 1h"), "{}", texts[1]);
}

#[test]
fn objects_and_pods_carry_our_labels_and_selectors_still_match() {
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app.kubernetes.io/name": "mine", "qonnect.io/component": "no"}},
        "spec": {"selector": {"matchLabels": {"app.kubernetes.io/name": "mine"}},
                 "template": {"metadata": {"labels": {"app.kubernetes.io/name": "mine"}}}}});
    let files = rendered(vec![deployment], None);
    let object = &files["00-deployment-web.yaml"];
    assert_eq!(
        object["metadata"]["labels"],
        json!({"app.kubernetes.io/name": "mine", "app.kubernetes.io/part-of": "shop",
               "app.kubernetes.io/managed-by": "qonnect",
               "qonnect.io/application": "shop", "qonnect.io/component": "web"})
    );
    assert_eq!(
        object["spec"]["template"]["metadata"]["labels"],
        json!({"app.kubernetes.io/name": "mine",
               "qonnect.io/application": "shop", "qonnect.io/component": "web"})
    );
}

#[test]
fn what_is_substituted_stays_one_string() {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {
        "url": "http://${component.db.host}:${component.db.port}/${cluster.tier}-${cluster.name}",
        "script": "echo $${HOME}", "port": "${component.db.port}", "open": "${component.cache.port}"}});
    let files = rendered(vec![map], None);
    let data = &files["00-configmap-m.yaml"]["data"];
    assert_eq!(data["url"], "http://edge.example:30081/fog-fog");
    assert_eq!(data["script"], "echo ${HOME}");
    assert_eq!(data["port"], "30081", "a string that looks like a number stays a string");
    assert_eq!(data["open"], "${component.cache.port}");
}

#[test]
fn an_exposed_service_gets_a_twin_on_its_node_port() {
    let expose = Expose { service: "web".into(), node_port: 30080 };
    let files = rendered(vec![service("web")], Some(expose));
    let twin = &files["01-service-web-qonnect.yaml"];
    assert_eq!(
        twin["spec"],
        json!({"type": "NodePort", "selector": {"app": "web"},
               "ports": [{"name": "http", "port": 80, "targetPort": "web", "nodePort": 30080}]})
    );
    assert_eq!(twin["metadata"]["labels"]["qonnect.io/component"], "web");
}

#[test]
fn a_component_is_reached_by_its_service_inside_and_by_its_node_port_outside() {
    let expose = Some(Expose { service: "web".into(), node_port: 30080 });
    let (source, web) = written("web", expose, vec![service("other"), service("web")]);
    let manifests = &source.manifests["web"];
    let inside = Endpoint { host: "web".into(), port: Some(80) };
    assert_eq!(endpoint(&web, manifests, None), inside);
    let outside = Endpoint { host: "edge.example".into(), port: Some(30080) };
    assert_eq!(endpoint(&web, manifests, Some(&cluster("edge"))), outside);
    let hidden = Cluster::new("edge", ClusterSpec::default());
    assert_eq!(endpoint(&web, manifests, Some(&hidden)), inside, "no way in from outside");
}

#[test]
fn a_namespace_that_applications_share_is_the_same_for_each() {
    let (source, _) = written("web", None, vec![]);
    let (name, bytes) = namespace(&source);
    assert_eq!(name, "namespace.yaml");
    let text = std::str::from_utf8(&bytes).unwrap();
    assert!(text.contains("name: shop") && !text.contains("qonnect.io/application"), "{text}");
}
