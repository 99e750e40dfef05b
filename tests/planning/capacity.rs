//! What fits on the nodes of a cluster, and by how much something does not.

use crate::scenario::decide;

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
