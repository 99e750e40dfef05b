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
