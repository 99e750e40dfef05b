//! `qonnect demo`: the whole loop on this machine.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::Status;
use crate::demo::{self, Options};

/// Serves a Git repository, starts three leads and nine agents in front of simulated clusters, and tells a story:
/// placed for energy, moved for cost, the leader killed, a fault refused, a deletion healed, an application removed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect demo                                   tell the story and stay up
  qonnect demo --exit --timeline target/t.json   end after it, with the times as JSON")]
pub(super) struct Args {
    /// End after the story: status 0, or 1 with the step that failed
    #[arg(long)]
    exit: bool,
    /// Write steps and times as JSON
    #[arg(long, value_name = "FILE")]
    timeline: Option<PathBuf>,
    /// The repository to copy
    #[arg(long, value_name = "DIR", default_value = "example-repo")]
    example: PathBuf,
}

pub(super) fn run(args: Args) -> Status {
    let options = Options { example: args.example, exit: args.exit, timeline: args.timeline };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    match runtime.block_on(demo::run(options)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            anstream::eprintln!("{} {error:#}", owo_colors::OwoColorize::red(&"error:"));
            Ok(ExitCode::from(1))
        }
    }
}
