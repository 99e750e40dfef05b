//! How the repository looks: what lies at its top, how long files are, how they begin, what types are called.

use std::collections::BTreeSet;

use crate::sources::{self, none};

/// The first thing that a visitor reads; a new entry needs a reason.
const TOP_LEVEL: [&str; 23] = [
    ".cargo",
    ".ci",
    ".github",
    ".gitignore",
    ".pre-commit-hooks.yaml",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "NOTICE",
    "README.md",
    "agent",
    "clippy.toml",
    "deny.toml",
    "example-repo",
    "kind-clusters",
    "reconciler",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "schema",
];

/// Beyond it a file holds more than one idea. Tests at its end do not count.
const LINES_MAX: usize = 450;

/// Words that say nothing of what a type is.
const EMPTY_WORDS: [&str; 8] = ["Manager", "Helper", "Util", "Utils", "Info", "Data", "Processor", "Misc"];

#[test]
fn nothing_unknown_lies_at_the_top() {
    let known: BTreeSet<_> = TOP_LEVEL.into_iter().chain(["tests"]).collect();
    let entries: BTreeSet<_> = sources::all().iter().map(top).collect();
    none(
        "unknown at the top level",
        entries.into_iter().filter(|one| !known.contains(one.as_str())).collect(),
    );
}

fn top(source: &sources::Source) -> String {
    source.path.split('/').next().unwrap_or_default().into()
}

#[test]
fn every_source_begins_by_saying_what_it_is_for() {
    // A module that is called `tests` has said it.
    let others = sources::with(".rs", &[]).into_iter().filter(|source| !source.path.ends_with("/tests.rs"));
    let silent = others.filter(|source| !source.text.starts_with("//! "));
    none("no `//!` heading", silent.map(|source| source.path).collect());
}

#[test]
fn a_source_holds_one_idea() {
    let mut findings = Vec::new();
    for source in sources::with(".rs", &[]) {
        let lines = source.text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        if lines > LINES_MAX {
            findings.push(format!("{}: {lines} lines", source.path));
        }
    }
    none("longer than one idea needs", findings);
}

#[test]
fn types_have_names_that_say_something() {
    let mut findings = Vec::new();
    for source in sources::with(".rs", &[]) {
        for (number, line) in source.code() {
            if let Some(name) = declared_type(line)
                && words(name).iter().any(|word| EMPTY_WORDS.contains(&word.as_str()))
            {
                findings.push(format!("{}:{number}: {name}", source.path));
            }
        }
    }
    none("a type's name has an empty word", findings);
}

/// Types inside of an `impl` are named by somebody else's trait.
fn declared_type(line: &str) -> Option<&str> {
    let rest = if line.trim_start().starts_with("type ") { line } else { line.trim_start() };
    let rest =
        ["pub(crate) ", "pub(super) ", "pub "].iter().find_map(|pre| rest.strip_prefix(pre)).unwrap_or(rest);
    let rest =
        ["struct ", "enum ", "trait ", "type "].iter().find_map(|keyword| rest.strip_prefix(keyword))?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    Some(&rest[..end])
}

/// The words of a name in camel case.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.into()),
        }
    }
    words
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    let places = [concat!("/", "root/"), concat!("/", "work/"), concat!("/home", "/user")];
    let mut findings = Vec::new();
    for source in sources::all() {
        for (index, line) in source.text.lines().enumerate() {
            if places.iter().any(|place| line.contains(place)) {
                findings.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    none("a path that only one machine has", findings);
}
