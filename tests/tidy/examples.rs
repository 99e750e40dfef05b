//! What people copy works: the example repository is free of faults, and the kind clusters are its clusters.

use std::collections::BTreeSet;
use std::process::Command;

use qonnect_schema::{Cluster, Signals, yaml};
use qonnect_tests::folder::repository;
use qonnect_tests::programs;

use crate::sources::none;

#[test]
fn the_example_repository_validates_without_a_warning() {
    let mut qonnect = Command::new(programs::qonnect());
    qonnect.current_dir(repository()).args(["validate", "--strict", "example-repo"]);
    let output = qonnect.output().expect("qonnect starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
}

#[test]
fn every_schema_that_an_example_names_exists() {
    let mut findings = Vec::new();
    for source in crate::sources::with(".yaml", &["example-repo/"]) {
        let named =
            source.text.lines().find_map(|line| line.strip_prefix("# yaml-language-server: $schema="));
        let file = repository().join(&source.path);
        let folder = file.parent().expect("a file lies in a folder");
        match named {
            Some(schema) if folder.join(schema).is_file() => {}
            Some(schema) => findings.push(format!("{}: {schema} is not there", source.path)),
            None if source.text.contains("apiVersion: qonnect.io/") => {
                findings.push(format!("{}: names no schema", source.path));
            }
            None => {}
        }
    }
    none("editors would not check it", findings);
}

#[test]
fn every_table_can_be_copied_to_the_signals() {
    let folder = repository().join("example-repo/tables");
    for file in std::fs::read_dir(folder).expect("it is there").flatten() {
        let text = std::fs::read_to_string(file.path()).expect("it is text");
        let signals: Signals = yaml::from_str(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let stem = file.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
        assert_eq!(stem.as_deref(), Some(signals.name()));
        assert!(signals.spec.basis.is_some(), "{file:?} does not say how its numbers were counted");
    }
}

#[test]
fn kind_creates_the_clusters_of_the_example_with_the_same_rates() {
    let example = names("example-repo/clusters");
    assert_eq!(example, names("kind-clusters/clusters"));
    let settings = read("kind-clusters/settings.sh");
    for name in example {
        assert!(settings.contains(&name), "settings.sh does not know {name}");
        let cluster: Cluster = yaml::from_str(&read(&format!("example-repo/clusters/{name}.yaml"))).unwrap();
        let kind = read(&format!("kind-clusters/clusters/{name}.yaml"));
        let rates = cluster.spec.defaults;
        for (label, rate) in [
            ("energy", rates.energy.map(|rate| rate.to_string())),
            ("price", rates.price.map(|rate| rate.to_string())),
            ("bandwidth", rates.bandwidth.map(|rate| rate.to_string())),
        ] {
            let rate = rate.expect("the example declares every rate");
            let value =
                kind.lines().find_map(|line| line.trim().strip_prefix(&format!("qonnect.io/{label}: ")));
            assert_eq!(value.map(|value| value.trim_matches('"')), Some(rate.as_str()), "{label} of {name}");
        }
    }
}

fn names(folder: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(repository().join(folder)).expect("the folder exists");
    let names =
        files.map(|file| file.expect("a folder lists").file_name().into_string().expect("names are UTF-8"));
    names.map(|name| name.trim_end_matches(".yaml").to_owned()).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
