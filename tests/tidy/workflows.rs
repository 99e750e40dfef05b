//! Workflows, actions and hooks are what their readers take, by the schemas that these publish.

use std::process::Command;

use qonnect_tests::folder::repository;
use qonnect_tests::programs;

use crate::sources::{self, none};

/// A published schema that `check-jsonschema` brings along, and whose files have to match it.
const SCHEMAS: [(&str, &str); 2] =
    [("vendor.github-workflows", "/workflows/"), ("vendor.github-actions", "/actions/")];

#[test]
fn workflows_and_actions_match_their_published_schemas() {
    for (schema, folder) in SCHEMAS {
        let found = sources::all().into_iter().filter(|source| {
            source.path.contains(&format!(".github{folder}")) && source.path.ends_with(".yml")
        });
        let found: Vec<_> = found.map(|source| source.path).collect();
        assert!(!found.is_empty(), "nothing lies in .github{folder}");
        let mut check = Command::new(programs::python("check-jsonschema"));
        check.current_dir(repository()).args(["--builtin-schema", schema, "--"]).args(&found);
        faultless(schema, check);
    }
}

#[test]
fn hooks_are_as_pre_commit_reads_them() {
    let mut check = Command::new(programs::python("pre-commit"));
    check.current_dir(repository()).args(["validate-manifest", ".pre-commit-hooks.yaml"]);
    faultless(".pre-commit-hooks.yaml", check);
}

fn faultless(about: &str, mut check: Command) {
    let output = check.output().expect("it is there, as was seen");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let faults = if output.status.success() { vec![] } else { said.lines().map(String::from).collect() };
    none(about, faults);
}
