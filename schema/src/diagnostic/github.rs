//! Findings as workflow commands of GitHub Actions, which shows them beside the changed lines.

use super::{Diagnostic, Severity};

/// One `::error …::…` or `::warning …::…` a line.
pub fn github(findings: &[Diagnostic]) -> String {
    findings.iter().map(one).collect()
}

fn one(finding: &Diagnostic) -> String {
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place =
        finding.place.map(|place| format!(",line={},col={}", place.line, place.column)).unwrap_or_default();
    let help = finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
    format!(
        "::{command} file={}{place},title={}::{}\n",
        property(&finding.file),
        property(&finding.code),
        data(&format!("{}{help}", finding.message))
    )
}

/// As `escapeData` of github.com/actions/toolkit.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As `escapeProperty` of github.com/actions/toolkit.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Place;

    #[test]
    fn what_would_end_a_command_is_escaped() {
        let finding = Diagnostic {
            severity: Severity::Error,
            code: "unknown-field".into(),
            file: "apps/a,b:c/100%.yaml".into(),
            place: Some(Place { line: 3, column: 5, start: 20, end: 24 }),
            pointer: String::new(),
            message: "50% of\r\n::error::it".into(),
            help: Some("mend: it".into()),
            application: None,
        };
        let wanted = "::error file=apps/a%2Cb%3Ac/100%25.yaml,line=3,col=5,title=unknown-field\
                      ::50%25 of%0D%0A::error::it%0Amend: it\n";
        assert_eq!(github(&[finding]), wanted);
    }
}
