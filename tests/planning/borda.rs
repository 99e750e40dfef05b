//! `strategy: borda` on the nine clusters of the paper's testbed, held to results computed by hand.

use crate::scenario::decide;

/// Three profiles in each of three tiers.
fn plan(objectives: &str) -> String {
    let profiles = [
        (
            "cost",
            "cpu: 6, memory: 7160844288, storage: 4114046976, energy: 0.0025689, price: 0.0042, bandwidth: 5G",
        ),
        (
            "energy",
            "cpu: 6, memory: 7160844288, storage: 4114046976, energy: 0.0024042, price: 16.3884, bandwidth: 52500M",
        ),
        (
            "performance",
            "cpu: 10, memory: 12529553408, storage: 6261530624, energy: 0.0027335, price: 32.7726, bandwidth: 100G",
        ),
    ];
    let mut scenario = String::from("clusters:\n");
    for tier in ["cloud", "fog", "edge"] {
        for (profile, node) in profiles {
            scenario += &format!(
                "  {tier}-{profile}: {{tier: {tier}, nodes: [{{name: {tier}-{profile}-worker, {node}}}]}}\n"
            );
        }
    }
    scenario += &format!(
        "
apps:
  bookinfo:
    strategy: borda
    objectives: {{{objectives}}}
    components:
      - {{name: productpage, manifests: [w], tiers: [cloud]}}
      - {{name: reviews, manifests: [w], tiers: [fog]}}
      - {{name: ratings, manifests: [w], tiers: [edge]}}
pods: {{bookinfo/productpage: 1 x 100m 128Mi, bookinfo/reviews: 3 x 100m 128Mi, bookinfo/ratings: 1 x 100m 128Mi}}
"
    );
    decide(&scenario)
}

/// One node per cluster and three clusters in each tier, so 3 points for the first, 1 for the last:
///
/// ```text
///              energy  price  CPU  memory  bandwidth  storage  capacity
/// cost              2      3  1.5     1.5          1      1.5       5.5
/// energy            3      2  1.5     1.5          2      1.5       6.5
/// performance       1      1    3       3          3        3        12
/// ```
///
/// CPU, memory and storage of cost and energy are equal: they share (1 + 2) / 2. With weights (e, c, p) a
/// node scores energy·e + price·c + capacity·p:
///
/// ```text
///                     cost                      energy                     performance             mean  wins
/// 1, 0, 0             2                         3                          1                       2     energy
/// 0, 1, 0             3                         2                          1                       2     cost
/// 0, 0, 1             5.5                       6.5                        12                      8     performance
/// 1, 1, 1             2 + 3 + 5.5 = 10.5        3 + 2 + 6.5 = 11.5         1 + 1 + 12 = 14         12    performance
/// 0.09, 0.09, 0.09    counts as 1, 1, 1                                                                  performance
/// 1, 0.5, 0           2 + 1.5 = 3.5             3 + 1 = 4                  1 + 0.5 = 1.5           3     energy
/// 0.5, 1, 0.1         1 + 3 + 0.55 = 4.55       1.5 + 2 + 0.65 = 4.15      0.5 + 1 + 1.2 = 2.7     3.8   cost
/// 0.5, 0.5, 0.1       1 + 1.5 + 0.55 = 3.05     1.5 + 1 + 0.65 = 3.15      0.5 + 0.5 + 1.2 = 2.2   2.8   energy
/// 0.5, 0.5, 0.2       1 + 1.5 + 1.1 = 3.6       1.5 + 1 + 1.3 = 3.8        0.5 + 0.5 + 2.4 = 3.4   3.6   energy
/// 0.5, 0.5, 0.3       1 + 1.5 + 1.65 = 4.15     1.5 + 1 + 1.95 = 4.45      0.5 + 0.5 + 3.6 = 4.6   4.4   performance
/// ```
const BY_HAND: [(&str, &str); 10] = [
    ("energy: 1", "energy"),
    ("cost: 1", "cost"),
    ("performance: 1", "performance"),
    ("energy: 1, cost: 1, performance: 1", "performance"),
    ("energy: 0.09, cost: 0.09, performance: 0.09", "performance"),
    ("energy: 1, cost: 0.5", "energy"),
    ("energy: 0.5, cost: 1, performance: 0.1", "cost"),
    ("energy: 0.5, cost: 0.5, performance: 0.1", "energy"),
    ("energy: 0.5, cost: 0.5, performance: 0.2", "energy"),
    ("energy: 0.5, cost: 0.5, performance: 0.3", "performance"),
];

#[test]
fn borda_places_as_computed_by_hand() {
    for (objectives, winner) in BY_HAND {
        let plan = plan(objectives);
        for (component, tier) in [("productpage", "cloud"), ("reviews", "fog"), ("ratings", "edge")] {
            let wanted = format!("bookinfo/{component}: {tier}-{winner}\n");
            assert!(plan.contains(&wanted), "{objectives}: wanted {wanted} in\n{plan}");
        }
    }
}

#[test]
fn a_component_without_tiers_ranks_all_nodes_and_the_sum_of_a_cluster_counts() {
    // Six nodes, cost alone: points 6 to 1 by price. a: 1 + 2 cents = 6 + 5; b: 3, 4, 5 cents = 4 + 3 + 2; c: 1.
    // The mean is 3.5: a keeps 11, b keeps 4, c nothing.
    let plan = decide(
        "
        clusters:
          a: {tier: cloud, nodes: [{name: n1, cpu: 4, memory: 8Gi, price: 0.01}, {name: n2, cpu: 4, memory: 8Gi, price: 0.02}]}
          b: {tier: fog, nodes: [{name: n1, cpu: 4, memory: 8Gi, price: 0.03}, {name: n2, cpu: 4, memory: 8Gi, price: 0.04}, {name: n3, cpu: 4, memory: 8Gi, price: 0.05}]}
          c: {tier: edge, nodes: [{name: n1, cpu: 4, memory: 8Gi, price: 0.06}]}
        apps:
          shop: {strategy: borda, objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
        ",
    );
    assert_eq!(plan, "shop/web: a\n  b: -7.000\n  c: -11.000\n");
}

#[test]
fn many_ordinary_nodes_beat_one_good_one_and_all_nodes_break_a_tie() {
    // Weights of energy and cost; points of energy + price: a 4+4 = 8; b 2.5+2.5 = 5 twice, c 1+1 = 2.
    // The mean is 5: a keeps 8, b keeps 10.
    let plan = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: n, cpu: 4, memory: 8Gi, price: 1, energy: 0.001}]}
          b: {tier: fog, nodes: [{name: n, count: 2, cpu: 4, memory: 8Gi, price: 2, energy: 0.002}]}
          c: {tier: fog, nodes: [{name: n, cpu: 4, memory: 8Gi, price: 3, energy: 0.003}]}
        apps:
          shop: {strategy: borda, objectives: {cost: 1, energy: 1}, components: [{name: web, manifests: [w]}]}
        ",
    );
    assert_eq!(plan, "shop/web: b\n  a: -2.000\n  c: -10.000\n");
    // Points 4, 3, 2, 1 by price; the mean is 2.5. a keeps 4 of 4, b keeps 3 of 3 + 2 + 1; now both keep 3.5
    // because the first two share: the larger sum of all, 3.5 + 2 + 1, wins for b.
    let tie = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: n, cpu: 4, memory: 8Gi, price: 1}]}
          b: {tier: fog, nodes: [{name: n1, cpu: 4, memory: 8Gi, price: 1}, {name: n2, cpu: 4, memory: 8Gi, price: 2}, {name: n3, cpu: 4, memory: 8Gi, price: 3}]}
        apps:
          shop: {strategy: borda, objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
        ",
    );
    assert_eq!(tie, "shop/web: b\n  a: +0.000\n");
}

#[test]
fn a_winner_without_room_is_passed_over() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: n, cpu: 500m, memory: 8Gi, price: 1}]}
          b: {tier: fog, nodes: [{name: n, cpu: 4, memory: 8Gi, price: 2}]}
        apps:
          shop: {strategy: borda, objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
        ",
    );
    assert_eq!(plan, "shop/web: b\n  a: Capacity: needs 1 CPU on one node, 0.5 free on n\n");
}

#[test]
fn what_no_cluster_takes_stays_where_it_runs() {
    let plan = decide(
        "
        clusters: {a: {tier: fog, drain: true, nodes: [{name: n, cpu: 4, memory: 8Gi}]}}
        apps:
          shop: {strategy: borda, objectives: {cost: 1}, components: [{name: web, manifests: [w]}]}
        runs: {shop/web: a}
        ",
    );
    assert_eq!(plan, "shop/web: a\n  a: Cordon: is drained: everything moves away\n");
}
