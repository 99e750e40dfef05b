//! Each outside library has one home, so that it can be replaced there.

use crate::sources::{self, none};

/// A library and the only sources of the programs that may name it.
const HOMES: [(&str, &[&str]); 16] = [
    ("aws_lc_rs", &["reconciler/src/api/deliveries.rs"]),
    ("git2", &["reconciler/git/src/"]),
    ("notify", &["reconciler/src/lead/watch.rs"]),
    ("octocrab", &["reconciler/src/forge/github/door.rs"]),
    ("opentelemetry", &["reconciler/src/cli/lead/otlp.rs"]),
    ("openraft", &["reconciler/src/consensus/"]),
    ("redb", &["reconciler/src/consensus/"]),
    ("rcgen", &["reconciler/src/tls/issue.rs"]),
    ("ssh_key", &["reconciler/git/src/signature.rs", "reconciler/git/src/signature/"]),
    ("webpki", &["reconciler/src/tls/names.rs"]),
    ("prometheus_client", &["reconciler/src/api/metrics.rs", "agent/src/metrics.rs"]),
    ("kube", &["agent/src/cluster/"]),
    ("hyper_timeout", &["agent/src/cluster/connection.rs"]),
    ("serde_yaml", &["schema/src/yaml.rs", "schema/src/yaml/"]),
    ("jsonschema", &["schema/src/validate.rs", "schema/src/validate/"]),
    ("annotate_snippets", &["reconciler/src/cli/", "schema/src/"]),
];

const PROGRAMS: [&str; 3] = ["schema/src/", "reconciler/", "agent/"];

#[test]
fn each_library_is_named_in_its_home_only() {
    let mut findings = Vec::new();
    for source in sources::with(".rs", &PROGRAMS) {
        for (library, homes) in HOMES {
            if homes.iter().any(|home| source.path.starts_with(home)) {
                continue;
            }
            for (number, line) in source.code().filter(|(_, line)| names(line, library)) {
                findings.push(format!(
                    "{}:{number}: {}; {library} lives in {homes:?}",
                    source.path,
                    line.trim()
                ));
            }
        }
    }
    none("a library outside of its home", findings);
}

/// Whether a line of Rust uses a crate: `crate::…` or `use crate…`, and not a longer name that ends alike.
fn names(line: &str, library: &str) -> bool {
    let begins_here = |at: usize| {
        !line[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    };
    let path = format!("{library}::");
    let import = format!("use {library};");
    line.match_indices(&path).any(|(at, _)| begins_here(at)) || line.contains(&import)
}

#[test]
fn a_longer_name_is_not_mistaken_for_a_library() {
    assert!(names("use kube::Api;", "kube"));
    assert!(names("    let client = kube::Client::new();", "kube"));
    assert!(!names("let x = qonnect_kube::thing();", "kube"));
    assert!(!names("use super::cluster::kube::Client;", "kube"));
    assert!(!names("tokio::sync::Notify::new()", "notify"));
}
