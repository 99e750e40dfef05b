//! `qonnect reconcile`: an agent that shall not wait for its next attempt.

use std::process::ExitCode;

use super::Status;
use super::leads::Leads;
use super::output;

/// Let the agent of a cluster fetch its release, and try at once what waits for its next attempt.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect reconcile edge-cost && qonnect get components --watch

Where no lead answers, the annotation `qonnect.io/reconcile-at` on the namespace `qonnect-system` of the cluster does the same.")]
pub(super) struct Args {
    /// Of the cluster
    #[arg(value_name = "CLUSTER")]
    name: String,
    #[command(flatten)]
    leads: Leads,
}

pub(super) fn run(args: Args) -> Status {
    args.leads.ask(async |client| Ok(client.reconcile(&args.name).await?))?;
    output::print(&format!("{} is asked; its agent hears of it by its next heartbeat\n", args.name))?;
    Ok(ExitCode::SUCCESS)
}
