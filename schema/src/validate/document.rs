//! One of our own documents: from bytes to its type.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::findings::{Findings, Origin};
use super::{shape, words};
use crate::json_schema::Kind;
use crate::tree::Entry;
use crate::yaml::{self, Dialect, Limits};

/// Reads the one document of a file, as far as it can be understood: also after an error, so that the rest of it is
/// checked, too.
pub(super) fn read<T: DeserializeOwned>(
    kind: Kind,
    entry: &Entry,
    origin: Origin<'_>,
    findings: &mut Findings,
) -> Option<T> {
    let bytes = bytes(entry, origin, findings)?;
    let (documents, faults) = yaml::parse(bytes, Dialect::Strict, &Limits::DEFAULT);
    let readable = faults.is_empty();
    faults.into_iter().for_each(|fault| findings.fault(origin, fault));
    let mut filled = documents.into_iter().enumerate().filter(|(_, document)| !document.is_null());
    let Some((index, document)) = filled.next() else {
        if readable {
            findings.file_error(origin, "empty-file", format!("the file is empty, expected one {kind}"));
        }
        return None;
    };
    let origin = Origin { document: index, ..origin };
    let mut value = document.into_value();
    if let Some((second, _)) = filled.next() {
        let second = Origin { document: second, ..origin };
        findings
            .error(
                second,
                "several-documents",
                "",
                format!("a second document, expected one {kind} in this file"),
            )
            .help("give each document a file of its own");
    }
    if !check_kind(kind, &value, origin, findings) {
        return None;
    }
    let shaped = shape::check(kind, &mut value, origin, findings);
    serde_json::from_value(value)
        .map_err(|error| shaped.then(|| _ = findings.error(origin, "invalid-value", "", error.to_string())))
        .ok()
}

/// The bytes of a file that must be one.
pub(super) fn bytes<'t>(entry: &'t Entry, origin: Origin<'_>, findings: &mut Findings) -> Option<&'t [u8]> {
    match entry {
        Entry::File(bytes) => Some(bytes),
        Entry::Link(_) => {
            findings
                .file_error(origin, "link", "this is a symlink or a submodule, expected a file")
                .help("nothing follows links: put the file itself here");
            None
        }
        Entry::TooLarge(size) => {
            findings.file_error(
                origin,
                "file-too-large",
                format!("the file has {size} bytes, more than are read"),
            );
            None
        }
    }
}

fn check_kind(kind: Kind, value: &Value, origin: Origin<'_>, findings: &mut Findings) -> bool {
    match value.get("kind").and_then(Value::as_str) {
        Some(other) if other != kind.name() => {
            let message = format!("the kind is {}, expected `{kind}` in this file", words::quoted(other));
            let finding = findings.error(origin, "wrong-kind", "/kind", message);
            match Kind::parse(other) {
                Some(Kind::Cluster) => finding.help("clusters belong to `clusters/<name>.yaml`"),
                Some(Kind::Signals) => finding.help("signals belong to `signals/`"),
                Some(Kind::Application) if kind != Kind::Application => {
                    finding.help("applications belong to `apps/<name>/application.yaml`")
                }
                _ => finding.help(format!("write `kind: {kind}`")),
            };
            false
        }
        _ => true,
    }
}

/// A document bears the name of its place. What is no name at all was found before.
pub(super) fn check_name(name: &str, wanted: &str, origin: Origin<'_>, findings: &mut Findings) {
    if name != wanted && shape::is_dns_label(name) {
        let message = format!("the name is `{name}`, but its place says `{wanted}`");
        let help = format!("write `name: {wanted}`, or rename the place to `{name}`");
        findings.error(origin, "name-differs", "/metadata/name", message).help(help);
    }
}
