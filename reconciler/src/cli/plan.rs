//! `qonnect plan`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use jiff::Timestamp;
use qonnect_core::placement::{Report, WhatIf, difference, survive, what_if};
use qonnect_git::checkout;
use qonnect_schema::diagnostic::{self, Severity};
use qonnect_schema::documents::fleet::Domain;
use qonnect_schema::revision::Revision;
use qonnect_schema::{Snapshot, SnapshotSpec, validate, yaml};

use super::leads::Leads;
use super::validate::place;
use super::{Status, decisions, output};
use crate::files;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 nothing changes, 1 something does, 2 it could not plan.

Examples:
  qonnect plan                                           onto the capacity that clusters/ declares
  qonnect plan --snapshot http://127.0.0.1:7480          onto the fleet as it is
  qonnect export > now.yaml; qonnect plan --snapshot now.yaml
  qonnect plan --what-if 'lose cluster=fog-cost' --what-if 'price edge-*=0.1'
                                                         `lose region=`, `drain cluster=`, `carbon REGION=` too
  qonnect plan --survive cluster                         what has no place when any one cluster is lost
  qonnect plan --base main                               what this branch changes, beside where it left main
  qonnect plan -o markdown >> \"$GITHUB_STEP_SUMMARY\"     for a pull request")]
pub(super) struct Args {
    /// A repository, or a folder in it
    #[arg(value_name = "PATH", default_value = ".")]
    path: PathBuf,
    /// What is: a Snapshot, or the lead to ask for it. Without it nothing runs yet
    #[arg(long, value_name = "FILE|URL")]
    snapshot: Option<String>,
    /// Compare with what was planned where this branch left another one; the checkout must have its history
    #[arg(long, value_name = "BRANCH", conflicts_with_all = ["what_if", "survive"])]
    base: Option<String>,
    /// What would be otherwise, such as `lose cluster=fog-cost` or `price edge-*=0.1`; may be repeated
    #[arg(long, value_name = "CHANGE")]
    what_if: Vec<WhatIf>,
    /// What would be missing if any one of them were lost
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "what_if")]
    survive: Option<Survive>,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    leads: Leads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Survive {
    Cluster,
    Region,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
    /// For a pull request
    Markdown,
}

pub(super) fn run(args: Args) -> Status {
    let Some(revision) = revision(&args.path)? else { return Ok(ExitCode::from(2)) };
    let snapshot = snapshot(&args)?;
    if let Some(domain) = args.survive {
        let domain = match domain {
            Survive::Cluster => Domain::Cluster,
            Survive::Region => Domain::Region,
        };
        let losses = survive(&revision, &snapshot, domain);
        output::print(&match args.output {
            Output::Text => decisions::losses(&losses, output::terminal_width()),
            Output::Json => output::document(output::Format::Json, &losses)?,
            Output::Markdown => decisions::losses_markdown(&losses),
        })?;
        return Ok(ExitCode::from(u8::from(losses.iter().any(|loss| !loss.missing.is_empty()))));
    }
    let report = match (&args.base, args.what_if.as_slice()) {
        (Some(base), _) => difference(&base_revision(&args.path, base)?, &revision, &snapshot),
        (None, []) => Report::planned(&revision, &snapshot),
        (None, changes) => what_if(&revision, &snapshot, changes)?,
    };
    output::print(&match args.output {
        Output::Text => decisions::changes(&report, output::terminal_width()),
        Output::Json => output::document(output::Format::Json, &report)?,
        Output::Markdown => decisions::markdown(&report),
    })?;
    Ok(ExitCode::from(u8::from(report.changes().next().is_some())))
}

/// The repository, if it is free of faults; what is wrong is printed.
fn revision(path: &Path) -> anyhow::Result<Option<Revision>> {
    let (root, _) = place(path)?;
    let tree = files::tree(&root)?;
    let checked = validate::repository(&tree, "", Timestamp::UNIX_EPOCH);
    let faulty = checked.findings.iter().any(|finding| finding.severity == Severity::Error);
    if faulty {
        anstream::eprint!("{}", diagnostic::text(&checked.findings, &tree, true));
        anstream::eprintln!("error: nothing is planned from a repository with faults; mend them first");
    }
    Ok((!faulty).then_some(checked.revision))
}

/// The same repository where the branch began. Faults there may be what the branch mends: the leads plan what is
/// free of them, and so does this.
fn base_revision(path: &Path, branch: &str) -> anyhow::Result<Revision> {
    let (root, _) = place(path)?;
    let base = checkout::base(&root, branch)?;
    Ok(validate::repository(&base.tree, &base.commit, Timestamp::UNIX_EPOCH).revision)
}

fn snapshot(args: &Args) -> anyhow::Result<SnapshotSpec> {
    let Some(source) = &args.snapshot else {
        return Ok(SnapshotSpec { now: Timestamp::now(), ..Default::default() });
    };
    if source.starts_with("http://") || source.starts_with("https://") {
        return Ok(args.leads.at(source).ask(async |client| Ok(client.snapshot().await?))?.spec);
    }
    let text = std::fs::read_to_string(source).with_context(|| format!("cannot read {source}"))?;
    let about = || format!("{source} is no Snapshot; `qonnect export` writes one");
    let snapshot: Snapshot = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(&text).with_context(about)?,
        false => yaml::from_str(&text).with_context(about)?,
    };
    Ok(snapshot.spec)
}
