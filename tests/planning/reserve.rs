//! Room that is kept free for what dies.

use qonnect_core::placement::Report;

use crate::scenario::{decide, world};

/// Three clusters of four vCPUs and four components of two.
fn fleet(survive: &str, app: &str) -> String {
    format!(
        "
        fleet: {{{survive}}}
        clusters:
          a: {{tier: fog, region: north, defaults: {{price: 1}}, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
          b: {{tier: fog, region: north, defaults: {{price: 2}}, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
          c: {{tier: fog, region: south, defaults: {{price: 3}}, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
        apps:
          shop:
            objectives: {{cost: 1}}
            components:
              - {{name: c1, manifests: [w]}}
              - {{name: c2, manifests: [w]}}
              - {{name: c3, manifests: [w]}}
              - {{name: c4, manifests: [w]}}
              - {{name: c5, manifests: [w]}}
            {app}
        pods: {{shop/c1: 1 x 2 1Gi, shop/c2: 1 x 2 1Gi, shop/c3: 1 x 2 1Gi, shop/c4: 1 x 2 1Gi, shop/c5: 1 x 2 1Gi}}
        "
    )
}

fn places(plan: &str) -> Vec<&str> {
    plan.lines().filter(|line| !line.starts_with(' ')).collect()
}

#[test]
fn nothing_new_takes_the_room_of_what_may_die() {
    let plan = decide(&fleet("survive: cluster", ""));
    assert_eq!(places(&plan), ["shop/c1: a", "shop/c2: a", "shop/c3: b", "shop/c4: b", "shop/c5: nowhere"]);
    let refused = "  c: Reserve: would leave 2 CPU free for what is on a, which needs 4 if that dies\n";
    assert!(plan.ends_with(refused), "{plan}");
    assert_eq!(places(&decide(&fleet("", "")))[4], "shop/c5: c");
}

#[test]
fn a_region_dies_as_a_whole() {
    let plan = decide(&fleet("survive: region", ""));
    // What is in the north needs room in the south, so that both together hold no more than the south alone.
    let placed: Vec<_> = places(&plan).into_iter().filter(|line| !line.ends_with("nowhere")).collect();
    assert_eq!(placed, ["shop/c1: a", "shop/c2: a"]);
    let refused =
        "  c: Reserve: would leave 2 CPU free for what is on region north, which needs 4 if that dies\n";
    assert!(plan.ends_with(refused), "{plan}");
}

#[test]
fn an_application_may_ask_for_itself() {
    assert_eq!(places(&decide(&fleet("", "constraints: {survive: cluster}")))[4], "shop/c5: nowhere");
}

#[test]
fn what_dies_takes_the_reserve() {
    let lost = fleet("survive: cluster", "")
        + "states: {a: {status: Lost}}\n        runs: {shop/c1: a, shop/c2: a, shop/c3: b, shop/c4: b}\n";
    assert_eq!(
        places(&decide(&lost)),
        ["shop/c1: c", "shop/c2: c", "shop/c3: b", "shop/c4: b", "shop/c5: nowhere"]
    );
}

#[test]
fn a_report_says_what_would_be_missing_after_all() {
    let losses = |scenario: &str| {
        let (revision, snapshot) = world(scenario);
        let losses = Report::planned(&revision, &snapshot).losses;
        losses.into_iter().map(|loss| (loss.lost, loss.components, loss.missing)).collect::<Vec<_>>()
    };
    assert_eq!(losses(&fleet("", "")), []);
    let fits = losses(&fleet("survive: cluster", ""));
    assert_eq!(fits, [("a".into(), 2, vec![]), ("b".into(), 2, vec![])]);
    // What ran before anybody asked is not evicted.
    let full = fleet("survive: cluster", "")
        + "runs: {shop/c1: a, shop/c2: a, shop/c3: b, shop/c4: b, shop/c5: c}\n";
    let missing = losses(&full);
    assert_eq!((missing[0].0.as_str(), missing[0].2.len()), ("a", 1), "{missing:?}");
}
