//! What the documents promise exists: links lead somewhere, commands can be run.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use qonnect_tests::folder::repository;
use qonnect_tests::programs;

use crate::sources::{self, Source, none};

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut findings = Vec::new();
    for source in sources::with(".md", &[]) {
        let folder = repository().join(&source.path);
        let folder = folder.parent().expect("a file lies in a folder");
        for target in links(&source.text).into_iter().filter(|target| !leads_somewhere(folder, target)) {
            findings.push(format!("{}: {target}", source.path));
        }
    }
    none("a link to nowhere", findings);
}

fn leads_somewhere(folder: &Path, target: &str) -> bool {
    let path = target.split('#').next().unwrap_or_default();
    target.contains("://") || target.starts_with("mailto:") || path.is_empty() || folder.join(path).exists()
}

/// What stands between `](` and `)`.
fn links(text: &str) -> Vec<String> {
    let after = text.split("](").skip(1);
    after.filter_map(|rest| rest.split(')').next()).map(String::from).collect()
}

#[test]
fn every_make_target_that_a_document_names_exists() {
    let makefile = std::fs::read_to_string(repository().join("Makefile")).expect("there is a Makefile");
    let targets: BTreeSet<_> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect();
    let mut findings = Vec::new();
    for source in sources::with(".md", &[]) {
        for target in
            commands(&source, "make").into_iter().filter(|target| !targets.contains(target.as_str()))
        {
            findings.push(format!("{}: make {target}", source.path));
        }
    }
    none("no such target in the Makefile", findings);
}

#[test]
fn every_command_that_a_document_names_exists() {
    let mut named = BTreeSet::new();
    for source in sources::with(".md", &[]) {
        for command in commands(&source, "qonnect") {
            named.insert((command, source.path.clone()));
        }
    }
    assert!(!named.is_empty(), "the README shows commands");
    let missing = named.into_iter().filter(|(command, _)| !exists(command));
    none("no such command", missing.map(|(command, path)| format!("{path}: qonnect {command}")).collect());
}

fn exists(command: &str) -> bool {
    let output = Command::new(programs::qonnect()).args([command, "--help"]).output();
    output.expect("qonnect starts").status.success()
}

/// The word behind a program's name, where it stands as a command: after a backtick, a prompt or at the start of a
/// line of code.
fn commands(source: &Source, program: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in source.text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
            continue;
        }
        let line = line.trim_start().trim_start_matches("$ ");
        let mut places: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
        if in_code {
            places = vec![line];
        }
        let words = places.into_iter().filter_map(|place| place.strip_prefix(program)?.strip_prefix(' '));
        found.extend(words.filter_map(|rest| {
            let word = rest.split_whitespace().next()?;
            word.chars().all(|c| c.is_ascii_lowercase() || c == '-').then(|| word.to_owned())
        }));
    }
    found.retain(|word| !word.starts_with('-'));
    found
}

#[test]
fn commands_are_found_in_prose_and_in_blocks() {
    let text = "Run `make test` or `make`.\n```console\n$ make demo ARGS=x\nmake fix\n```\nmake sure of `make VAR=1`.";
    let source = Source { path: String::new(), text: text.into() };
    assert_eq!(commands(&source, "make"), ["test", "demo", "fix"]);
}
