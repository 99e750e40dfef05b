//! Findings as SARIF 2.1.0, which code scanners exchange.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Diagnostic, Severity};

/// One log with one run.
pub fn sarif(findings: &[Diagnostic], version: &str) -> Value {
    let codes: BTreeSet<&str> = findings.iter().map(|finding| finding.code.as_str()).collect();
    let rules: Vec<Value> = codes.iter().map(|code| json!({ "id": code })).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "qonnect", "version": version, "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": findings.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

fn result(finding: &Diagnostic) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let help = finding.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    let mut location = Map::new();
    location.insert("artifactLocation".into(), json!({ "uri": uri(&finding.file) }));
    if let Some(place) = finding.place {
        let region = json!({
            "startLine": place.line,
            "startColumn": place.column,
            "byteOffset": place.start,
            "byteLength": place.end - place.start,
        });
        location.insert("region".into(), region);
    }
    json!({
        "ruleId": finding.code,
        "level": level,
        "message": { "text": format!("{}{help}", finding.message) },
        "locations": [{ "physicalLocation": location }],
        "properties": { "pointer": finding.pointer, "application": finding.application },
    })
}

/// A relative reference: what has a meaning in addresses is escaped.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Place;

    #[test]
    fn a_finding_becomes_a_result_with_a_region() {
        let finding = Diagnostic {
            severity: Severity::Warning,
            code: "plain-secret".into(),
            file: "apps/a b/x.yaml".into(),
            place: Some(Place { line: 2, column: 1, start: 10, end: 14 }),
            pointer: "/kind".into(),
            message: "m".into(),
            help: None,
            application: Some("a b".into()),
        };
        let log = sarif(&[finding], "1");
        let result = &log["runs"][0]["results"][0];
        assert_eq!(result["level"], "warning");
        assert_eq!(
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            "apps/a%20b/x.yaml"
        );
        assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 2);
        assert_eq!(log["runs"][0]["tool"]["driver"]["rules"], json!([{ "id": "plain-secret" }]));
    }
}
