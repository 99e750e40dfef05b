//! `qonnect completions`.

use std::process::ExitCode;

use clap::CommandFactory;

use super::Status;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  qonnect completions bash > /etc/bash_completion.d/qonnect")]
pub(super) struct Args {
    shell: clap_complete::Shell,
}

pub(super) fn run(args: Args) -> Status {
    clap_complete::generate(args.shell, &mut super::Cli::command(), "qonnect", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
