//! The cores decide: no I/O, no clock, no chance, no order that changes from run to run.

use crate::packages;
use crate::sources::{self, none};

const PURE: [&str; 3] = ["qonnect-schema", "qonnect-core", "qonnect-agent-core"];
const PURE_SOURCES: [&str; 3] = ["schema/src/", "reconciler/core/src/", "agent/core/src/"];

/// What a pure crate may be built on.
const ALLOWED: [&str; 13] = [
    "qonnect-schema",
    "serde",
    "serde_json",
    "serde-saphyr",
    "schemars",
    "jsonschema",
    "annotate-snippets",
    "jiff",
    "cronexpr",
    "sha2",
    "similar",
    "hex",
    "thiserror",
];

/// Whoever reaches for one of these can no longer be replayed.
const FORBIDDEN: [&str; 14] = [
    "HashMap",
    "HashSet",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant::",
    "Timestamp::now",
    "async fn",
    "tokio::",
    "tracing::",
    "println!",
];

#[test]
fn pure_crates_depend_on_nothing_that_acts() {
    let mut findings = Vec::new();
    for package in PURE {
        for dependency in packages::direct_dependencies(package) {
            if !ALLOWED.contains(&dependency.as_str()) {
                findings.push(format!("{package} depends on {dependency}"));
            }
        }
    }
    none("a core is built on data types only", findings);
}

#[test]
fn pure_sources_touch_no_world() {
    let mut findings = Vec::new();
    for source in sources::with(".rs", &PURE_SOURCES) {
        for (number, line) in source.code() {
            for word in FORBIDDEN.iter().filter(|word| line.contains(*word)) {
                findings.push(format!("{}:{number}: {word}", source.path));
            }
        }
    }
    none("a core knows no I/O, clock, chance or HashMap", findings);
}
