//! Shell scripts hold to what shellcheck knows.

use std::process::Command;

use qonnect_tests::folder::repository;

use crate::sources::{self, Source, none};

#[test]
fn shellcheck_finds_nothing() {
    let is_script =
        |source: &Source| source.text.starts_with("#!") && source.text.lines().next().is_some_and(is_shell);
    let scripts: Vec<_> = sources::all().into_iter().filter(is_script).collect();
    assert!(!scripts.is_empty(), "there are scripts");
    let mut shellcheck = Command::new("shellcheck");
    shellcheck.current_dir(repository()).args(["--format=gcc", "--external-sources"]);
    let output = shellcheck.args(scripts.iter().map(|script| &script.path)).output();
    let output = output.expect("shellcheck is installed; `make setup` does so");
    none("shellcheck", String::from_utf8_lossy(&output.stdout).lines().map(String::from).collect());
}

fn is_shell(line: &str) -> bool {
    line.ends_with("sh")
}

#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let silent =
        sources::all().into_iter().filter(|source| source.text.starts_with("#!/")).filter(|source| {
            let metadata = repository().join(&source.path).metadata().expect("it was read a moment ago");
            metadata.permissions().mode() & 0o111 == 0
        });
    none("not executable", silent.map(|source| source.path).collect());
}
