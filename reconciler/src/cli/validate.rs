//! `qonnect validate`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use jiff::Timestamp;
use qonnect_schema::diagnostic::{self, Diagnostic, Severity};
use qonnect_schema::layout::{APPLICATIONS, CLUSTERS, FLEET};
use qonnect_schema::tree::Tree;
use qonnect_schema::validate;

use super::{Status, output};
use crate::files;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 nothing found (or only warnings), 1 findings, 2 it could not run.

Examples:
  qonnect validate                              the repository that this folder is in
  qonnect validate apps/bookinfo                one application, seen with its whole repository
  qonnect validate clusters/fog-1.yaml --strict one file; warnings count, too
  qonnect validate --output sarif > out.sarif   for code scanners
  qonnect validate --output junit > junit.xml   for CI that shows tests")]
pub(super) struct Args {
    /// Repositories, folders or files.
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// How findings are written.
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Let warnings count as findings.
    #[arg(long)]
    strict: bool,
    /// Whether to use colours; `auto` does on a terminal, unless NO_COLOR is set.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people, drawn under the line.
    Text,
    /// An array of findings.
    Json,
    /// Workflow commands of GitHub Actions.
    Github,
    /// SARIF 2.1.0.
    Sarif,
    /// JUnit XML, one test for each file.
    Junit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

pub(super) fn run(args: Args) -> Status {
    let mut asked: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for path in &args.paths {
        let (root, inside) = place(path)?;
        asked.entry(root).or_default().push(inside);
    }
    let mut found = Found::default();
    for (root, places) in &asked {
        found.check(root, places)?;
    }
    let text = written(&found, args.output, args.strict)?;
    output::print_coloured(&text, args.color.into())?;
    let counts = found.errors() > 0 || (args.strict && !found.findings.is_empty());
    Ok(ExitCode::from(u8::from(counts)))
}

/// Findings of one or more repositories; their paths are those that a person can open from here.
#[derive(Debug, Default)]
struct Found {
    findings: Vec<Diagnostic>,
    /// The files that were asked for.
    sources: Tree,
}

impl Found {
    fn check(&mut self, root: &Path, places: &[String]) -> anyhow::Result<()> {
        let tree = files::tree(root)?;
        for place in places {
            if !tree.keys().any(|file| covers(place, file)) {
                bail!("{} holds no file that QONNECT reads", root.join(place).display());
            }
        }
        let asked = |file: &str| places.iter().any(|place| covers(place, file));
        let checked = validate::repository(&tree, "", Timestamp::UNIX_EPOCH);
        let shown = Shown::new(root);
        for mut finding in checked.findings.into_iter().filter(|finding| asked(&finding.file)) {
            finding.file = shown.path(&finding.file);
            self.findings.push(finding);
        }
        let sources = tree.into_iter().filter(|(file, _)| asked(file));
        self.sources.extend(sources.map(|(file, entry)| (shown.path(&file), entry)));
        Ok(())
    }

    fn documents(&self) -> impl Iterator<Item = &str> {
        let files = self.sources.keys().map(String::as_str);
        files.filter(|path| path.ends_with(".yaml") || path.ends_with(".yml"))
    }

    fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }
}

/// The repository that a path lies in, and the path within it; empty for the root itself.
pub(super) fn place(path: &Path) -> anyhow::Result<(PathBuf, String)> {
    let full = path.canonicalize().with_context(|| format!("cannot read {}", path.display()))?;
    let root = full.ancestors().find(|folder| is_root(folder));
    let Some(root) = root else {
        bail!(
            "{} is in no repository: no folder above it holds `{FLEET}`, or `{APPLICATIONS}/` and `{CLUSTERS}/`",
            path.display()
        );
    };
    let inside = full.strip_prefix(root).expect("an ancestor is a prefix");
    let inside = inside.to_str().with_context(|| format!("{} is not UTF-8; rename it", path.display()))?;
    Ok((root.into(), inside.replace(std::path::MAIN_SEPARATOR, "/")))
}

fn is_root(folder: &Path) -> bool {
    folder.join(FLEET).is_file() || (folder.join(APPLICATIONS).is_dir() && folder.join(CLUSTERS).is_dir())
}

/// Whether a file is, or lies in, what was asked for; a finding about a folder above a file is about it, too.
fn covers(asked: &str, file: &str) -> bool {
    let below =
        |folder: &str, file: &str| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
    asked.is_empty() || file == asked || below(asked, file)
}

/// How the files of a repository are called from the current folder.
struct Shown {
    root: PathBuf,
    here: PathBuf,
}

impl Shown {
    fn new(root: &Path) -> Self {
        let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
        Self { root: root.into(), here }
    }

    fn path(&self, file: &str) -> String {
        let full = self.root.join(file);
        // From within the repository a way may lead up; from elsewhere the full path is clearer.
        let common = self.here.ancestors().find(|folder| full.starts_with(folder)).unwrap_or(Path::new(""));
        if !common.starts_with(&self.root) && common != self.here {
            return full.to_string_lossy().into_owned();
        }
        let up = self.here.components().count() - common.components().count();
        let down = full.strip_prefix(common).expect("it starts with what is common");
        let path: PathBuf = std::iter::repeat_n(Path::new(".."), up).chain([down]).collect();
        path.to_string_lossy().into_owned()
    }
}

fn written(found: &Found, output: Output, strict: bool) -> anyhow::Result<String> {
    Ok(match output {
        Output::Text => diagnostic::text(&found.findings, &found.sources, true) + &summary(found) + "\n",
        Output::Json => serde_json::to_string_pretty(&found.findings)? + "\n",
        Output::Github => diagnostic::github(&found.findings),
        Output::Sarif => {
            serde_json::to_string_pretty(&diagnostic::sarif(&found.findings, env!("CARGO_PKG_VERSION")))?
                + "\n"
        }
        Output::Junit => diagnostic::junit(&found.findings, found.documents(), strict),
    })
}

/// `error: 2 errors, 1 warning in 14 files`.
fn summary(found: &Found) -> String {
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    let files = count(found.documents().count(), "file");
    let (errors, all) = (found.errors(), found.findings.len());
    match (errors, all - errors) {
        (0, 0) => format!("ok: {files}"),
        (0, warnings) => format!("warning: {} in {files}", count(warnings, "warning")),
        (errors, 0) => format!("error: {} in {files}", count(errors, "error")),
        (errors, warnings) => {
            format!("error: {}, {} in {files}", count(errors, "error"), count(warnings, "warning"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_is_shown() {
        assert!(covers("", "fleet.yaml"));
        assert!(covers("apps/shop", "apps/shop/web.yaml"));
        assert!(covers("apps/shop/web.yaml", "apps/shop/web.yaml"));
        assert!(!covers("apps/shop", "apps/shop-2/web.yaml"));
        assert!(!covers("apps/shop/web.yaml", "apps/shop"));
    }

    #[test]
    fn files_are_called_as_a_person_would_open_them() {
        let shown = |here: &str| {
            let shown = Shown { root: "/r".into(), here: here.into() };
            shown.path("apps/shop/web.yaml")
        };
        assert_eq!(shown("/r"), "apps/shop/web.yaml");
        assert_eq!(shown("/r/apps/shop"), "web.yaml");
        assert_eq!(shown("/r/clusters"), "../apps/shop/web.yaml");
        assert_eq!(shown("/"), "r/apps/shop/web.yaml");
        assert_eq!(shown("/elsewhere"), "/r/apps/shop/web.yaml");
    }

    #[test]
    fn a_summary_counts_what_was_found() {
        let finding = |severity| Diagnostic {
            severity,
            code: String::new(),
            file: String::new(),
            place: None,
            pointer: String::new(),
            message: String::new(),
            help: None,
            application: None,
        };
        let mut found = Found::default();
        found.sources.insert("fleet.yaml".into(), qonnect_schema::tree::Entry::file(""));
        assert_eq!(summary(&found), "ok: 1 file");
        found.findings.push(finding(Severity::Warning));
        assert_eq!(summary(&found), "warning: 1 warning in 1 file");
        found.findings.extend([finding(Severity::Error), finding(Severity::Error)]);
        assert_eq!(summary(&found), "error: 2 errors, 1 warning in 1 file");
    }
}
