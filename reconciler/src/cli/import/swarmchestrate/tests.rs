use qonnect_schema::tree::{Entry, Tree};
use qonnect_schema::validate;
use serde_json::json;

use super::*;

const APPLICATION: &str = "
apiVersion: swarmchestrate.tu-berlin.de/v1
kind: Application
metadata:
  name: shop
  labels: {team: sales}
  qos: {energy: 1.0, pricing: 0.5, performance: 0.0}
";

const CLOUD: &str = "
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}], selector: {app: web}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: example.org/web:1
          env:
            - {name: ORDERS_HOST, valueFrom: {configMapKeyRef: {name: shop, key: ORDERS_HOST}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {ORDERS_HOST: '[FOG_CLUSTER_IP]', ORDERS_PORT: 80/shop/orders, STOCK_HOST: '[FOG_CLUSTER_IP]', STOCK_PORT: 80/shop/stock/all}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
";

const FOG: &str = "
{apiVersion: v1, kind: Service, metadata: {name: orders}, spec: {ports: [{port: 8080}], selector: {app: orders}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders-v1, labels: {team: orders}}
spec:
  selector: {matchLabels: {app: orders}}
  template:
    metadata: {labels: {app: orders}}
    spec:
      containers:
        - {name: orders, image: 'example.org/orders:1', envFrom: [{configMapRef: {name: shop}}], resources: {requests: {cpu: 1, memory: 1Gi}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: shop}, data: {LEVEL: debug}}
---
{apiVersion: v1, kind: Service, metadata: {name: stock}, spec: {ports: [{port: 9090}], selector: {app: stock}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: stock-v1}
spec:
  selector: {matchLabels: {app: stock}}
  template:
    metadata: {labels: {app: stock}}
    spec:
      containers:
        - {name: stock, image: 'example.org/stock:1', resources: {requests: {cpu: 1, memory: 1Gi}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
  annotations: {nginx.ingress.kubernetes.io/rewrite-target: /$2}
spec:
  rules:
    - http:
        paths:
          - {path: /shop/orders(/|$)(.*), pathType: ImplementationSpecific, backend: {service: {name: orders, port: {number: 8080}}}}
          - {path: /shop/stock(/|$)(.*), pathType: ImplementationSpecific, backend: {service: {name: stock, port: {number: 9090}}}}
";

fn source(file: &str, text: &str) -> Source {
    Source { file: file.into(), bytes: text.into() }
}

fn shop(cloud: &str) -> anyhow::Result<Imported> {
    let tiers = [("cloud", source("web.yaml", cloud)), ("fog", source("back.yaml", FOG))];
    import(&source("application.yaml", APPLICATION), &tiers, &BTreeSet::from([30_000]))
}

fn objects(imported: &Imported, file: &str) -> Vec<Value> {
    source(file, &imported.files[file]).documents(&Limits::DEFAULT).unwrap()
}

#[test]
fn each_service_becomes_a_component_that_its_callers_name() {
    let shop = shop(CLOUD).unwrap();
    assert_eq!(
        shop.files.keys().collect::<Vec<_>>(),
        ["application.yaml", "orders.yaml", "stock.yaml", "web.yaml"]
    );
    let application: Application = yaml::from_str(&shop.files["application.yaml"]).unwrap();
    let spec = &application.spec;
    assert_eq!((spec.objectives.energy, spec.objectives.cost, spec.objectives.performance), (1.0, 0.5, 0.0));
    let components: Vec<_> = spec
        .components
        .iter()
        .map(|one| {
            let calls: Vec<_> = one.depends_on.iter().map(|on| on.component.as_str()).collect();
            (
                one.name.as_str(),
                one.tiers[0].as_str(),
                calls,
                one.expose.as_ref().map(|expose| expose.node_port),
            )
        })
        .collect();
    assert_eq!(
        components,
        [
            ("web", "cloud", vec!["orders", "stock"], None),
            ("orders", "fog", vec![], Some(30_001)),
            ("stock", "fog", vec![], Some(30_002)),
        ]
    );
    let web = objects(&shop, "web.yaml");
    assert_eq!(web.len(), 3, "the Ingress between the tiers has become node ports");
    assert_eq!(
        web[2]["data"],
        json!({
            "ORDERS_HOST": "${component.orders.host}",
            "ORDERS_PORT": "${component.orders.port}",
            "STOCK_HOST": "${component.stock.host}",
            "STOCK_PORT": "${component.stock.port}/all",
        })
    );
    assert_eq!(shop.notes.len(), 1, "{:?}", shop.notes);
    assert!(shop.notes[0].contains("web requests no CPU"), "{:?}", shop.notes);
}

#[test]
fn what_had_one_name_in_two_tiers_has_two() {
    let orders = objects(&shop(CLOUD).unwrap(), "orders.yaml");
    assert_eq!(orders[2]["metadata"]["name"], "shop-orders");
    let reads = orders[1].pointer("/spec/template/spec/containers/0/envFrom/0/configMapRef/name");
    assert_eq!(reads.unwrap(), "shop-orders");
    assert_eq!(
        orders[1]["metadata"]["labels"],
        json!({"team": "orders"}),
        "what an object says itself stays"
    );
    assert_eq!(orders[0]["metadata"]["labels"], json!({"team": "sales"}));
}

#[test]
fn it_has_no_fault() {
    let shop = shop(CLOUD).unwrap();
    let cluster = |tier| {
        format!(
            "apiVersion: qonnect.io/v1alpha1\nkind: Cluster\nmetadata: {{name: {tier}}}\nspec: {{tier: {tier}, ingress: {{address: {tier}.example.org}}}}\n"
        )
    };
    let mut tree: Tree =
        ["cloud", "fog"].map(|tier| (format!("clusters/{tier}.yaml"), Entry::file(cluster(tier)))).into();
    tree.extend(
        shop.files.iter().map(|(file, text)| (format!("apps/shop/{file}"), Entry::file(text.clone()))),
    );
    let findings = validate::repository(&tree, "", jiff::Timestamp::UNIX_EPOCH).findings;
    assert_eq!(findings, []);
}

#[test]
fn an_address_that_nothing_explains_is_left_to_a_person() {
    let cloud = CLOUD.replace("ORDERS_PORT: 80/shop/orders", "ORDERS_PORT: 80/elsewhere");
    let shop = shop(&cloud).unwrap();
    assert!(
        shop.notes
            .iter()
            .any(|note| note.contains("`ORDERS_HOST` is the address of a cluster in the tier fog")),
        "{:?}",
        shop.notes
    );
    assert_eq!(objects(&shop, "web.yaml")[2]["data"]["ORDERS_HOST"], "[FOG_CLUSTER_IP]");
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    let error = |application: &str| {
        let tiers = [("fog", source("back.yaml", FOG))];
        let result = import(&source("application.yaml", application), &tiers, &BTreeSet::new());
        result.err().unwrap().to_string()
    };
    assert_eq!(
        error(&APPLICATION.replace("energy: 1.0", "energy: 7")),
        "application.yaml: `qos.energy` is 7, not a number from 0 to 1"
    );
    assert_eq!(
        error(&APPLICATION.replace("kind: Application", "kind: Job")),
        "application.yaml is of kind \"Job\", not Application"
    );
    let outside = error(&APPLICATION.replace("name: shop", "name: ../shop"));
    assert!(outside.starts_with("`../shop` cannot be the name"), "{outside}");
    assert!(
        error(&APPLICATION.replace("name: shop", "name: [")).starts_with("application.yaml:"),
        "with its line"
    );
}

#[test]
fn weights_that_the_original_ignores_count_as_one_each() {
    let application = APPLICATION.replace("energy: 1.0, pricing: 0.5", "energy: 0.05, speed: 1");
    let tiers = [("fog", source("back.yaml", FOG))];
    let shop = import(&source("application.yaml", &application), &tiers, &BTreeSet::new()).unwrap();
    let application: Application = yaml::from_str(&shop.files["application.yaml"]).unwrap();
    assert_eq!((application.spec.objectives.energy, application.spec.objectives.performance), (1.0, 1.0));
    assert_eq!(shop.notes.len(), 2, "{:?}", shop.notes);
}
