//! Collects what is wrong, and finds its place when all is known.

use std::collections::BTreeMap;

use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::tree::Tree;
use crate::yaml::{self, Dialect, Fault, Limits, Node, Part, Range};

/// What a record of a revision carries at most; beyond it people look at the first ones anyway.
const FINDINGS_MAX: usize = 1_000;

/// The document that a finding is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    pub(super) file: &'a str,
    /// Which document of the file, from zero.
    pub(super) document: usize,
    pub(super) dialect: Dialect,
    /// The application whose folder it lies in.
    pub(super) application: Option<&'a str>,
}

impl<'a> Origin<'a> {
    pub(super) fn document(file: &'a str, application: Option<&'a str>) -> Self {
        Self { file, document: 0, dialect: Dialect::Strict, application }
    }

    pub(super) fn manifest(file: &'a str, document: usize, application: &'a str) -> Self {
        Self { file, document, dialect: Dialect::Kubernetes, application: Some(application) }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Finding {
    diagnostic: Diagnostic,
    at: At,
}

#[derive(Debug, Clone)]
enum At {
    File,
    Range(Range),
    Pointer { document: usize, dialect: Dialect, part: Part },
}

impl Finding {
    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.diagnostic.help = Some(help.into());
        self
    }

    /// Underlines the key instead of the value.
    pub(super) fn at_key(&mut self) -> &mut Self {
        if let At::Pointer { part, .. } = &mut self.at {
            *part = Part::Key;
        }
        self
    }
}

#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    repaired: Vec<Repaired>,
}

/// A place that was repaired after so many findings: later ones there are about the repair.
#[derive(Debug, Clone)]
struct Repaired {
    file: String,
    pointer: String,
    after: usize,
}

impl Findings {
    pub(super) fn error(
        &mut self,
        origin: Origin<'_>,
        code: &str,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> &mut Finding {
        let at = At::Pointer { document: origin.document, dialect: origin.dialect, part: Part::Value };
        self.push(Severity::Error, origin, code, pointer.into(), message.into(), at)
    }

    pub(super) fn warning(
        &mut self,
        origin: Origin<'_>,
        code: &str,
        pointer: impl Into<String>,
        message: impl Into<String>,
    ) -> &mut Finding {
        let at = At::Pointer { document: origin.document, dialect: origin.dialect, part: Part::Value };
        self.push(Severity::Warning, origin, code, pointer.into(), message.into(), at)
    }

    /// About a file as such.
    pub(super) fn file_error(
        &mut self,
        origin: Origin<'_>,
        code: &str,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.push(Severity::Error, origin, code, String::new(), message.into(), At::File)
    }

    pub(super) fn file_warning(
        &mut self,
        origin: Origin<'_>,
        code: &str,
        message: impl Into<String>,
    ) -> &mut Finding {
        self.push(Severity::Warning, origin, code, String::new(), message.into(), At::File)
    }

    pub(super) fn fault(&mut self, origin: Origin<'_>, fault: Fault) {
        let at = At::Range(fault.range);
        let finding = self.push(Severity::Error, origin, fault.code, String::new(), fault.message, at);
        finding.diagnostic.help = fault.help;
    }

    fn push(
        &mut self,
        severity: Severity,
        origin: Origin<'_>,
        code: &str,
        pointer: String,
        message: String,
        at: At,
    ) -> &mut Finding {
        let diagnostic = Diagnostic {
            severity,
            code: code.into(),
            file: origin.file.into(),
            place: None,
            pointer,
            message,
            help: None,
            application: origin.application.map(Into::into),
        };
        self.list.push(Finding { diagnostic, at });
        self.list.last_mut().expect("one was just pushed")
    }

    /// As if they had been found here and now.
    pub(super) fn extend(&mut self, others: &Self) {
        let before = self.list.len();
        self.list.extend(others.list.iter().cloned());
        let shifted = |repaired: &Repaired| Repaired { after: repaired.after + before, ..repaired.clone() };
        self.repaired.extend(others.repaired.iter().map(shifted));
    }

    /// From here on nothing is reported of this place, of what is below it and of what it is a part of.
    pub(super) fn repaired(&mut self, origin: Origin<'_>, pointer: String) {
        self.repaired.push(Repaired { file: origin.file.into(), pointer, after: self.list.len() });
    }

    /// Whether a part of a file had to be repaired that `matters`, by its pointer: then what it says of other
    /// places is not certain.
    pub(super) fn is_repaired(&self, file: &str, matters: impl Fn(&str) -> bool) -> bool {
        self.repaired.iter().any(|repaired| repaired.file == file && matters(&repaired.pointer))
    }

    fn drop_repaired(&mut self) {
        let below =
            |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let mut at = 0;
        self.list.retain(|Finding { diagnostic, .. }| {
            at += 1;
            !self.repaired.iter().any(|repaired| {
                repaired.after < at
                    && repaired.file == diagnostic.file
                    && (below(&diagnostic.pointer, &repaired.pointer)
                        || below(&repaired.pointer, &diagnostic.pointer))
            })
        });
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter().map(|finding| &finding.diagnostic).filter(|found| found.severity == Severity::Error)
    }

    /// All findings by file and place. Only files with a finding are read again.
    pub(super) fn into_diagnostics(mut self, tree: &Tree) -> Vec<Diagnostic> {
        self.drop_repaired();
        let mut by_file: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
        for finding in self.list {
            by_file.entry(finding.diagnostic.file.clone()).or_default().push(finding);
        }
        let mut diagnostics = Vec::new();
        for (file, findings) in by_file {
            let bytes = tree.get(&file).and_then(|entry| entry.bytes()).unwrap_or_default();
            let mut source = Source::new(bytes);
            let start = diagnostics.len();
            for Finding { mut diagnostic, at } in findings {
                diagnostic.place = source.place(&at, &diagnostic.pointer);
                diagnostics.push(diagnostic);
            }
            let place = |found: &Diagnostic| found.place.map_or((0, 0), |place| (place.start, place.end));
            diagnostics[start..].sort_by(|a, b| {
                let key = |found: &'_ Diagnostic| (place(found), found.severity);
                key(a).cmp(&key(b)).then_with(|| (&a.code, &a.message).cmp(&(&b.code, &b.message)))
            });
        }
        diagnostics.dedup();
        shorten(diagnostics)
    }
}

/// Keeps the first errors, and the first warnings if there is room.
fn shorten(diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    if diagnostics.len() <= FINDINGS_MAX {
        return diagnostics;
    }
    let errors = diagnostics.iter().filter(|found| found.severity == Severity::Error).count();
    let mut warnings_left = FINDINGS_MAX.saturating_sub(errors);
    let mut errors_left = FINDINGS_MAX;
    let keep = |found: &Diagnostic| {
        let left = if found.severity == Severity::Error { &mut errors_left } else { &mut warnings_left };
        let some_left = *left > 0;
        *left = left.saturating_sub(1);
        some_left
    };
    diagnostics.into_iter().filter(keep).collect()
}

/// A file while its findings get their places: read once per dialect, lines counted once.
struct Source<'a> {
    bytes: &'a [u8],
    /// The byte at which each line starts.
    lines: Vec<usize>,
    trees: [Option<Vec<Node>>; 2],
}

impl<'a> Source<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        Self { bytes, lines: std::iter::once(0).chain(starts).collect(), trees: [None, None] }
    }

    fn place(&mut self, at: &At, pointer: &str) -> Option<Place> {
        match at {
            At::File => None,
            At::Range(range) => Some(self.of_range(range)),
            At::Pointer { document, dialect, part } => {
                let bytes = self.bytes;
                let trees = self.trees[*dialect as usize]
                    .get_or_insert_with(|| yaml::parse(bytes, *dialect, &Limits::DEFAULT).0);
                let range = trees.get(*document)?.locate(pointer, *part);
                Some(self.of_range(&range))
            }
        }
    }

    fn of_range(&self, range: &Range) -> Place {
        let start = range.start.min(self.bytes.len());
        let line = self.lines.partition_point(|line| *line <= start) - 1;
        let before = &self.bytes[self.lines[line]..start];
        let column = String::from_utf8_lossy(before).chars().count();
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place {
            line: number(line + 1),
            column: number(column + 1),
            start: number(start),
            end: number(range.end.clamp(start, self.bytes.len())),
        }
    }
}
