//! Components on several clusters at once: what their parts are, and where they go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_core::decision::{Deployed, Input, Rendered, decide as decide_draft};
use qonnect_core::placement::{Plan, Planner, Touched, plan};
use qonnect_schema::Epoch;
use qonnect_schema::manifest::Manifest;
use qonnect_schema::revision::Revision;
use serde_json::{Value, json};

use crate::scenario::{decide, world};

const FLEET: &str = "
        clusters:
          a: {tier: fog, region: north, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
          b: {tier: fog, region: north, defaults: {price: 2}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
          c: {tier: fog, region: south, defaults: {price: 3}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
          d: {tier: edge, region: south, defaults: {price: 0.1}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
";

fn shop(components: &str, rest: &str) -> String {
    let components: String = components.lines().map(|line| format!("              {line}\n")).collect();
    format!(
        "{FLEET}        apps:
          shop:
            objectives: {{cost: 1}}
            components:
{components}{rest}"
    )
}

/// Where each part is, and how many replicas it has.
fn parts(revision: &Revision, plan: &Plan) -> String {
    let divided = plan.divided(revision);
    let manifests = &divided.applications["shop"].manifests;
    let each = plan.applications["shop"].components.iter().map(|(part, placed)| {
        let replicas = manifests[part][0].object.pointer("/spec/replicas").and_then(Value::as_u64).unwrap();
        format!("{part} x {replicas}: {}", placed.cluster.as_deref().unwrap_or("nowhere"))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn placed(scenario: &str) -> String {
    let (revision, snapshot) = world(scenario);
    parts(&revision, &plan(&revision, &snapshot))
}

#[test]
fn a_spread_takes_the_best_cluster_of_as_many_regions_as_asked_for() {
    let text = decide(&shop(
        "- {name: web, manifests: [w], tiers: [fog], spread: {by: region, min: 2}}",
        "        pods: {shop/web: 2 x 1 1Gi}\n",
    ));
    assert_eq!(
        text,
        "\
shop/web: a
  b: +0.250
  c: Separation: must be apart from web.2, which is here
  d: Tier: wants tier fog, is edge
shop/web.2: c
  a: Separation: must be apart from web, which is here
  b: Separation: must be apart from web by region, which is north here and on a
  d: Tier: wants tier fog, is edge
"
    );
}

#[test]
fn a_spread_by_a_label_that_too_few_clusters_have_leaves_a_part_out() {
    let text = decide(&shop(
        "- {name: web, manifests: [w], spread: {by: rack, min: 2}}",
        "        pods: {shop/web: 2 x 1 1Gi}\n",
    ));
    assert!(text.contains("shop/web.2: nowhere\n"), "{text}");
    assert!(text.contains("a: Separation: must be apart from web by rack, which neither"), "{text}");
}

#[test]
fn replicas_are_divided_by_weight_over_different_clusters() {
    let shares = |replicas: &str| {
        placed(&shop(
            &format!("- {{name: web, manifests: [w], tiers: [fog], replicas: {replicas}}}"),
            "        pods: {shop/web: 6 x 500m 1Gi}\n",
        ))
    };
    assert_eq!(
        shares("{division: weighted, weights: [3, 1]}"),
        "web x 4: a, web.2 x 2: b",
        "one for each, then by weight"
    );
    assert_eq!(shares("{division: weighted, clusters: 3}"), "web x 2: a, web.2 x 2: b, web.3 x 2: c");
}

#[test]
fn on_all_clusters_each_has_all_replicas() {
    let all = "- {name: web, manifests: [w], tiers: [fog], replicas: {division: all}}";
    let pods = "        pods: {shop/web: 2 x 1 1Gi}\n";
    assert_eq!(placed(&shop(all, pods)), "web.a x 2: a, web.b x 2: b, web.c x 2: c");
    let drained = shop(all, pods).replace("b: {tier: fog,", "b: {tier: fog, drain: true,");
    assert_eq!(placed(&drained), "web.a x 2: a, web.c x 2: c", "a drained cluster is left");
    let lost = format!(
        "{}        states: {{c: {{status: Lost, since: 2026-06-01T11:00:00Z}}}}\n        runs: {{shop/web.c: c}}\n",
        shop(all, pods)
    );
    assert!(placed(&lost).ends_with("web.c x 2: c"), "a silent one is not forgotten: {}", placed(&lost));
}

#[test]
fn what_is_packed_takes_as_few_clusters_as_have_room() {
    let packed = |replicas: u32| {
        placed(&shop(
            "- {name: web, manifests: [w], tiers: [fog], replicas: {division: packed}}",
            &format!("        pods: {{shop/web: {replicas} x 1 1Gi}}\n"),
        ))
    };
    assert_eq!(packed(4), "web x 4: a");
    assert_eq!(packed(5), "web x 3: a, web.2 x 2: b");
    assert_eq!(packed(12), "web x 4: a, web.2 x 4: b, web.3 x 4: c");
    assert!(packed(13).contains("nowhere"), "there is no room for it anywhere: {}", packed(13));
}

#[test]
fn what_is_packed_stays_as_it_is_divided_until_it_is_changed() {
    let two = "        pods: {shop/web: 4 x 1 1Gi}\n        runs: {shop/web: a, shop/web.2: b}\n";
    let packed = "- {name: web, manifests: [w], tiers: [fog], replicas: {division: packed}}";
    assert_eq!(placed(&shop(packed, two)), "web x 2: a, web.2 x 2: b");
    let one = "- {name: web, manifests: [w], tiers: [fog], replicas: {division: packed, clusters: 1}}";
    assert_eq!(placed(&shop(one, two)), "web x 4: a");
}

#[test]
fn a_part_never_goes_where_another_has_not_left() {
    let text = decide(&shop(
        "- {name: web, manifests: [w], tiers: [fog], spread: {min: 2}}",
        "        pods: {shop/web: 2 x 1 1Gi}\n        runs: {shop/web: c <- a, shop/web.2: c <- b}\n",
    ));
    assert!(text.contains("a: Separation: web, which has the same objects, has not left it yet\n"), "{text}");
}

#[test]
fn callers_and_callees_that_are_divided_come_in_pairs() {
    let scenario = shop(
        "- {name: web, manifests: [w], tiers: [fog], spread: {by: region, min: 2}, dependsOn: [{component: api, maxLatency: 1ms}]}
- {name: api, manifests: [w], tiers: [fog], spread: {by: region, min: 2}}",
        "        pods: {shop/web: 2 x 500m 1Gi, shop/api: 2 x 500m 1Gi}\n",
    );
    assert_eq!(placed(&scenario), "api x 1: a, api.2 x 1: c, web x 1: a, web.2 x 1: c");
}

#[test]
fn who_needs_what_is_on_all_clusters_at_once_goes_where_it_is() {
    let text = decide(&shop(
        "- {name: web, manifests: [w], dependsOn: [{component: cache, maxLatency: 1ms}]}
- {name: cache, manifests: [w], tiers: [fog], replicas: {division: all}}",
        "",
    ));
    assert!(text.contains("shop/web: a\n"), "{text}");
    assert!(
        text.contains("  d: Selector: wants one of a, b, c in label qonnect.io/cluster, found d\n"),
        "{text}"
    );
}

#[test]
fn a_kept_planner_divides_as_a_new_one_does() {
    let components = "- {name: web, manifests: [w], tiers: [fog], replicas: {division: all}}
- {name: api, manifests: [w], tiers: [fog], replicas: {division: packed}}";
    let pods = "        pods: {shop/web: 1 x 1 1Gi, shop/api: 3 x 1 1Gi}\n";
    let (mut revision, snapshot) = world(&shop(components, pods));
    let mut planner = Planner::new(&revision, &snapshot);
    let before = planner.plan();
    assert_eq!(parts(&revision, &before), "api x 3: a, web.a x 1: a, web.b x 1: b, web.c x 1: c");

    let change = |planner: &mut Planner, revision: &Revision, cluster: &str| {
        let touched = Touched { clusters: [cluster.to_owned()].into(), ..Touched::default() };
        drop(planner.replan(revision, &snapshot, &touched));
        (parts(revision, &planner.plan()), parts(revision, &plan(revision, &snapshot)))
    };
    revision.clusters.get_mut("c").unwrap().spec.drain = true;
    let (kept, new) = change(&mut planner, &revision, "c");
    assert_eq!(kept, new);
    assert!(!kept.contains("web.c"), "{kept}");
    revision.clusters.get_mut("d").unwrap().spec.tier = "fog".into();
    let (kept, new) = change(&mut planner, &revision, "d");
    assert!(kept.contains("web.d x 1: d") && new.contains("web.d x 1: d"), "{kept}; {new}");
}

#[test]
fn each_part_is_rendered_with_its_share_and_its_own_callee() {
    let (mut revision, snapshot) = world(&shop(
        "- {name: web, manifests: [w], tiers: [fog], spread: {by: region, min: 2}, dependsOn: [{component: api}]}
- {name: api, manifests: [w], tiers: [fog], spread: {by: region, min: 2}, expose: {service: api, nodePort: 30080}}
- {name: log, manifests: [w], tiers: [fog], replicas: {division: all}}
- {name: top, manifests: [w], tiers: [edge], dependsOn: [{component: log}]}",
        "        pods: {shop/web: 3 x 500m 1Gi, shop/api: 2 x 500m 1Gi}\n",
    ));
    let source = Arc::make_mut(revision.applications.get_mut("shop").unwrap());
    for (component, refers) in [("web", "${component.api.host}"), ("top", "${component.log.host}")] {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": component},
                            "data": {"host": refers}});
        let map = Manifest { path: "map.yaml".into(), document: 0, object };
        Arc::make_mut(&mut source.manifests).get_mut(component).unwrap().push(map);
    }
    let planned = plan(&revision, &snapshot);
    let input = Input {
        revision: &revision,
        frozen: &BTreeSet::new(),
        plan: &planned,
        snapshot: &snapshot,
        releases: &BTreeMap::new(),
        deployed: &Deployed::default(),
        epoch: Epoch { era: 0, term: 1, node: 1 },
        group: "g",
        withheld: &BTreeSet::new(),
    };
    let files = decide_draft(&input, &mut Rendered::default()).unwrap().files;
    let file = |path: &str| String::from_utf8(files[path].as_ref().unwrap().to_vec()).unwrap();
    for (path, replicas) in [
        ("clusters/a/shop/web/00-deployment-web.yaml", "replicas: 2"),
        ("clusters/c/shop/web.2/00-deployment-web.yaml", "replicas: 1"),
    ] {
        assert!(file(path).contains(replicas), "{path}: {}", file(path));
    }
    assert!(file("clusters/c/shop/web.2/00-deployment-web.yaml").contains("qonnect.io/component: web.2"));
    // The callee of each part is the part beside it; what calls what is on all clusters from elsewhere has the name.
    assert!(file("clusters/a/shop/web/01-configmap-web.yaml").contains("host: api\n"));
    assert!(file("clusters/c/shop/web.2/01-configmap-web.yaml").contains("host: api\n"));
    assert!(file("clusters/d/shop/top/01-configmap-top.yaml").contains("host: log\n"));
    for cluster in ["a", "b", "c"] {
        assert!(files.contains_key(&format!("clusters/{cluster}/shop/log.{cluster}/00-deployment-log.yaml")));
    }
}
