//! Findings for people, drawn under the line in the manner of rustc.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet, normalize_untrusted_str};

use super::{Diagnostic, Place, Severity};
use crate::tree::Tree;

/// A longer line is shown in part: it comes from a machine.
const LINE_MAX: usize = 512;

/// Draws findings one after the other, with an empty line after each; the tree holds the files they are about.
pub fn text(findings: &[Diagnostic], tree: &Tree, colours: bool) -> String {
    let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
    findings.iter().map(|finding| one(finding, tree, &renderer) + "\n\n").collect()
}

fn one(finding: &Diagnostic, tree: &Tree, renderer: &Renderer) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(normalize_untrusted_str(&finding.message)).id(finding.code.clone());
    let bytes = tree.get(&finding.file).and_then(|entry| entry.bytes());
    let source = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let group = match (finding.place, source) {
        (Some(place), Some(source)) => title.element(snippet(source, place, &finding.file)),
        (Some(place), None) => {
            let origin = Origin::path(finding.file.clone()).line(place.line as usize);
            title.element(origin.char_column(place.column as usize))
        }
        (None, _) => title.element(Origin::path(finding.file.clone())),
    };
    let group = match &finding.help {
        Some(help) => group.element(Level::HELP.message(normalize_untrusted_str(help))),
        None => group,
    };
    renderer.render(&[group])
}

/// The first line that a finding is about.
fn snippet<'a>(
    source: &'a str,
    place: Place,
    path: &'a str,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let start = floor(source, place.start as usize);
    let from = source[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
    let end = floor(source, place.end as usize).clamp(start, line_end);
    let from = if start - from > LINE_MAX { floor(source, start - LINE_MAX / 2) } else { from };
    let to = line_end.min(floor(source, end.min(start + LINE_MAX) + LINE_MAX));
    let span = (start - from)..(end.min(to) - from);
    Snippet::source(&source[from..to])
        .line_start(place.line as usize)
        .path(path)
        .annotation(AnnotationKind::Primary.span(span))
}

/// The border between two characters at or before a byte.
fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    fn finding(file: &str, place: Option<Place>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code: "unknown-field".into(),
            file: file.into(),
            place,
            pointer: "/spec/x".into(),
            message: "unknown field `x`".into(),
            help: Some("did you mean `y`?".into()),
            application: None,
        }
    }

    #[test]
    fn a_finding_is_drawn_under_its_line() {
        let tree = Tree::from([("a.yaml".into(), Entry::file("spec:\n  ä: {x: 1}\n  z: 2\n"))]);
        let place = Place { line: 2, column: 7, start: 13, end: 14 };
        let drawn = text(&[finding("a.yaml", Some(place))], &tree, false);
        let wanted = "\
error[unknown-field]: unknown field `x`
 --> a.yaml:2:7
  |
2 |   ä: {x: 1}
  |       ^
  |
  = help: did you mean `y`?

";
        assert_eq!(drawn, wanted);
    }

    #[test]
    fn a_finding_without_a_place_or_a_source_names_the_file() {
        let drawn = text(&[finding("a.yaml", None)], &Tree::new(), false);
        assert!(drawn.contains("--> a.yaml\n"), "{drawn}");
        let place = Place { line: 3, column: 9, start: 99, end: 99 };
        let drawn = text(&[finding("a.yaml", Some(place))], &Tree::new(), false);
        assert!(drawn.contains("--> a.yaml:3:9\n"), "{drawn}");
    }

    #[test]
    fn what_users_wrote_cannot_steer_a_terminal_and_endless_lines_are_cut() {
        let long = format!("a: \u{1b}[2J{}\n", "é".repeat(100_000));
        let tree = Tree::from([("a.yaml".into(), Entry::file(&long))]);
        for start in [3, 100_001] {
            let place = Place { line: 1, column: 1, start, end: 200_000 };
            let drawn = text(&[finding("a.yaml", Some(place))], &tree, false);
            assert!(!drawn.contains('\u{1b}'));
            assert!(drawn.chars().count() < 4_000, "{}", drawn.len());
        }
    }
}
