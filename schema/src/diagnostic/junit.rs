//! Findings as JUnit XML, which most CI systems show as tests: one test for each file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Diagnostic, Severity};

/// One suite; a file fails for its errors, and for its warnings where they count.
pub fn junit<'a>(
    findings: &'a [Diagnostic],
    files: impl IntoIterator<Item = &'a str>,
    warnings_count: bool,
) -> String {
    let mut cases: BTreeMap<&str, Vec<&Diagnostic>> =
        files.into_iter().map(|file| (file, Vec::new())).collect();
    for finding in findings {
        cases.entry(&finding.file).or_default().push(finding);
    }
    let counts = |finding: &Diagnostic| warnings_count || finding.severity == Severity::Error;
    let failed = |case: &[&Diagnostic]| case.iter().any(|finding| counts(finding));
    let (tests, failures) = (cases.len(), cases.values().filter(|case| failed(case)).count());
    let totals = format!("name=\"qonnect validate\" tests=\"{tests}\" failures=\"{failures}\"");
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {totals}>\n  <testsuite {totals} errors=\"0\">\n"
    );
    for (file, case) in &cases {
        one(&mut xml, file, case, counts).expect("a string takes all that is written");
    }
    xml + "  </testsuite>\n</testsuites>\n"
}

fn one(
    xml: &mut String,
    file: &str,
    case: &[&Diagnostic],
    counts: impl Fn(&Diagnostic) -> bool,
) -> std::fmt::Result {
    let name = escaped(file);
    write!(xml, "    <testcase classname=\"qonnect\" name=\"{name}\" file=\"{name}\"")?;
    if case.is_empty() {
        return xml.write_str("/>\n");
    }
    xml.write_str(">\n")?;
    let (failures, others): (Vec<&Diagnostic>, Vec<_>) = case.iter().partition(|finding| counts(finding));
    for finding in failures {
        writeln!(
            xml,
            "      <failure type=\"{}\" message=\"{}\">{}</failure>",
            escaped(&finding.code),
            escaped(&finding.message),
            escaped(&line(finding))
        )?;
    }
    if !others.is_empty() {
        let lines: Vec<_> = others.into_iter().map(line).collect();
        writeln!(xml, "      <system-out>{}</system-out>", escaped(&lines.join("\n")))?;
    }
    xml.write_str("    </testcase>\n")
}

/// `fleet.yaml:3:5: unknown field (mend it)`.
fn line(finding: &Diagnostic) -> String {
    let place = finding.place.map(|place| format!(":{}:{}", place.line, place.column)).unwrap_or_default();
    let help = finding.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{}{place}: {}{help}", finding.file, finding.message)
}

/// For texts and for values in double quotes; what XML 1.0 has no character for becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' => escaped.push(character),
            '\r' => escaped.push_str("&#13;"),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Place;

    fn finding(severity: Severity, file: &str, message: &str) -> Diagnostic {
        Diagnostic {
            severity,
            code: "unknown-field".into(),
            file: file.into(),
            place: Some(Place { line: 3, column: 5, start: 20, end: 24 }),
            pointer: String::new(),
            message: message.into(),
            help: Some("mend \"it\"".into()),
            application: None,
        }
    }

    #[test]
    fn a_file_is_a_test_that_fails_for_its_errors() {
        let findings = [
            finding(Severity::Error, "a&b.yaml", "1 < 2\u{1b}"),
            finding(Severity::Warning, "fleet.yaml", "old"),
        ];
        let files = ["a&b.yaml", "c.yaml", "fleet.yaml"];
        let xml = junit(&findings, files, false);
        assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"0\""), "{xml}");
        for part in [
            "name=\"a&amp;b.yaml\" file=\"a&amp;b.yaml\">\n      <failure type=\"unknown-field\" message=\"1 &lt; 2\u{fffd}\">\
             a&amp;b.yaml:3:5: 1 &lt; 2\u{fffd} (mend &quot;it&quot;)</failure>\n    </testcase>",
            "name=\"c.yaml\" file=\"c.yaml\"/>",
            "<system-out>fleet.yaml:3:5: old (mend &quot;it&quot;)</system-out>",
        ] {
            assert!(xml.contains(part), "{part} is not in\n{xml}");
        }
        let strict = junit(&findings, files, true);
        assert!(strict.contains("failures=\"2\"") && !strict.contains("system-out"), "{strict}");
    }
}
