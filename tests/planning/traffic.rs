//! What components send each other, and what a move costs once.

use qonnect_core::placement::{explain, what_if};

use crate::scenario::{decide, world};

/// A callee that must be on `far`, and a caller that may be there, beside it in its region, or elsewhere.
fn call(traffic: &str, more: &str) -> String {
    format!(
        "
        clusters:
          far: {{tier: cloud, region: two, defaults: {{price: 4}}, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
          near: {{tier: fog, region: one, defaults: {{price: 1}}, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
        apps:
          shop:
            objectives: {{cost: 1}}
            components:
              - {{name: web, manifests: [w], dependsOn: [{{component: db{traffic}}}]}}
              - {{name: db, manifests: [w], tiers: [cloud]}}
        {more}
        "
    )
}

/// To a millionth.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[test]
fn what_leaves_a_cluster_is_paid_for() {
    // A node of four vCPUs: 1 and 0.25 per hour. The round trip adds 0.05 × 40 ms ÷ 100 ms.
    assert!(decide(&call("", "")).ends_with("shop/web: near\n  far: +0.730\n"));
    // 8 Mbit/s are 3.6 GB per hour, at 0.02 each.
    let small = decide(&call(", traffic: {receives: 8M}", ""));
    assert!(small.ends_with("shop/web: near\n  far: +0.658\n"), "{small}");
    let large = decide(&call(", traffic: {receives: 80M, sends: 8M}", ""));
    assert!(large.ends_with("shop/web: far\n  near: +0.062\n"), "{large}");
}

#[test]
fn the_most_particular_price_of_egress_counts() {
    let far = |signals: &str, document: &str| {
        let scenario = call(
            ", traffic: {receives: 8M}",
            &format!("signals: {{s: {{source: test, time: 2026-01-01T00:00:00Z, egress: [{signals}]}}}}"),
        );
        let scenario = scenario.replace("region: two,", &format!("region: two, {document}"));
        let (revision, snapshot) = world(&scenario);
        let plan = explain(&revision, &snapshot, "shop").unwrap();
        let score = plan.components["web"].score.clone().unwrap();
        score.terms.iter().find(|term| term.name == "egress").unwrap().raw
    };
    assert_eq!(round(far("", "")), 0.072);
    assert_eq!(round(far("{from: two, price: 0.05}", "")), 0.18);
    assert_eq!(round(far("{from: two, price: 0.05}", "egress: {price: 0.01},")), 0.036);
    assert_eq!(round(far("{from: far, price: 0.03}", "egress: {price: 0.01},")), 0.108);
    // Who only says what the network burns leaves the price to others.
    assert_eq!(round(far("{from: far, energy: 0.1}", "egress: {price: 0.01},")), 0.036);
}

#[test]
fn the_energy_of_the_network_and_its_carbon_are_weighed_too() {
    let scenario = call(
        ", traffic: {receives: 8M}",
        "signals: {s: {source: test, time: 2026-01-01T00:00:00Z, gridIntensity: [{region: two, gramsPerKwh: 100}],
            egress: [{from: two, energy: 0.005}]}}",
    );
    let (revision, snapshot) = world(&scenario.replace("cost: 1", "energy: 0.5, carbon: 0.5"));
    let plan = explain(&revision, &snapshot, "shop").unwrap();
    let far = &plan.components["web"];
    let near = far.others.iter().find(|other| other.cluster == "near").unwrap().score.as_ref().unwrap();
    let terms: Vec<_> =
        near.terms[4..].iter().map(|term| (&*term.name, round(term.raw), term.value)).collect();
    // 3.6 GB at 5 Wh: a half of 0.018 kWh ÷ 0.001 kWh, and a half of 1.8 g ÷ 0.5 g.
    assert_eq!(
        terms,
        [
            ("communication", 40.0, 20_000),
            ("egress", 0.072, 0),
            ("network energy", 0.018, 9_000_000),
            ("network carbon", 1.8, 1_800_000),
        ]
    );
    let report = what_if(&revision, &snapshot, &[]).unwrap();
    assert_eq!((round(report.after.energy), report.after.latency), (0.0052, 0.0));
}

#[test]
fn round_trips_count_by_their_requests() {
    let plan = |db: u32, cache: u32| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, region: one, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
              b: {{tier: cloud, region: two, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
              c: {{tier: edge, region: three, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
            apps:
              shop:
                objectives: {{performance: 1}}
                components:
                  - name: web
                    manifests: [w]
                    dependsOn:
                      - {{component: db, traffic: {{requestsPerSecond: {db}}}}}
                      - {{component: cache, traffic: {{requestsPerSecond: {cache}}}}}
                  - {{name: db, manifests: [w], tiers: [cloud]}}
                  - {{name: cache, manifests: [w], tiers: [edge]}}
            "
        ))
    };
    // The two weigh 2 together: 1.05 × 40 ms ÷ 100 ms each, where they are alike.
    assert!(plan(5, 5).ends_with("shop/web: b\n  c: +0.000\n  a: +0.420\n"), "{}", plan(5, 5));
    assert!(plan(30, 10).ends_with("shop/web: b\n  c: +0.420\n  a: +0.630\n"), "{}", plan(30, 10));
    assert!(plan(10, 30).ends_with("shop/web: c\n  b: +0.420\n  a: +0.630\n"), "{}", plan(10, 30));
}

#[test]
fn what_a_move_costs_once_is_spread_over_the_horizon() {
    let plan = |horizon: &str, state: &str| {
        decide(&format!(
            "
            fleet: {{moves: {{price: 0.01, overlap: 30m, horizon: {horizon}}}}}
            clusters:
              a: {{tier: fog, defaults: {{price: 8}}, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
              b: {{tier: fog, defaults: {{price: 4}}, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
            apps:
              shop: {{objectives: {{cost: 1}}, components: [{{name: web, manifests: [w]{state}}}]}}
            runs: {{shop/web: a}}
            "
        ))
    };
    // Half an hour of both at 2 an hour is 1, which is 0.25 in each of four hours.
    assert_eq!(plan("4h", ""), "shop/web: b\n  a: +0.740\n");
    // 300 GB at 0.02 are 6.
    assert_eq!(plan("4h", ", state: 300G"), "shop/web: a\n  b: +0.760\n");
    assert_eq!(plan("70h", ", state: 300G"), "shop/web: b\n  a: +0.890\n");
}
