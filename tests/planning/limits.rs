//! What an application must not exceed, and who gives way.

use crate::scenario::decide;

#[test]
fn a_limit_of_latency_binds_both_ends() {
    let plan = decide(
        "
        clusters:
          a: {tier: cloud, region: far, nodes: [{name: a, cpu: 8, memory: 8Gi}]}
          b: {tier: cloud, region: near, defaults: {price: 5}, nodes: [{name: b, cpu: 8, memory: 8Gi}]}
          c: {tier: edge, region: near, nodes: [{name: c, cpu: 8, memory: 8Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components:
              - {name: web, manifests: [w], tiers: [cloud], dependsOn: [{component: db, maxLatency: 10ms}]}
              - {name: db, manifests: [w], tiers: [edge]}
        ",
    );
    assert_eq!(
        plan,
        "\
shop/db: c
  a: Tier: wants tier edge, is cloud
  b: Tier: wants tier edge, is cloud
shop/web: b
  a: Latency: 40ms to db on c, at most 10ms are allowed
  c: Tier: wants tier cloud, is edge
"
    );
}

#[test]
fn a_limit_of_latency_takes_what_agents_measure_before_what_documents_say() {
    let plan = decide(
        "
        clusters:
          a: {tier: cloud, region: far, latency: {clusters: {c: 1ms}}, nodes: [{name: a, cpu: 8, memory: 8Gi}]}
          b: {tier: cloud, region: far, defaults: {price: 5}, nodes: [{name: b, cpu: 8, memory: 8Gi}]}
          c: {tier: edge, region: near, nodes: [{name: c, cpu: 8, memory: 8Gi}]}
        states:
          a: {measured: {roundTrips: {c: 25ms}}}
          c: {measured: {roundTrips: {b: 8ms}}}
        apps:
          shop:
            objectives: {cost: 1}
            components:
              - {name: web, manifests: [w], tiers: [cloud], dependsOn: [{component: db, maxLatency: 10ms}]}
              - {name: db, manifests: [w], tiers: [edge]}
        ",
    );
    let expected = "shop/web: b\n  a: Latency: 25ms measured to db on c, at most 10ms are allowed\n";
    assert!(plan.contains(expected), "{plan}");
}

#[test]
fn an_application_stays_within_what_it_may_cost() {
    let plan = decide(
        "
        clusters:
          dear: {tier: fog, defaults: {price: 8, energy: 0.001}, nodes: [{name: n, cpu: 8, memory: 64Gi}]}
          fair: {tier: fog, defaults: {price: 4, energy: 0.002}, nodes: [{name: n, cpu: 8, memory: 64Gi}]}
        apps:
          shop:
            objectives: {energy: 1}
            components: [{name: api, manifests: [w]}, {name: web, manifests: [w]}]
            constraints: {maxCostPerHour: 1.5}
        ",
    );
    // Each would burn less on `dear`; only one of them may.
    assert_eq!(
        plan,
        "\
shop/api: dear
  fair: +1.000
shop/web: fair
  dear: Limit: costs 1 per hour here and 1 for the rest, the application may cost 1.5
"
    );
}

#[test]
fn an_application_stays_within_what_it_may_draw_and_emit() {
    let plan = |constraint: &str| {
        decide(&format!(
            "
            clusters:
              dirty: {{tier: fog, region: coal, defaults: {{price: 1, energy: 0.02}}, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
              green: {{tier: fog, region: wind, defaults: {{price: 4, energy: 0.01}}, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
            signals:
              grid:
                source: test
                time: 2026-01-01T00:00:00Z
                gridIntensity: [{{region: coal, gramsPerKwh: 800}}, {{region: wind, gramsPerKwh: 100}}]
            apps:
              shop:
                objectives: {{cost: 1}}
                components: [{{name: api, manifests: [w]}}, {{name: web, manifests: [w]}}]
                constraints: {{{constraint}}}
            "
        ))
    };
    // One vCPU draws 20 W and emits 24 g/h on `dirty`, 10 W and 1.5 g/h on `green`.
    assert_eq!(
        plan("maxPower: 30"),
        "\
shop/api: dirty
  green: +0.375
shop/web: green
  dirty: Limit: draws 20 W here and 20 for the rest, the application may draw 30
"
    );
    assert_eq!(
        plan("maxCarbonPerHour: 10"),
        "\
shop/api: green
  dirty: Limit: emits 24 gCO2e per hour here and 1.5 for the rest, the application may emit 10
shop/web: green
  dirty: Limit: emits 24 gCO2e per hour here and 1.5 for the rest, the application may emit 10
"
    );
}

#[test]
fn what_goes_over_the_network_counts_against_the_limits() {
    let plan = |constraint: &str| {
        decide(&format!(
            "
            clusters:
              far: {{tier: cloud, region: coal, egress: {{price: 0.1, energy: 0.01}}, defaults: {{price: 4, energy: 0.01}},
                nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
              near: {{tier: fog, region: wind, egress: {{price: 0, energy: 0}}, defaults: {{price: 1, energy: 0.01}},
                nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
            signals:
              grid:
                source: test
                time: 2026-01-01T00:00:00Z
                gridIntensity: [{{region: coal, gramsPerKwh: 500}}, {{region: wind, gramsPerKwh: 100}}]
            apps:
              shop:
                objectives: {{cost: 1}}
                components:
                  - {{name: db, manifests: [w], tiers: [cloud]}}
                  - {{name: web, manifests: [w], dependsOn: [{{component: db, traffic: {{receives: 8M}}}}]}}
                constraints: {{{constraint}}}
            "
        ))
    };
    let web = |constraint: &str| {
        let plan = plan(constraint);
        plan[plan.find("shop/web").unwrap()..].to_owned()
    };
    // 3.6 GB leave `far` in an hour: 0.36, 36 W, and 18 g with the grid there.
    assert_eq!(web(""), "shop/web: near\n  far: +0.370\n");
    assert_eq!(
        web("maxCostPerHour: 1.61"),
        "shop/web: near\n  far: Limit: costs 1 per hour here and 1 for the rest, the application may cost 1.61\n"
    );
    let refused = |constraint: &str, message: &str| {
        assert_eq!(web(constraint), format!("shop/web: far\n  near: Limit: {message}\n"));
    };
    refused("maxPower: 50", "draws 46 W here and 10 for the rest, the application may draw 50");
    refused(
        "maxCarbonPerHour: 20",
        "emits 19.5 gCO2e per hour here and 7.5 for the rest, the application may emit 20",
    );
}

#[test]
fn a_chain_of_calls_stays_within_what_it_may_take() {
    let plan = |runs: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: cloud, region: r1, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
              b: {{tier: fog, region: r2, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
              c: {{tier: fog, region: r1, defaults: {{price: 9}}, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
              d: {{tier: edge, region: r1, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
            apps:
              shop:
                objectives: {{cost: 1}}
                components:
                  - {{name: web, manifests: [w], tiers: [cloud], dependsOn: [{{component: api}}]}}
                  - {{name: api, manifests: [w], tiers: [fog], dependsOn: [{{component: db}}]}}
                  - {{name: db, manifests: [w], tiers: [edge]}}
                constraints: {{maxPathLatency: 50ms}}
            runs: {{{runs}}}
            "
        ))
    };
    // Through `b` both calls take 40 ms, through `c` 2 ms.
    let refused = "\
shop/api: c
  a: Tier: wants tier fog, is cloud
  b: Latency: the longest chain of calls through it would take 80ms, at most 50ms are allowed
";
    assert!(plan("").starts_with(refused), "{}", plan(""));
    assert!(plan("shop/web: a, shop/api: b, shop/db: d").starts_with(refused));
}
