//! Room that is kept free for what dies.

use qonnect_core::placement::{Planner, Report, Touched};

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

/// What is guarded is on `a` and needs 5 vCPUs elsewhere, where 4 are free.
fn lacking(guarded: &str, batch: &str, runs: &str) -> String {
    format!(
        "
        clusters:
          a: {{tier: cloud, defaults: {{price: 16}}, nodes: [{{name: n, cpu: 8, memory: 64Gi}}]}}
          b: {{tier: fog, defaults: {{price: 1}}, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
          c: {{tier: fog, defaults: {{price: 1}}, nodes: [{{name: n, cpu: 4, memory: 64Gi}}]}}
        apps:
          batch:
            objectives: {{cost: 1}}
            components: [{{name: u1, manifests: [w]{batch}}}, {{name: u2, manifests: [w]{batch}}}]
          shop:
            objectives: {{cost: 1}}
            components: [{{name: web, manifests: [w]}}]
            constraints: {{survive: {guarded}}}
        pods: {{batch/u1: 1 x 2 1Gi, batch/u2: 1 x 2 1Gi, shop/web: 1 x 5 1Gi}}
        runs: {{shop/web: a, {runs}}}
        "
    )
}

#[test]
fn what_is_in_the_way_of_a_reserve_goes_where_it_is_not() {
    let lacks = lacking("cluster", "", "batch/u1: b, batch/u2: c");
    let plan = decide(&lacks);
    // One is enough, though it costs more there.
    assert_eq!(places(&plan), ["batch/u1: a", "batch/u2: c", "shop/web: a"]);
    let refused = "  b: Reserve: would leave 4 CPU free for what is on a, which needs 5 if that dies\n";
    assert!(plan.contains(refused), "{plan}");
    let (revision, snapshot) = world(&lacks);
    let mut planner = Planner::new(&revision, &snapshot);
    assert_eq!(Vec::from_iter(&planner.plan().applications["batch"].forced), ["u1"]);
    // While it waits for its turn it is still wanted elsewhere.
    let again = planner.replan(&revision, &snapshot, &Touched::default());
    assert_eq!(Vec::from_iter(&again["batch"].as_ref().unwrap().forced), ["u1"]);
    assert_eq!(again["batch"].as_ref().unwrap().components["u1"].cluster.as_deref(), Some("a"));
}

#[test]
fn what_goes_together_leaves_a_reserve_together_or_not_at_all() {
    let together = lacking("cluster", "", "batch/u1: b, batch/u2: b").replacen(
        "{name: u1, manifests: [w]",
        "{name: u1, manifests: [w], colocate: [u2]",
        1,
    );
    assert_eq!(places(&decide(&together)), ["batch/u1: b", "batch/u2: b", "shop/web: a"], "a takes but one");
    let plan = together.replacen("cpu: 8", "cpu: 12", 1);
    assert_eq!(places(&decide(&plan)), ["batch/u1: a", "batch/u2: a", "shop/web: a"]);
    let (revision, snapshot) = world(&plan);
    let mut planner = Planner::new(&revision, &snapshot);
    assert_eq!(Vec::from_iter(&planner.plan().applications["batch"].forced), ["u1", "u2"]);
}

#[test]
fn who_is_on_its_way_out_of_a_reserve_counts_as_gone() {
    for runs in ["batch/u1: a <- b, batch/u2: c", "batch/u1: a, batch/u2: c"] {
        let plan = decide(&lacking("cluster", "", runs));
        assert_eq!(places(&plan), ["batch/u1: a", "batch/u2: c", "shop/web: a"]);
    }
}

#[test]
fn a_reserve_that_nobody_can_mend_stays_as_it_is() {
    let stay = ["batch/u1: b", "batch/u2: c", "shop/web: a"];
    let runs = "batch/u1: b, batch/u2: c";
    assert_eq!(places(&decide(&lacking("cluster", ", tiers: [fog]", runs))), stay);
    // What is guarded itself would need as much room elsewhere.
    let all = lacking("cluster", "", runs).replacen("apps:", "fleet: {survive: cluster}\n        apps:", 1);
    assert_eq!(places(&decide(&all)), stay);
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
