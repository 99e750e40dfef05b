//! `qonnect log`: every decision that was recorded, what became of it, and whether the deploy branch agrees.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use qonnect_core::audit::{self, Commit};
use qonnect_git::{Credentials, Depth, Mirror, Remote};
use qonnect_schema::api::{Decision, DecisionOutcome};

use super::Status;
use super::leads::Leads;
use super::output::{self, Format};

/// A repository that hangs ends the command, not the patience of people.
const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect log                                                      the decisions that the leads remember
  qonnect log --repository https://git.example.org/fleet.git       and whether the deploy branch holds them

The status is 1 where the branch and the Knowledge Base disagree.")]
pub(super) struct Args {
    /// Fetch the deploy branch from here and compare
    #[arg(long, value_name = "URL", env = "QONNECT_REPOSITORY")]
    repository: Option<String>,
    /// The deploy branch
    #[arg(long, value_name = "NAME", default_value = "qonnect/deploy")]
    branch: String,
    /// A file with the token that the repository asks for
    #[arg(long, value_name = "FILE")]
    repository_token_file: Option<PathBuf>,
    /// A file with the authority that vouches for the repository's host, as PEM
    #[arg(long, value_name = "FILE")]
    repository_authority: Option<PathBuf>,
    /// How to print it
    #[arg(short, long, default_value = "table")]
    output: Format,
    #[command(flatten)]
    leads: Leads,
}

pub(super) fn run(args: Args) -> Status {
    let history = args.repository.clone().map(|url| history(&args, url)).transpose()?;
    // Read after the branch: whatever was on it then had been recorded before.
    let list = args.leads.ask(async |client| Ok(client.list::<Decision>().await?))?;
    output::print(&match args.output {
        Format::Json | Format::Yaml => output::document(args.output, &list)?,
        Format::Table | Format::Wide => table(&list.items, history.as_deref()),
    })?;
    let Some(history) = history else { return Ok(ExitCode::SUCCESS) };
    let findings = audit::audit(&list.items, &history);
    for finding in &findings {
        anstream::eprintln!("{} {finding}", owo_colors::OwoColorize::red(&"error:"));
    }
    if findings.is_empty() {
        anstream::eprintln!("the deploy branch and the Knowledge Base agree");
    }
    Ok(ExitCode::from(u8::from(!findings.is_empty())))
}

/// The deploy branch, its tip first.
fn history(args: &Args, url: String) -> anyhow::Result<Vec<Commit>> {
    let credentials = match args.repository_token_file.clone() {
        Some(file) => Credentials::Token { file },
        None => Credentials::None,
    };
    let remote = Remote { url, credentials, authority: args.repository_authority.clone() };
    let folder = tempfile::tempdir().context("cannot make a folder for the clone")?;
    let mut mirror = Mirror::open(&folder.path().join("clone"), remote)?;
    let tip = mirror.fetch(&args.branch, Depth::Full, DEADLINE)?;
    let tip = tip.with_context(|| format!("the repository has no branch {}", args.branch))?;
    let (mut history, mut seen) = (Vec::new(), BTreeSet::from([tip.clone()]));
    let mut next = VecDeque::from([tip]);
    while let Some(id) = next.pop_front() {
        let commit = mirror.commit(&id)?;
        next.extend(commit.parents.into_iter().filter(|parent| seen.insert(parent.clone())));
        history.push(Commit { id, message: commit.message });
    }
    Ok(history)
}

fn table(decisions: &[Decision], history: Option<&[Commit]>) -> String {
    let on_branch: Option<BTreeSet<&str>> =
        history.map(|history| history.iter().map(|commit| commit.id.as_str()).collect());
    let row = |decision: &Decision| {
        let Decision { intent, epoch, revision, commit, subject, outcome, .. } = decision;
        let branch = on_branch.as_ref().map(|ids| if ids.contains(commit.as_str()) { "yes" } else { "no" });
        vec![
            epoch.to_string(),
            intent.clone(),
            output::or_dash(Some(output::commit(revision)).filter(|revision| !revision.is_empty())),
            output::commit(commit),
            match outcome {
                DecisionOutcome::Refused(why) => format!("Refused: {why}"),
                other => format!("{other:?}"),
            },
            branch.unwrap_or("-").into(),
            subject.clone(),
        ]
    };
    let rows: Vec<_> = decisions.iter().map(row).collect();
    let columns = ["EPOCH", "INTENT", "REVISION", "COMMIT", "OUTCOME", "ON BRANCH", "SUBJECT"];
    output::table(&columns, &rows, output::terminal_width())
}
