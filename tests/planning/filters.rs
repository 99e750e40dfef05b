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
fn a_cluster_that_has_never_registered_is_planned_by_what_it_declares() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: small, count: 3, cpu: 1, memory: 8Gi}, {name: large, cpu: 1500m, memory: 8Gi}]}
          b: {tier: fog, nodes: []}
          c: {tier: fog, nodes: [{name: c, cpu: 8, memory: 8Gi}]}
        apps:
          shop: {objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
        pods: {shop/web: 1 x 2 1Gi}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/web: c
  a: Capacity: needs 2 CPU on one node, 1.5 free on large
  b: Capacity: has no nodes
"
    );
}

#[test]
fn a_reported_node_counts_without_what_others_run_there() {
    let plan = decide(
        "
        clusters: {a: {tier: fog, nodes: [{name: declared, cpu: 64, memory: 64Gi}]}}
        apps:
          shop: {objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
        pods: {shop/web: 3 x 1 1Gi}
        states:
          a:
            status: Ready
            nodes:
              - name: n1
                ready: true
                allocatable: {cpu: 4, memory: 8Gi, pods: 110}
                foreign: {cpu: 2500m, memory: 1Gi, pods: 9}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/web: nowhere
  a: Capacity: has room for 1 of 3 pods: needs 1 CPU on one node, 0.5 free on n1
"
    );
}

#[test]
fn nodes_that_are_ill_or_closed_give_no_capacity() {
    let plan = decide(
        "
        clusters: {a: {tier: fog}, b: {tier: fog}}
        apps:
          shop: {objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
        states:
          a:
            status: Ready
            nodes: [{name: n1, ready: false, allocatable: {cpu: 4, memory: 8Gi, pods: 110}}]
          b:
            status: Ready
            nodes:
              - {name: n1, ready: true, unschedulable: true, allocatable: {cpu: 4, memory: 8Gi, pods: 110}}
              - {name: n2, ready: true, pressures: [DiskPressure], allocatable: {cpu: 4, memory: 8Gi, pods: 110}}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/web: nowhere
  a: Capacity: n1 is not ready
  b: Capacity: no node takes pods: n1 is unschedulable, and 1 more
"
    );
}

#[test]
fn pods_memory_and_a_daemon_on_every_node_are_capacity_too() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: a, cpu: 4, memory: 8Gi, pods: 1}]}
          b: {tier: fog, nodes: [{name: b, cpu: 4, memory: 1Gi}]}
          c: {tier: fog, nodes: [{name: c1, cpu: 4, memory: 8Gi}, {name: c2, cpu: 500m, memory: 8Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components: [{name: two, manifests: [w]}, {name: fat, manifests: [w]}, {name: every, manifests: [w]}]
        pods: {shop/two: 2 x 1 1Gi, shop/fat: 1 x 1 2Gi, shop/every: each x 1 512Mi}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/every: b
  a: +0.500
  c: Capacity: has room for 1 of 2 pods: needs 1 CPU on one node, 0.5 free on c2
shop/fat: c
  a: +0.750
  b: Capacity: needs 2Gi memory on one node, 512Mi free on b
shop/two: c
  a: Capacity: has room for 1 of 2 pods: needs 1 pod on one node, 0 free on a
  b: Capacity: needs 1Gi memory on one node, 512Mi free on b
"
    );
}

#[test]
fn an_extended_resource_is_counted_like_cpu_and_memory() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: a, cpu: 8, memory: 64Gi}]}
          b: {tier: fog, defaults: {price: 2}, nodes: [{name: b, cpu: 8, memory: 64Gi, extended: {nvidia.com/gpu: 2}}]}
          c: {tier: fog, defaults: {price: 3}, nodes: [{name: c, count: 2, cpu: 8, memory: 64Gi, extended: {nvidia.com/gpu: 1}}]}
        apps:
          shop:
            objectives: {cost: 1}
            components: [{name: one, manifests: [w]}, {name: two, manifests: [w]}, {name: web, manifests: [w]}]
        pods: {shop/one: 1 x 1 1Gi nvidia.com/gpu=2, shop/two: 1 x 1 1Gi nvidia.com/gpu=1}
        ",
    );
    // Two of two GPUs are the whole node.
    assert_eq!(
        plan,
        "\
shop/one: b
  a: Capacity: needs 2 nvidia.com/gpu on one node, 0 free on a
  c: Capacity: needs 2 nvidia.com/gpu on one node, 1 free on c-2
shop/two: c
  a: Capacity: needs 1 nvidia.com/gpu on one node, 0 free on a
  b: Capacity: needs 1 nvidia.com/gpu on one node, 0 free on b
shop/web: a
  b: +0.125
  c: +0.250
"
    );
}

#[test]
fn a_fifth_kind_of_extended_resource_is_refused() {
    let plan = decide(
        "
        clusters: {a: {tier: fog, nodes: [{name: a, cpu: 8, memory: 64Gi, extended: {x/a: 9, x/b: 9, x/c: 9, x/d: 9, x/e: 9}}]}}
        apps:
          shop: {objectives: {cost: 1}, components: [{name: one, manifests: [w]}, {name: two, manifests: [w]}]}
        pods: {shop/one: 1 x 1 1Gi x/a=1 x/b=1 x/c=1 x/d=1, shop/two: 1 x 1 1Gi x/e=1}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/one: a
shop/two: nowhere
  a: Capacity: all components together may ask for 4 kinds of extended resources, this asks for another
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
