//! The dependency graph, as `cargo metadata` tells it: licences, banned packages, who depends on whom.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::LazyLock;

use qonnect_tests::folder::repository;
use qonnect_tests::process::{run, run_command};
use serde_json::Value;

use crate::sources::none;

static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let host = run("rustc", &["-vV"]);
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let mut cargo = Command::new(env!("CARGO"));
    // Offline: what was just built is here, and a test asks no registry.
    cargo.args(["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host]);
    cargo.current_dir(repository());
    serde_json::from_str(&run_command(cargo)).expect("cargo writes JSON")
});

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// Every package that is compiled for this platform.
fn compiled() -> Vec<&'static Value> {
    let nodes = list(&METADATA["resolve"], "nodes");
    let ids: BTreeSet<_> = nodes.iter().map(|node| text(node, "id")).collect();
    list(&METADATA, "packages").iter().filter(|package| ids.contains(text(package, "id"))).collect()
}

/// What the library or program itself needs, by the packages' own names; not what its tests need.
pub(crate) fn direct_dependencies(package: &str) -> Vec<String> {
    let packages = list(&METADATA, "packages");
    let package = packages.iter().find(|one| text(one, "name") == package).expect("the package exists");
    let normal = list(package, "dependencies").iter().filter(|dependency| dependency["kind"].is_null());
    normal.map(|dependency| text(dependency, "name").into()).collect()
}

/// The strings between `key = [` and the closing bracket in `deny.toml`; of tables those behind `name =`.
fn policy(key: &str) -> Vec<String> {
    let file = std::fs::read_to_string(repository().join("deny.toml")).expect("deny.toml can be read");
    let (_, rest) = file.split_once(&format!("\n{key} = [\n")).expect("deny.toml has the list");
    let (list, _) = rest.split_once("\n]").expect("the list ends");
    let first_string = |line: &str| line.split('"').nth(1).map(String::from);
    list.lines().filter_map(first_string).collect()
}

#[test]
fn every_licence_is_one_that_we_accept() {
    let allowed = policy("allow");
    let mut findings = Vec::new();
    for package in compiled() {
        let licence = text(package, "license");
        if !accepts(licence, &allowed) {
            findings.push(format!("{} {}: `{licence}`", text(package, "name"), text(package, "version")));
        }
    }
    none("deny.toml lists the licences that may be shipped", findings);
}

#[test]
fn no_banned_package_is_compiled() {
    let banned = policy("deny");
    assert!(banned.len() > 3, "deny.toml names the banned packages");
    let found = compiled().into_iter().map(|package| text(package, "name"));
    none(
        "deny.toml bans",
        found.filter(|name| banned.iter().any(|one| one == name)).map(String::from).collect(),
    );
}

/// Whether an SPDX expression leaves a choice of accepted licences. `AND` binds closer than `OR`.
fn accepts(expression: &str, allowed: &[String]) -> bool {
    alternatives(expression, " OR ").iter().any(|choice| {
        let all = alternatives(choice, " AND ");
        match all.as_slice() {
            [one] => match one.strip_prefix('(').and_then(|one| one.strip_suffix(')')) {
                Some(inner) => accepts(inner, allowed),
                None => allowed.iter().any(|licence| licence == one),
            },
            all => all.iter().all(|one| accepts(one, allowed)),
        }
    })
}

/// Splits outside of parentheses. A slash is how older packages write `OR`.
fn alternatives(expression: &str, separator: &str) -> Vec<String> {
    let expression = expression.replace(" / ", " OR ").replace('/', " OR ");
    let mut depth = 0;
    let mut parts = vec![String::new()];
    let mut rest = expression.as_str();
    while let Some(next) = rest.chars().next() {
        if depth == 0 && rest.starts_with(separator) {
            parts.push(String::new());
            rest = &rest[separator.len()..];
            continue;
        }
        depth += i32::from(next == '(') - i32::from(next == ')');
        parts.last_mut().expect("there is always one").push(next);
        rest = &rest[next.len_utf8()..];
    }
    parts.into_iter().map(|part| part.trim().into()).collect()
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT", "ISC"].map(String::from);
    for (expression, right) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("MIT AND (GPL-3.0 OR ISC)", true),
        ("(MIT OR ISC) AND GPL-3.0", false),
        ("MIT OR GPL-3.0 AND GPL-2.0", true),
    ] {
        assert_eq!(accepts(expression, &allowed), right, "{expression}");
    }
}
