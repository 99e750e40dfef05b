//! Components that must be together, and components that must be apart.

use crate::scenario::decide;

#[test]
fn what_must_be_together_goes_where_all_of_it_is_cheapest() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, defaults: {price: 2}, nodes: [{name: n, cpu: 2, memory: 64Gi}]}
          b: {tier: fog, defaults: {price: 6}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
          c: {tier: edge, defaults: {price: 1}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components:
              - {name: cache, manifests: [w], colocate: [web]}
              - {name: web, manifests: [w], tiers: [fog]}
        pods: {shop/cache: 1 x 2 1Gi, shop/web: 1 x 1 1Gi}
        ",
    );
    // Alone `cache` would go to `c` and `web` to `a`, where there is no room for both.
    assert_eq!(
        plan,
        "\
shop/cache: b
  a: Colocation: must be on one cluster with web, which is on b
  c: Colocation: must be on one cluster with web, which is on b
shop/web: b
  a: Colocation: must be on one cluster with cache, which is on b
  c: Tier: wants tier fog, is edge
"
    );
}

#[test]
fn what_runs_apart_and_must_be_together_moves() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
          b: {tier: fog, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components: [{name: cache, manifests: [w], colocate: [web]}, {name: web, manifests: [w]}]
        runs: {shop/cache: a, shop/web: b}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/cache: a
  b: Colocation: must be on one cluster with web, which is on a
shop/web: a
  b: Colocation: must be on one cluster with cache, which is on a
"
    );
}

#[test]
fn what_cannot_come_together_says_so() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: n, cpu: 1, memory: 64Gi}]}
          b: {tier: fog, nodes: [{name: n, cpu: 1, memory: 64Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components: [{name: cache, manifests: [w], colocate: [web]}, {name: web, manifests: [w]}]
        runs: {shop/cache: a, shop/web: b}
        ",
    );
    // Nothing is evicted.
    assert_eq!(
        plan,
        "\
shop/cache: a
  a: Colocation: must be on one cluster with web, which is on b
  b: Capacity: needs 1 CPU on one node, 0 free on n
shop/web: b
  a: Capacity: needs 1 CPU on one node, 0 free on n
  b: Colocation: must be on one cluster with cache, which is on a
"
    );
}

#[test]
fn what_must_be_apart_takes_the_next_best_place_by_any_label() {
    let plan = |by: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, region: north, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
              b: {{tier: fog, region: north, defaults: {{price: 2}}, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
              c: {{tier: fog, region: south, defaults: {{price: 3}}, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
              d: {{tier: fog, region: south, defaults: {{price: 4}}, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
            labels: {{a: {{rack: r1}}, b: {{rack: r1}}, c: {{rack: r1}}}}
            apps:
              shop:
                objectives: {{cost: 1}}
                components:
                  - {{name: one, manifests: [w]}}
                  - {{name: two, manifests: [w], separate: [{{from: one{by}}}]}}
            "
        ))
    };
    assert_eq!(
        plan(""),
        "\
shop/one: a
  c: +0.250
  d: +0.375
  b: Separation: must be apart from two, which is here
shop/two: b
  c: +0.125
  d: +0.250
  a: Separation: must be apart from one, which is here
"
    );
    let two = |by: &str| plan(by).split_once("shop/two").unwrap().1.to_owned();
    assert_eq!(
        two(", by: region"),
        ": c
  d: +0.125
  a: Separation: must be apart from one, which is here
  b: Separation: must be apart from one by region, which is north here and on a
"
    );
    // `d` has no rack, which is a place of its own.
    assert_eq!(
        two(", by: rack"),
        ": d
  a: Separation: must be apart from one, which is here
  b: Separation: must be apart from one by rack, which is r1 here and on a
  c: Separation: must be apart from one by rack, which is r1 here and on a
"
    );
}

#[test]
fn the_one_that_asks_leaves_the_other() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: n, cpu: 8, memory: 64Gi}]}
          b: {tier: fog, defaults: {price: 9}, nodes: [{name: n, cpu: 8, memory: 64Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components: [{name: one, manifests: [w]}, {name: two, manifests: [w], separate: [{from: one}]}]
        runs: {shop/one: a, shop/two: a}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/one: a
  b: Separation: must be apart from two, which is here
shop/two: b
  a: Separation: must be apart from one, which is here
"
    );
}
