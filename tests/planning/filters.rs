//! One refusal each: which filter, and by how much.

use crate::scenario::decide;

#[test]
fn a_component_runs_only_in_its_tiers() {
    let plan = decide(
        "
        clusters:
          a: {tier: cloud, nodes: [{name: a, cpu: 4, memory: 8Gi}]}
          b: {tier: fog, nodes: [{name: b, cpu: 4, memory: 8Gi}]}
          c: {tier: edge, nodes: [{name: c, cpu: 4, memory: 8Gi}]}
        apps:
          shop: {objectives: {cost: 1}, components: [{name: web, manifests: [w], tiers: [fog, edge]}]}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/web: b
  c: +0.000
  a: Tier: wants tier fog or edge, is cloud
"
    );
}

#[test]
fn a_selector_reads_labels_and_those_that_every_cluster_has() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, region: north, nodes: [{name: a, cpu: 4, memory: 8Gi}]}
          b: {tier: fog, region: north, nodes: [{name: b, cpu: 4, memory: 8Gi}]}
          c: {tier: fog, region: south, nodes: [{name: c, cpu: 4, memory: 8Gi}]}
        labels: {a: {disk: hdd}, b: {disk: ssd}, c: {disk: ssd}}
        apps:
          shop:
            objectives: {cost: 1}
            components:
              - name: web
                manifests: [w]
                clusterSelector:
                  matchLabels: {disk: ssd}
                  matchExpressions: [{key: qonnect.io/region, operator: NotIn, values: [south]}]
        ",
    );
    assert_eq!(
        plan,
        "\
shop/web: b
  a: Selector: wants ssd in label disk, found hdd
  c: Selector: wants none of south in label qonnect.io/region, found south
"
    );
}

#[test]
fn a_taint_refuses_what_does_not_tolerate_it() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, taints: [{key: gpu, value: a100, effect: NoSchedule}], nodes: [{name: a, cpu: 4, memory: 8Gi}]}
          b: {tier: fog, taints: [{key: spot, effect: NoExecute}], nodes: [{name: b, cpu: 4, memory: 8Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components: [{name: web, manifests: [w], tolerations: [{key: spot, operator: Exists}]}]
        ",
    );
    assert_eq!(
        plan,
        "\
shop/web: b
  a: Taint: does not tolerate the taint gpu=a100:NoSchedule
"
    );
}

#[test]
fn what_runs_survives_a_taint_of_no_schedule_but_not_of_no_execute() {
    let plan = |effect: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, taints: [{{key: k, effect: {effect}}}], nodes: [{{name: a, cpu: 4, memory: 8Gi}}]}}
              b: {{tier: fog, nodes: [{{name: b, cpu: 4, memory: 8Gi}}]}}
            apps:
              shop: {{objectives: {{cost: 1}}, components: [{{name: web, manifests: [w]}}]}}
            runs: {{shop/web: a}}
            "
        ))
    };
    assert_eq!(plan("NoSchedule"), "shop/web: a\n  b: +0.050\n");
    assert_eq!(plan("NoExecute"), "shop/web: b\n  a: Taint: does not tolerate the taint k:NoExecute\n");
}

#[test]
fn residency_binds_by_component_and_by_application() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: a, cpu: 4, memory: 8Gi}]}
          b: {tier: fog, region: us, nodes: [{name: b, cpu: 4, memory: 8Gi}]}
          c: {tier: fog, region: de, nodes: [{name: c, cpu: 4, memory: 8Gi}]}
          d: {tier: fog, region: fr, nodes: [{name: d, cpu: 4, memory: 8Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components: [{name: web, manifests: [w], regions: [us, fr]}]
            constraints: {regions: [de, fr]}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/web: d
  a: Residency: must stay in us or fr, has no region
  b: Residency: must stay in de or fr, lies in us
  c: Residency: must stay in us or fr, lies in de
"
    );
}

#[test]
fn a_cordon_keeps_what_runs_and_lets_nothing_new_in() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, cordon: true, nodes: [{name: a, cpu: 4, memory: 8Gi}]}
          b: {tier: fog, nodes: [{name: b, cpu: 4, memory: 8Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components: [{name: old, manifests: [w]}, {name: new, manifests: [w]}]
        runs: {shop/old: a}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/new: b
  a: Cordon: is cordoned: nothing new comes here
shop/old: a
  b: +0.050
"
    );
}

#[test]
fn a_drain_moves_everything_away() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, drain: true, nodes: [{name: a, cpu: 4, memory: 8Gi}]}
          b: {tier: fog, nodes: [{name: b, cpu: 4, memory: 8Gi}]}
        apps:
          shop: {objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
        runs: {shop/web: a}
        ",
    );
    assert_eq!(plan, "shop/web: b\n  a: Cordon: is drained: everything moves away\n");
}

#[test]
fn nothing_new_comes_to_a_suspect_and_nothing_leaves_it_and_what_runs_on_a_lost_one_is_placed_elsewhere() {
    let plan = |status: &str, room: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, defaults: {{price: 1}}, nodes: [{{name: a, cpu: 4, memory: 8Gi}}]}}
              b: {{tier: fog, defaults: {{price: 9}}, nodes: [{{name: b, cpu: {room}, memory: 8Gi}}]}}
            apps:
              shop:
                objectives: {{cost: 1}}
                components: [{{name: old, manifests: [w]}}, {{name: new, manifests: [w]}}]
            states: {{a: {{status: {status}}}}}
            runs: {{shop/old: a}}
            "
        ))
    };
    assert_eq!(
        plan("Suspect", "4"),
        "\
shop/new: b
  a: Lease: is Suspect: nothing new comes here
shop/old: a
  b: Lease: runs on a, which is Suspect: it stays there for now
"
    );
    assert_eq!(
        plan("Lost", "4"),
        "\
shop/new: b
  a: Lease: is Lost: nothing can run here
shop/old: b
  a: Lease: is Lost: nothing can run here
"
    );
    // What ran comes first; what finds no room is new.
    assert_eq!(
        plan("Lost", "1"),
        "\
shop/new: nowhere
  a: Lease: is Lost: nothing can run here
  b: Capacity: needs 1 CPU on one node, 0 free on b
shop/old: b
  a: Lease: is Lost: nothing can run here
"
    );
    // Nothing is evicted without a target.
    assert_eq!(
        plan("Lost", "500m"),
        "\
shop/new: nowhere
  a: Lease: is Lost: nothing can run here
  b: Capacity: needs 1 CPU on one node, 0.5 free on b
shop/old: a
  a: Lease: is Lost: nothing can run here
  b: Capacity: needs 1 CPU on one node, 0.5 free on b
"
    );
}

#[test]
fn a_cluster_is_selected_by_its_fields_too() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, region: north, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
          b: {tier: fog, region: south, defaults: {price: 2}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
          c: {tier: fog, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components:
              - name: web
                manifests: [w]
                clusterSelector: {matchFields: [{key: spec.region, operator: In, values: [south]}]}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/web: b
  a: Selector: wants one of south in field spec.region, found north
  c: Selector: wants one of south in field spec.region, which is absent
"
    );
}

#[test]
fn a_fence_lets_nothing_in_and_nothing_stay() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, fenced: true, nodes: [{name: a, cpu: 4, memory: 8Gi}]}
          b: {tier: fog, nodes: [{name: b, cpu: 4, memory: 8Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components: [{name: old, manifests: [w]}, {name: new, manifests: [w]}]
        runs: {shop/old: a}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/new: b
  a: Cordon: is fenced: nothing runs here
shop/old: b
  a: Cordon: is fenced: nothing runs here
"
    );
}
