//! `qonnect validate`.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use jiff::Timestamp;
use qonnect_schema::diagnostic::{self, Diagnostic, Severity};
use qonnect_schema::layout::{APPLICATIONS, CLUSTERS, FLEET};
use qonnect_schema::tree::Tree;
use qonnect_schema::validate;

use super::Status;
use crate::files;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 nothing found (or only warnings), 1 findings, 2 it could not run.

Examples:
  qonnect validate                              the repository that this folder is in
  qonnect validate apps/bookinfo                one application, seen with its whole repository
  qonnect validate clusters/fog-1.yaml --strict one file; warnings count, too
  qonnect validate --output sarif > out.sarif   for code scanners")]
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

pub(super) fn run(args: Args) -> Status {
    let mut found = Found::default();
    let mut done: BTreeSet<(PathBuf, String)> = BTreeSet::new();
    for path in &args.paths {
        let (root, inside) = place(path)?;
        if done.insert((root.clone(), inside.clone())) {
            found.check(&root, &inside)?;
        }
    }
    found.findings.dedup();
    print(&found, args.output, args.color)?;
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
    fn check(&mut self, root: &Path, inside: &str) -> anyhow::Result<()> {
        let tree = files::tree(root)?;
        let asked = |file: &str| covers(inside, file);
        if !tree.keys().any(|file| asked(file)) {
            let place = if inside.is_empty() { root.into() } else { root.join(inside) };
            bail!("{} holds no file that QONNECT reads", place.display());
        }
        let checked = validate::repository(&tree, "", Timestamp::UNIX_EPOCH);
        let shown = shown_root(root);
        for mut finding in checked.findings.into_iter().filter(|finding| asked(&finding.file)) {
            finding.file = shown(&finding.file);
            self.findings.push(finding);
        }
        self.sources.extend(
            tree.into_iter().filter(|(file, _)| asked(file)).map(|(file, entry)| (shown(&file), entry)),
        );
        Ok(())
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

/// How a file of a repository is called from the current folder.
fn shown_root(root: &Path) -> impl Fn(&str) -> String {
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).unwrap_or_default();
    let prefix = match root.strip_prefix(&here) {
        Ok(inside) => inside.to_path_buf(),
        Err(_) => match here.strip_prefix(root) {
            Ok(inside) => inside.components().map(|_| "..").collect(),
            Err(_) => root.to_path_buf(),
        },
    };
    move |file| prefix.join(file).to_string_lossy().into_owned()
}

fn print(found: &Found, output: Output, color: Color) -> anyhow::Result<()> {
    match output {
        Output::Text => {
            let colours = match color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => {
                    std::io::stdout().is_terminal()
                        && anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
                }
            };
            print!("{}", diagnostic::text(&found.findings, &found.sources, colours));
            println!("{}", summary(found));
        }
        Output::Json => println!("{}", serde_json::to_string_pretty(&found.findings)?),
        Output::Github => print!("{}", diagnostic::github(&found.findings)),
        Output::Sarif => {
            let log = diagnostic::sarif(&found.findings, env!("CARGO_PKG_VERSION"));
            println!("{}", serde_json::to_string_pretty(&log)?);
        }
    }
    Ok(())
}

/// `error: 2 errors, 1 warning in 14 files`.
fn summary(found: &Found) -> String {
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    };
    let files = count(found.sources.len(), "file");
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
