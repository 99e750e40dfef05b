//! What runs: when it moves, and when it stays.

use crate::scenario::decide;

#[test]
fn a_gain_smaller_than_the_price_of_a_move_moves_nothing() {
    let plan = |price: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, defaults: {{price: 4}}, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
              b: {{tier: fog, defaults: {{price: {price}}}, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
            apps:
              shop: {{objectives: {{cost: 1}}, components: [{{name: web, manifests: [w]}}]}}
            runs: {{shop/web: a}}
            "
        ))
    };
    // An eighth of a node: 0.5 on a; 0.46 and 0.44 on b, and 0.05 for the move.
    assert_eq!(plan("3.68"), "shop/web: a\n  b: +0.010\n");
    assert_eq!(plan("3.52"), "shop/web: b\n  a: +0.010\n");
}

#[test]
fn what_is_drained_stays_while_no_other_cluster_takes_it() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, drain: true, nodes: [{name: a, cpu: 8, memory: 64Gi}]}
          b: {tier: fog, nodes: [{name: b, cpu: 500m, memory: 64Gi}]}
        apps:
          shop: {objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
        runs: {shop/web: a}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/web: a
  a: Cordon: is drained: everything moves away
  b: Capacity: needs 1 CPU on one node, 0.5 free on b
"
    );
}

#[test]
fn what_is_drained_leaves_a_silent_cluster_too() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, drain: true, nodes: [{name: a, cpu: 8, memory: 64Gi}]}
          b: {tier: fog, nodes: [{name: b, cpu: 8, memory: 64Gi}]}
        apps:
          shop: {objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
        states: {a: {status: Lost}}
        runs: {shop/web: a}
        ",
    );
    assert_eq!(plan, "shop/web: b\n  a: Cordon: is drained: everything moves away\n");
}

#[test]
fn what_moves_away_keeps_its_room_until_it_is_gone() {
    let plan = |runs: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, nodes: [{{name: a, cpu: 1, memory: 64Gi}}]}}
              b: {{tier: edge, nodes: [{{name: b, cpu: 1, memory: 64Gi}}]}}
            apps:
              shop:
                objectives: {{cost: 1}}
                components:
                  - {{name: new, manifests: [w], tiers: [fog]}}
                  - {{name: old, manifests: [w], tiers: [edge]}}
            runs: {{{runs}}}
            "
        ))
    };
    let refused = "\
shop/new: nowhere
  a: Capacity: needs 1 CPU on one node, 0 free on a
  b: Tier: wants tier fog, is edge
shop/old: b
  a: Tier: wants tier edge, is fog
";
    assert_eq!(plan("shop/old: a"), refused, "the plan moves it now");
    assert_eq!(plan("shop/old: b <- a"), refused, "it is under way");
    assert!(plan("shop/old: b").starts_with("shop/new: a\n"), "it is gone");
}

#[test]
fn what_runs_on_a_node_that_fell_ill_moves_unless_its_cluster_calls_it_ready() {
    let plan = |health: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog}}
              b: {{tier: fog, defaults: {{price: 8}}, nodes: [{{name: b, cpu: 8, memory: 64Gi}}]}}
            apps:
              shop: {{objectives: {{cost: 1}}, components: [{{name: web, manifests: [w]}}, {{name: api, manifests: [w]}}]}}
            states:
              a:
                status: Ready
                nodes:
                  - {{name: n1, ready: true, allocatable: {{cpu: 1, memory: 8Gi, pods: 110}}}}
                  - {{name: n2, ready: false, allocatable: {{cpu: 1, memory: 8Gi, pods: 110}}}}
                components:
                  - {{application: shop, component: api, generation: 1, health: Ready, objects: 1}}
                  - {{application: shop, component: web, generation: 1, health: {health}, objects: 1}}
            runs: {{shop/web: a, shop/api: a}}
            "
        ))
    };
    assert!(plan("Ready").ends_with("shop/web: a\n  b: +0.051\n"), "{}", plan("Ready"));
    assert_eq!(
        plan("Reconciling"),
        "\
shop/api: a
  b: +0.051
shop/web: b
  a: Capacity: needs 1 CPU on one node, 0 free on n1
"
    );
}

#[test]
fn what_runs_on_a_cluster_that_left_the_repository_is_placed_anew_or_stays() {
    let plan = |cpu: &str| {
        decide(&format!(
            "
            clusters: {{b: {{tier: fog, nodes: [{{name: b, cpu: {cpu}, memory: 64Gi}}]}}}}
            apps:
              shop: {{objectives: {{cost: 1}}, components: [{{name: web, manifests: [w]}}]}}
            runs: {{shop/web: gone}}
            "
        ))
    };
    assert_eq!(plan("4"), "shop/web: b\n");
    assert_eq!(plan("500m"), "shop/web: gone\n  b: Capacity: needs 1 CPU on one node, 0.5 free on b\n");
}

#[test]
fn what_would_fit_only_if_others_moved_to_other_nodes_does_not_fit() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, defaults: {price: 9}, nodes: [{name: a, cpu: 2, memory: 64Gi}]}
          b: {tier: fog, defaults: {price: 1}, nodes: [{name: b, count: 2, cpu: 3, memory: 64Gi}]}
        apps:
          shop: {objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
          x: {objectives: {cost: 1}, components: [{name: x, manifests: [w]}]}
          y: {objectives: {cost: 1}, components: [{name: y, manifests: [w]}]}
        pods: {shop/web: 1 x 1500m 1Gi, x/x: 2 x 1200m 1Gi, y/y: 2 x 800m 1Gi}
        runs: {shop/web: a, x/x: b, y/y: b}
        ",
    );
    // The first node is full by 1.2 and 1.2, the second has 1.4 left beside 0.8 and 0.8.
    assert!(
        plan.starts_with("shop/web: a\n  b: Capacity: needs 1.5 CPU on one node, 1.4 free on b-2\n"),
        "{plan}"
    );
}

#[test]
fn a_limit_of_latency_that_breaks_moves_the_caller_whatever_it_costs() {
    let plan = decide(
        "
        clusters:
          a: {tier: cloud, region: far, nodes: [{name: a, cpu: 8, memory: 64Gi}]}
          b: {tier: cloud, region: near, defaults: {price: 50}, nodes: [{name: b, cpu: 8, memory: 64Gi}]}
          c: {tier: edge, region: near, nodes: [{name: c, cpu: 8, memory: 64Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components:
              - {name: web, manifests: [w], tiers: [cloud], dependsOn: [{component: db, maxLatency: 10ms}]}
              - {name: db, manifests: [w], tiers: [edge]}
        runs: {shop/web: a, shop/db: c}
        ",
    );
    assert!(
        plan.contains("shop/web: b\n  a: Latency: 40ms to db on c, at most 10ms are allowed\n"),
        "{plan}"
    );
}

#[test]
fn a_dearer_cluster_loses_as_much_as_the_limit_of_the_application_asks() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, defaults: {price: 16, energy: 0.001}, nodes: [{name: a, cpu: 8, memory: 64Gi}]}
          b: {tier: fog, defaults: {price: 1, energy: 0.002}, nodes: [{name: b, cpu: 8, memory: 64Gi}]}
        apps:
          shop:
            objectives: {energy: 1}
            components: [{name: api, manifests: [w]}, {name: web, manifests: [w]}]
            constraints: {maxCostPerHour: 3}
        runs: {shop/api: a, shop/web: a}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/api: b
  a: Limit: costs 2 per hour here and 2 for the rest, the application may cost 3
shop/web: a
  b: +1.051
"
    );
}

#[test]
fn a_target_that_was_given_up_is_left_out_until_it_may_be_tried_again() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, defaults: {price: 9}, nodes: [{name: n, cpu: 8, memory: 64Gi}]}
          b: {tier: fog, nodes: [{name: n, cpu: 8, memory: 64Gi}]}
          c: {tier: fog, defaults: {price: 2}, nodes: [{name: n, cpu: 8, memory: 64Gi}]}
        apps:
          shop: {objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
        runs: {shop/web: \"a, not b\"}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/web: c
  a: +0.824
  b: Failed: it was not Ready here in time: tried again after 2026-06-01T13:00:00Z
"
    );
}

#[test]
fn a_pin_leaves_one_cluster_and_a_suspension_the_one_of_now() {
    let plan = |wish: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, defaults: {{price: 1}}, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
              b: {{tier: fog, defaults: {{price: 9}}, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
            apps:
              shop: {{objectives: {{cost: 1}}, components: [{{name: web, manifests: [w]}}]{wish}}}
            runs: {{shop/web: b}}
            "
        ))
    };
    assert_eq!(plan(""), "shop/web: a\n  b: +0.949\n");
    let stays = "shop/web: b\n  a: Selector: wants one of b in label qonnect.io/cluster, found a\n";
    assert_eq!(plan(", pin: {web: b}"), stays);
    assert_eq!(plan(", suspend: true"), stays);
}

#[test]
fn what_has_failed_for_too_long_goes_elsewhere_while_there_is_somewhere() {
    let plan = |room: &str, since: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
              b: {{tier: fog, defaults: {{price: 9}}, nodes: [{{name: n, cpu: {room}, memory: 64Gi}}]}}
            apps:
              shop: {{objectives: {{cost: 1}}, components: [{{name: web, manifests: [w]}}]}}
            states:
              a: {{status: Ready, failing: {{shop/web: {since}}}}}
            runs: {{shop/web: a}}
            "
        ))
    };
    assert!(plan("8", "2026-06-01T11:49:00Z").starts_with("shop/web: b\n"));
    assert!(plan("8", "2026-06-01T11:51:00Z").starts_with("shop/web: a\n"), "its time is not over");
    assert!(plan("500m", "2026-06-01T11:49:00Z").starts_with("shop/web: a\n"), "nothing is evicted");
}
