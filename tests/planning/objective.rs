//! The objective function: what each term changes, with numbers that anyone can recompute.

use qonnect_core::placement::{Report, explain};
use qonnect_schema::documents::placement::Filter;

use crate::scenario::{decide, world};

/// Three clusters like those of the paper's testbed, in one tier.
const PROFILES: &str = "
clusters:
  c-cost:
    {tier: fog, region: berlin, nodes: [{name: n, cpu: 6, memory: 7160844288, storage: 4114046976, energy: 0.0025689, price: 0.0042, bandwidth: 5G}]}
  c-energy:
    {tier: fog, region: berlin, nodes: [{name: n, cpu: 6, memory: 7160844288, storage: 4114046976, energy: 0.0024042, price: 16.3884, bandwidth: 52500M}]}
  c-performance:
    {tier: fog, region: berlin, nodes: [{name: n, cpu: 10, memory: 12529553408, storage: 6261530624, energy: 0.0027335, price: 32.7726, bandwidth: 100G}]}
";

fn decide_by(objectives: &str) -> String {
    decide(&format!(
        "{PROFILES}
apps:
  shop: {{objectives: {{{objectives}}}, components: [{{name: web, manifests: [w]}}]}}
pods: {{shop/web: 1 x 1 256Mi}}
"
    ))
}

#[test]
fn energy_prefers_what_burns_least() {
    // 1 vCPU × 0.0024042 kWh/vCPU·h ÷ 0.001 kWh/h = 2.404; cost 2.569, performance 2.734.
    assert_eq!(decide_by("energy: 1"), "shop/web: c-energy\n  c-cost: +0.165\n  c-performance: +0.329\n");
}

#[test]
fn cost_prefers_the_cheapest_share_of_a_node() {
    // A sixth of 0.0042, a sixth of 16.3884, a tenth of 32.7726.
    assert_eq!(decide_by("cost: 1"), "shop/web: c-cost\n  c-energy: +2.731\n  c-performance: +3.277\n");
}

#[test]
fn performance_prefers_many_cores_and_a_fast_network() {
    // 250 ms ÷ 10 + 25 Mbit ÷ 100 Gbit/s = 25.25 ms; energy 41.67 + 0.48 ms, cost 41.67 + 5 ms.
    assert_eq!(
        decide_by("performance: 1"),
        "shop/web: c-performance\n  c-energy: +0.169\n  c-cost: +0.214\n"
    );
}

#[test]
fn only_the_ratio_of_weights_matters() {
    assert_eq!(decide_by("cost: 0.2, energy: 0.6"), decide_by("cost: 0.3, energy: 0.9"));
}

#[test]
fn carbon_is_energy_times_the_building_times_the_grid() {
    let plan = decide(
        "
        clusters:
          clean: {tier: fog, region: se, nodes: [{name: n, cpu: 4, memory: 8Gi, energy: 0.004}]}
          dirty: {tier: fog, region: pl, nodes: [{name: n, cpu: 4, memory: 8Gi, energy: 0.002}]}
        signals:
          grid:
            source: test
            time: 2026-01-01T00:00:00Z
            gridIntensity: [{region: se, gramsPerKwh: 25}, {region: pl, gramsPerKwh: 600}]
            pue: [{cluster: clean, pue: 1.2}, {cluster: dirty, pue: 1.5}]
        apps:
          shop: {objectives: {carbon: 1}, components: [{name: web, manifests: [w]}]}
        ",
    );
    // 0.004 × 1.2 × 25 = 0.12 g/h and 0.002 × 1.5 × 600 = 1.8 g/h, each ÷ 0.5.
    assert_eq!(plan, "shop/web: clean\n  dirty: +3.360\n");
}

#[test]
fn a_power_model_charges_idle_power_by_the_dominant_share() {
    let plan = decide(
        "
        clusters:
          a: {tier: fog, nodes: [{name: n, cpu: 4, memory: 8Gi}]}
          b: {tier: fog, nodes: [{name: n, cpu: 4, memory: 8Gi, energy: 0.05}]}
        signals:
          power:
            source: test
            time: 2026-01-01T00:00:00Z
            powerModels: [{cluster: a, idleWatts: 40, maxWatts: 120}]
        apps:
          shop: {objectives: {energy: 1}, components: [{name: web, manifests: [w]}]}
        pods: {shop/web: 1 x 1 4Gi}
        ",
    );
    // (120 − 40) W × 1/4 + 40 W × 1/2 = 40 W = 0.04 kWh/h against 0.05 kWh/h, each ÷ 0.001.
    assert_eq!(plan, "shop/web: a\n  b: +10.000\n");
}

#[test]
fn a_signal_that_has_ended_or_is_still_to_come_is_as_if_absent() {
    let plan = |time: &str, until: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, nodes: [{{name: n, cpu: 4, memory: 8Gi, price: 4}}]}}
              b: {{tier: fog, nodes: [{{name: n, cpu: 4, memory: 8Gi, price: 8}}]}}
            signals:
              spot: {{source: test, time: {time}, validUntil: {until}, prices: [{{cluster: b, price: 0}}]}}
            apps:
              shop: {{objectives: {{cost: 1}}, components: [{{name: web, manifests: [w]}}]}}
            "
        ))
    };
    // Now is 2026-06-01T12:00:00Z.
    assert_eq!(plan("2026-06-01T11:00:00Z", "2026-06-01T13:00:00Z"), "shop/web: b\n  a: +1.000\n");
    assert_eq!(plan("2026-06-01T10:00:00Z", "2026-06-01T12:00:00Z"), "shop/web: a\n  b: +1.000\n");
    assert_eq!(plan("2026-06-01T13:00:00Z", "2026-06-01T14:00:00Z"), "shop/web: a\n  b: +1.000\n");
}

#[test]
fn what_talks_together_stays_together_where_all_else_is_equal() {
    let plan = decide(
        "
        clusters:
          a: {tier: cloud, region: one, nodes: [{name: n, cpu: 4, memory: 8Gi}]}
          b: {tier: cloud, region: two, nodes: [{name: n, cpu: 4, memory: 8Gi}]}
          c: {tier: edge, region: two, nodes: [{name: n, cpu: 4, memory: 8Gi}]}
        apps:
          shop:
            objectives: {cost: 1}
            components:
              - {name: web, manifests: [w], tiers: [cloud], dependsOn: [{component: db}]}
              - {name: db, manifests: [w], tiers: [edge]}
        ",
    );
    // 0.05 × (40 − 2) ms ÷ 100 ms.
    assert!(plan.ends_with("shop/web: b\n  a: +0.019\n  c: Tier: wants tier cloud, is edge\n"), "{plan}");
}

#[test]
fn a_caller_and_its_callee_move_together_where_neither_would_alone() {
    let plan = decide(
        "
        fleet: {moves: {price: 0.1}}
        clusters:
          a: {tier: fog, region: one, nodes: [{name: n, cpu: 4, memory: 8Gi, price: 2}]}
          b: {tier: fog, region: two, nodes: [{name: n, cpu: 4, memory: 8Gi, price: 1}]}
        apps:
          shop:
            objectives: {cost: 0.5, performance: 0.5}
            components:
              - {name: web, manifests: [w], dependsOn: [{component: db}]}
              - {name: db, manifests: [w]}
        runs: {shop/web: a, shop/db: a}
        ",
    );
    // Each would save 0.125 and pay 0.1 for its move, and alone 0.22 for the round trip.
    assert!(plan.starts_with("shop/db: b\n"), "{plan}");
    assert!(plan.contains("shop/web: b\n"), "{plan}");
}

#[test]
fn what_a_processor_draws_counts_per_vcpu_where_nobody_knows_the_node() {
    let plan = |signals: &str| {
        decide(&format!(
            "
            clusters:
              a: {{tier: fog, processor: old, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
              b: {{tier: fog, processor: new, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
            signals:
              s: {{source: test, basis: at full load, time: 2026-06-01T00:00:00Z, processors: [
                {{family: old, idleWatts: 4, maxWatts: 4}}, {{family: new, idleWatts: 2, maxWatts: 2}}]{signals}}}
            apps:
              shop: {{objectives: {{energy: 1}}, components: [{{name: web, manifests: [w]}}]}}
            "
        ))
    };
    // One CPU of eight at 4 W each against one of four at 2 W each, with 1 Wh as the reference.
    assert_eq!(plan(""), "shop/web: b\n  a: +2.000\n");
    // The model of a cluster counts before that of its processor.
    assert_eq!(
        plan(", powerModels: [{cluster: a, idleWatts: 8, maxWatts: 8}]"),
        "shop/web: a\n  b: +1.000\n"
    );
}

#[test]
fn what_keeps_a_component_from_better_clusters_says_what_it_costs() {
    let (revision, snapshot) = world(
        "
        clusters:
          a: {tier: fog, defaults: {price: 4}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
          b: {tier: edge, defaults: {price: 1}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
          c: {tier: edge, defaults: {price: 2}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
          d: {tier: fog, cordon: true, defaults: {price: 3}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
          e: {tier: edge, defaults: {price: 9}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
        apps:
          shop: {objectives: {cost: 1}, components: [{name: web, manifests: [w], tiers: [fog]}]}
        ",
    );
    let plan = explain(&revision, &snapshot, "shop").unwrap();
    let binding = &plan.components["web"].binding;
    let found: Vec<_> =
        binding.iter().map(|b| (b.filter, b.cluster.as_str(), b.gain, b.cost_per_hour)).collect();
    assert_eq!(found, [(Filter::Tier, "b", 750_000, 0.75), (Filter::Cordon, "d", 250_000, 0.25)]);
    let quality = Report::planned(&revision, &snapshot).quality.unwrap();
    assert!(quality.bound <= quality.value && quality.gap_pct() < 0.1, "{quality:?}");
}
