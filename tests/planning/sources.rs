//! Who says the figures that a score stands on.

use qonnect_core::placement::explain;

use crate::scenario::world;

const SHOP: &str = "
    clusters:
      a: {tier: fog, region: north, nodes: [{name: n, cpu: 4, memory: 64Gi}, {name: m, cpu: 4, memory: 64Gi, price: 2}]}
      b: {tier: edge, region: south, defaults: {price: 2}, nodes: [{name: n, cpu: 2, memory: 64Gi, energy: 0.01}]}
    signals:
      signals/first.yaml: {source: grid operator, time: 2025-01-01T00:00:00Z, gridIntensity: [{region: north, gramsPerKwh: 90}]}
      signals/later.yaml: {source: market, time: 2025-02-01T00:00:00Z, gridIntensity: [{region: north, gramsPerKwh: 80}]}
    states:
      b: {status: Ready, measured: {roundTrips: {a: 9ms}}}
    apps:
      shop:
        objectives: {cost: 1, carbon: 1}
        components:
          - {name: db, manifests: [w], tiers: [edge]}
          - {name: web, manifests: [w], tiers: [fog], dependsOn: [{component: db}]}
";

/// What stands beside a figure of a component.
fn source(scenario: &str, component: &str, term: &str) -> String {
    let (revision, snapshot) = world(scenario);
    let plan = explain(&revision, &snapshot, "shop").unwrap();
    let score = plan.components[component].score.clone().unwrap();
    score.terms.into_iter().find(|found| found.name == term).unwrap().source.into_owned()
}

#[test]
fn each_figure_names_who_says_it() {
    for (component, term, expected) in [
        ("web", "cost", "its document's nodes for 1 of 2, the fleet's defaults for the others"),
        ("db", "cost", "its document's defaults"),
        ("db", "energy", "its document's nodes"),
        ("web", "energy", "the fleet's defaults"),
        (
            "web",
            "carbon",
            "energy: the fleet's defaults; PUE: the fleet's defaults; grid: signals/later.yaml (market)",
        ),
        ("web", "communication", "measured by their agents"),
        ("db", "communication", "measured by their agents"),
    ] {
        assert_eq!(source(SHOP, component, term), expected, "{term} of {component}");
    }
    let trip = SHOP.replace(
        "signals/first.yaml: {",
        "signals/first.yaml: {roundTrips: [{between: [b, a], latency: 3ms}], ",
    );
    assert_eq!(source(&trip, "web", "communication"), "signals/first.yaml (grid operator)");
    let rates = SHOP.replace(
        "time: 2025-02-01T00:00:00Z,",
        "time: 2025-02-01T00:00:00Z, prices: [{cluster: a, price: 1}],",
    );
    assert_eq!(source(&rates, "web", "cost"), "signals/later.yaml (market)");
}
