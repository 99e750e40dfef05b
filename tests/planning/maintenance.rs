//! Clusters that are worked on: drained before, filled again after. It is Monday noon in UTC.

use crate::scenario::decide;

fn plan(maintenance: &str) -> String {
    decide(&format!(
        "
        fleet:
          maintenance: [{{clusterSelector: {{matchLabels: {{site: north}}}}, {maintenance}}}]
        labels: {{a: {{site: north}}, b: {{site: south}}}}
        clusters:
          a: {{tier: fog, defaults: {{price: 1}}, nodes: [{{name: a, cpu: 4, memory: 8Gi}}]}}
          b: {{tier: fog, defaults: {{price: 9}}, nodes: [{{name: b, cpu: 4, memory: 8Gi}}]}}
        apps:
          shop: {{objectives: {{cost: 1}}, components: [{{name: web, manifests: [w]}}]}}
        runs: {{shop/web: a}}
        "
    ))
}

const MOVES: &str =
    "shop/web: b\n  a: Cordon: is worked on until 2026-06-01T14:00:00Z: everything moves away\n";

#[test]
fn everything_moves_away_before_the_work_and_stays_away_until_its_end() {
    assert_eq!(plan("schedule: \"20 12 * * 1\", duration: 100m, drainBefore: 20m"), MOVES);
    assert_eq!(plan("schedule: \"0 11 * * 1\", duration: 3h"), MOVES);
    assert_eq!(plan("schedule: \"0 13 * * 1\", timeZone: Europe/Berlin, duration: 3h"), MOVES);
}

#[test]
fn before_and_after_it_nothing_happens() {
    for maintenance in [
        "schedule: \"21 12 * * 1\", duration: 3h, drainBefore: 20m",
        "schedule: \"0 9 * * 1\", duration: 3h",
        "schedule: \"0 12 * * 2\", duration: 3h",
    ] {
        assert!(plan(maintenance).starts_with("shop/web: a\n"), "{maintenance}");
    }
}
