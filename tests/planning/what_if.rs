//! Worlds that differ in a few named things, and what a plan takes for granted.

use qonnect_core::placement::{Report, survive, what_if};
use qonnect_schema::documents::fleet::Domain;

use crate::scenario::world;

const SHOP: &str = "
    clusters:
      a: {tier: fog, region: north, defaults: {price: 1, energy: 0.01}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
      b: {tier: fog, region: south, defaults: {price: 2, energy: 0.01}, nodes: [{name: n, cpu: 2, memory: 64Gi}]}
      c: {tier: edge, region: south, defaults: {price: 4, energy: 0.01}, nodes: [{name: n, cpu: 4, memory: 64Gi}]}
    signals:
      old: {source: test, time: 2026-01-01T00:00:00Z, validUntil: 2026-02-01T00:00:00Z, prices: [{cluster: a, price: 9}]}
    apps:
      shop:
        objectives: {cost: 1}
        components:
          - {name: db, manifests: [w], tiers: [fog]}
          - {name: web, manifests: [w], dependsOn: [{component: db}]}
    pods: {shop/db: 1 x 2 1Gi}
";

fn report(changes: &[&str]) -> Report {
    let (revision, snapshot) = world(SHOP);
    let changes: Vec<_> = changes.iter().map(|change| change.parse().unwrap()).collect();
    what_if(&revision, &snapshot, &changes).unwrap()
}

fn moves(report: &Report) -> Vec<String> {
    let line = |line: &qonnect_core::placement::Line| {
        let place = |place: &Option<String>| place.clone().unwrap_or_else(|| "-".into());
        format!("{:?} {} {} {}", line.change, line.component, place(&line.from), place(&line.to))
    };
    report.components.iter().map(line).collect()
}

#[test]
fn a_cluster_that_is_lost_sends_its_components_elsewhere() {
    let report = report(&["lose cluster=a"]);
    assert_eq!(moves(&report), ["Move db a b", "Move web a c"]);
    assert_eq!((report.before.placed, report.after.placed), (2, 2));
    // Two of four vCPUs and one of four, at 1; then two of two at 2, and one of four at 4.
    assert_eq!((report.before.cost, report.after.cost), (0.75, 3.0));
    assert_eq!((report.before.latency, report.after.latency), (0.0, 2.0));
}

#[test]
fn what_finds_no_other_cluster_runs_nowhere() {
    assert_eq!(moves(&report(&["lose region=north", "lose cluster=b"])), ["Unplaced db a -", "Move web a c"]);
}

#[test]
fn a_price_and_a_drain_move_what_gains_by_it() {
    assert_eq!(moves(&report(&["price c=0.1"])), ["Stay db a a", "Move web a c"]);
    assert_eq!(moves(&report(&["drain cluster=a"])), ["Move db a b", "Move web a c"]);
    let nothing = report(&["carbon *=1"]);
    assert_eq!(nothing.changes().count(), 0);
}

#[test]
fn each_loss_names_what_would_be_missing() {
    let (revision, snapshot) = world(SHOP);
    let losses = survive(&revision, &snapshot, Domain::Cluster);
    assert_eq!(losses.len(), 1, "only one cluster is in use");
    assert_eq!((losses[0].lost.as_str(), losses[0].components, losses[0].missing.len()), ("a", 2, 0));

    let small = SHOP.replace("cpu: 2", "cpu: 1");
    let (revision, snapshot) = world(&small);
    let losses = survive(&revision, &snapshot, Domain::Region);
    assert_eq!(losses[0].lost, "north");
    assert_eq!(losses[0].missing, ["shop/db"]);
}

#[test]
fn a_plan_says_what_it_takes_for_granted() {
    assert_eq!(
        report(&[]).notes,
        ["old ended at 2026-02-01T00:00:00Z: what else is known of the same counts"]
    );
    let (revision, snapshot) =
        world(&SHOP.replace("price: 4, ", "").replace("cost: 1", "cost: 1, carbon: 1"));
    let notes = what_if(&revision, &snapshot, &["carbon north=50".parse().unwrap()]).unwrap().notes;
    assert_eq!(
        notes[1..],
        [
            "nobody says what a node costs on c: 1 per hour of the fleet's defaults counts",
            "nobody says the PUE of a, b, c: 1.5 of the fleet's defaults counts",
            "nobody says the grid intensity of south: 400 gCO2e/kWh of the fleet's defaults counts",
        ]
    );
}
