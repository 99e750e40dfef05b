//! Who gets room first where there is too little of it.

use crate::scenario::decide;

#[test]
fn what_matters_more_gets_room_first() {
    let plan = |priority: i32| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
            apps:
              batch: {{objectives: {{cost: 1}}, components: [{{name: job, manifests: [w]}}]}}
              shop: {{objectives: {{cost: 1}}, priority: {priority}, components: [{{name: web, manifests: [w]}}]}}
            pods: {{batch/job: 1 x 3 1Gi, shop/web: 1 x 2 1Gi}}
            "
        ))
    };
    assert_eq!(
        plan(10),
        "\
batch/job: nowhere
  a: Capacity: needs 3 CPU on one node, 2 free on n
shop/web: a
"
    );
    assert!(plan(-10).starts_with("batch/job: a\n"));
}

#[test]
fn nothing_that_runs_is_evicted_for_what_matters_more() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
        apps:
          batch: {objectives: {cost: 1}, priority: -5, components: [{name: job, manifests: [w]}]}
          shop: {objectives: {cost: 1}, priority: 5, components: [{name: web, manifests: [w]}]}
        pods: {batch/job: 1 x 3 1Gi, shop/web: 1 x 2 1Gi}
        runs: {batch/job: a}
        ",
    );
    assert_eq!(
        plan,
        "\
batch/job: a
shop/web: nowhere
  a: Capacity: needs 2 CPU on one node, 1 free on n
"
    );
}

#[test]
fn what_runs_and_matters_less_goes_elsewhere_and_is_waited_for() {
    let plan = |runs: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
              b: {{tier: edge, defaults: {{price: 9}}, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
            apps:
              batch: {{objectives: {{cost: 1}}, priority: -5, components: [{{name: job, manifests: [w]}}]}}
              shop: {{objectives: {{cost: 1}}, components: [{{name: web, manifests: [w], tiers: [fog]}}]}}
            pods: {{batch/job: 1 x 3 1Gi, shop/web: 1 x 2 1Gi}}
            runs: {{batch/job: {runs}}}
            "
        ))
    };
    let waits = "shop/web: nowhere\n  a: Capacity: needs 2 CPU on one node, 1 free on n\n";
    let leaves = plan("a");
    assert!(leaves.starts_with("batch/job: b\n"), "{leaves}");
    assert!(leaves.contains(waits), "a move is make-before-break: {leaves}");
    let under_way = plan("b <- a");
    assert!(under_way.starts_with("batch/job: b\n") && under_way.contains(waits), "{under_way}");
    assert!(plan("b").contains("shop/web: a\n"), "{}", plan("b"));
}
