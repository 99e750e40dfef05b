//! Bad input of many kinds, and exactly what is found in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cases::APPLICATION_CASES;
use fleet_cases::{FLEET_CASES, WARNING_CASES};

use super::*;
use crate::claims::clashes;
use crate::diagnostic::Severity;
use crate::tree::Entry;

mod cases;
mod fleet_cases;

/// A repository without a fault.
struct Repository(Tree);

const APPLICATION: &str = "apps/shop/application.yaml";
const WEB: &str = "apps/shop/web.yaml";

impl Repository {
    fn good() -> Self {
        Self(Tree::new())
            .write(
                "fleet.yaml",
                "apiVersion: qonnect.io/v1alpha1\nkind: Fleet\nmetadata: {name: fleet}\nspec: {}\n",
            )
            .write("clusters/north.yaml", &cluster("north", "cloud", "de"))
            .write("clusters/south.yaml", &cluster("south", "edge", "es"))
            .write(
                "signals/prices.yaml",
                "apiVersion: qonnect.io/v1alpha1
kind: Signals
metadata: {name: prices}
spec:
  source: a meter
  time: 2026-11-21T18:00:00Z
  prices: [{cluster: north, price: 2}]
",
            )
            .write(
                APPLICATION,
                "apiVersion: qonnect.io/v1alpha1
kind: Application
metadata: {name: shop}
spec:
  objectives: {energy: 1}
  components:
    - name: web
      manifests: [web.yaml]
      tiers: [cloud]
      dependsOn: [{component: db, maxLatency: 40ms}]
    - name: db
      manifests: [db]
      expose: {service: db, nodePort: 30001}
",
            )
            .write(
                WEB,
                "apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data:
  url: http://${component.db.host}:${component.db.port}/
  home: $${HOME}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {}
",
            )
            .write("apps/shop/db/service.yaml", SERVICE)
    }

    fn write(mut self, path: &str, text: &str) -> Self {
        self.0.insert(path.into(), Entry::file(text));
        self
    }

    fn put(mut self, path: &str, entry: Entry) -> Self {
        self.0.insert(path.into(), entry);
        self
    }

    fn remove(mut self, path: &str) -> Self {
        assert!(self.0.remove(path).is_some(), "{path}");
        self
    }

    fn rename(self, from: &str, to: &str) -> Self {
        let entry = self.0[from].clone();
        self.remove(from).put(to, entry)
    }

    /// Replaces the only place where a text occurs.
    fn replace(self, path: &str, from: &str, to: &str) -> Self {
        let old = String::from_utf8(self.0[path].bytes().unwrap().to_vec()).unwrap();
        assert_eq!(old.matches(from).count(), 1, "`{from}` in {path}");
        self.write(path, &old.replace(from, to))
    }

    fn append(self, path: &str, text: &str) -> Self {
        let old = String::from_utf8(self.0[path].bytes().unwrap().to_vec()).unwrap();
        self.write(path, &(old + text))
    }

    fn check(&self) -> Checked {
        repository(&self.0, "c0ffee", Timestamp::UNIX_EPOCH)
    }

    /// One line a finding: severity, code, file, line, column and pointer.
    fn findings(&self) -> Vec<String> {
        let line = |found: &Diagnostic| {
            let severity = if found.severity == Severity::Error { "error" } else { "warning" };
            let place =
                found.place.map(|place| format!(":{}:{}", place.line, place.column)).unwrap_or_default();
            format!("{severity} {} {}{place} {}", found.code, found.file, found.pointer)
                .trim_end()
                .to_string()
        };
        self.check().findings.iter().map(line).collect()
    }
}

const SERVICE: &str = "apiVersion: v1
kind: Service
metadata: {name: db}
spec:
  selector: {app: db}
  ports: [{port: 5432}]
";

fn cluster(name: &str, tier: &str, region: &str) -> String {
    format!(
        "apiVersion: qonnect.io/v1alpha1
kind: Cluster
metadata: {{name: {name}}}
spec:
  tier: {tier}
  region: {region}
  nodes: [{{name: worker, cpu: 4, memory: 8Gi}}]
"
    )
}

#[test]
fn a_good_repository_is_read_whole() {
    let checked = Repository::good().check();
    assert_eq!(checked.findings, []);
    assert!(!checked.refused && checked.faulty.is_empty());
    let revision = checked.revision;
    assert_eq!(revision.commit, "c0ffee");
    assert_eq!(revision.clusters.keys().collect::<Vec<_>>(), ["north", "south"]);
    assert_eq!(revision.signals.keys().collect::<Vec<_>>(), ["signals/prices.yaml"]);
    let shop = &revision.applications["shop"];
    assert_eq!(
        shop.manifests["web"].iter().map(|m| (m.path.as_str(), m.document)).collect::<Vec<_>>(),
        [(WEB, 0), (WEB, 1)]
    );
    assert_eq!(shop.manifests["db"].len(), 1);
}

#[test]
fn a_fault_of_an_application_holds_it_and_is_placed() {
    for (spoil, wanted) in APPLICATION_CASES {
        let repository = spoil(Repository::good());
        assert_eq!(repository.findings(), *wanted);
        let checked = repository.check();
        assert!(!checked.refused, "{wanted:?}");
        assert_eq!(checked.faulty.iter().collect::<Vec<_>>(), ["shop"], "{wanted:?}");
        assert!(checked.revision.applications.is_empty(), "{wanted:?}");
        assert_eq!(checked.revision.clusters.len(), 2, "{wanted:?}");
    }
}

#[test]
fn a_fault_of_the_fleet_refuses_the_revision_and_is_placed() {
    for (spoil, wanted) in FLEET_CASES {
        let repository = spoil(Repository::good());
        assert_eq!(repository.findings(), *wanted);
        let checked = repository.check();
        assert!(checked.refused && checked.faulty.is_empty(), "{wanted:?}");
    }
}

#[test]
fn a_warning_neither_holds_nor_refuses() {
    for (spoil, wanted) in WARNING_CASES {
        let repository = spoil(Repository::good());
        assert_eq!(repository.findings(), *wanted);
        let checked = repository.check();
        assert!(!checked.refused && checked.faulty.is_empty(), "{wanted:?}");
        assert!(checked.revision.applications.contains_key("shop"), "{wanted:?}");
    }
}

#[test]
fn the_later_application_is_held_when_two_want_the_same() {
    let other = "apiVersion: qonnect.io/v1alpha1
kind: Application
metadata: {name: zoo}
spec:
  objectives: {cost: 1}
  namespace: shop
  components:
    - {name: animals, manifests: [animals.yaml], expose: {service: db, nodePort: 30001}}
";
    let repository =
        Repository::good().write("apps/zoo/application.yaml", other).write("apps/zoo/animals.yaml", SERVICE);
    assert_eq!(
        repository.findings(),
        [
            "error duplicate-object apps/zoo/animals.yaml:3:18 /metadata/name",
            "error duplicate-node-port apps/zoo/application.yaml:8:82 /spec/components/0/expose/nodePort",
        ]
    );
    let checked = repository.check();
    assert_eq!(checked.faulty.iter().collect::<Vec<_>>(), ["zoo"]);
    assert!(checked.revision.applications.contains_key("shop"));
}

#[test]
fn applications_of_different_commits_are_held_to_the_same_rule() {
    let both = |name: &str| {
        let repository = Repository::good();
        let checked = repository.replace(APPLICATION, "spec:\n", "spec:\n  namespace: shop\n").check();
        let mut source = (*checked.revision.applications["shop"]).clone();
        source.application.metadata.name = name.into();
        (name.to_string(), Arc::new(source))
    };
    let alone: BTreeMap<_, _> = [both("shop")].into();
    assert_eq!(clashes(&alone, &[]), []);
    let found = clashes(&[both("shop"), both("zoo")].into(), &[]);
    let said: Vec<_> = found.iter().map(|clash| (clash.second.0.as_str(), clash.to_string())).collect();
    assert_eq!(said.len(), 4);
    assert!(
        said.contains(&("zoo", "the node port 30001 belongs to the component `db` of `shop`".into())),
        "{said:?}"
    );
}

#[test]
fn what_is_wrong_is_said_with_the_way_out() {
    for (path, from, to, message, help) in [
        (APPLICATION, "objectives", "objectivs", "unknown field `objectivs`", "did you mean `objectives`?"),
        (APPLICATION, "40ms", "40", "expected a duration, such as 40ms or 1.5s, found the number 40", ""),
        (APPLICATION, "40ms", "40 ms", "`40 ms` is not a duration, such as 40ms or 1.5s", ""),
        (APPLICATION, "energy: 1", "energy: 2", "`2` is out of range, expected 0 to 1", ""),
        (
            APPLICATION,
            "component: db",
            "component: dv",
            "this application has no component `dv`",
            "did you mean `db`?",
        ),
        (
            WEB,
            "component.db.host",
            "component.db.hots",
            "unknown variable `component.db.hots`",
            "did you mean `component.db.host`?",
        ),
        (
            "clusters/north.yaml",
            "tier: cloud",
            "tier: ",
            "`tier` has no value, expected a text",
            "give it a value, or leave the line out where it is optional",
        ),
    ] {
        let checked = Repository::good().replace(path, from, to).check();
        let said = checked
            .findings
            .iter()
            .any(|found| found.message == message && found.help.as_deref().unwrap_or_default() == help);
        assert!(said, "`{message}` ({help}) in {:#?}", checked.findings);
    }
}
