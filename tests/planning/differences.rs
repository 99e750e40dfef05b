//! What a change of the repository changes, and nothing else.

use qonnect_core::placement::{Change, difference};

use crate::scenario::world;

const BASE: &str = "
    clusters:
      a: {tier: fog, defaults: {price: 1, energy: 0.01}, nodes: [{name: n, cpu: 8, memory: 64Gi}]}
      b: {tier: fog, defaults: {price: 2, energy: 0.01}, nodes: [{name: n, cpu: 8, memory: 64Gi}]}
    apps:
      shop:
        objectives: {cost: 1}
        components: [{name: web, manifests: [w]}]
      blog:
        objectives: {cost: 1}
        components: [{name: web, manifests: [w]}]
    runs: {blog/web: b}
";

#[test]
fn only_what_the_change_asks_for_is_in_the_difference() {
    let head = BASE.replace(
        "[{name: web, manifests: [w]}]\n      blog",
        "[{name: web, manifests: [w]}, {name: db, manifests: [w]}]\n      blog",
    );
    let ((base, snapshot), (head, _)) = (world(BASE), world(&head));
    let report = difference(&base, &head, &snapshot);
    let changes: Vec<_> = report
        .changes()
        .map(|line| (line.change, line.application.as_str(), line.component.as_str()))
        .collect();
    assert_eq!(changes, [(Change::Place, "shop", "db")], "blog would move to the cheaper cluster anyhow");
    assert_eq!((report.before.placed, report.after.placed), (2, 3));
    assert_eq!(difference(&base, &base, &snapshot).changes().count(), 0);
}

#[test]
fn what_the_change_takes_away_is_removed() {
    let (base, snapshot) = world(BASE);
    let mut head = base.clone();
    head.applications.remove("blog");
    let report = difference(&base, &head, &snapshot);
    let changes: Vec<_> = report.changes().map(|line| (line.change, line.application.as_str())).collect();
    assert_eq!(changes, [(Change::Remove, "blog")]);
}
