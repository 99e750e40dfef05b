//! `qonnect export`: the Knowledge Base of a running lead, as planning sees it.

use std::process::ExitCode;

use super::Status;
use super::leads::Leads;
use super::output::{self, Format};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect export > snapshot.yaml
  qonnect plan --snapshot snapshot.yaml")]
pub(super) struct Args {
    /// How to write it
    #[arg(short, long, default_value = "yaml", value_parser = ["yaml", "json"])]
    output: String,
    #[command(flatten)]
    leads: Leads,
}

pub(super) fn run(args: Args) -> Status {
    let format = if args.output == "json" { Format::Json } else { Format::Yaml };
    let snapshot = args.leads.ask(async |client| Ok(client.snapshot().await?))?;
    output::print(&output::document(format, &snapshot)?)?;
    Ok(ExitCode::SUCCESS)
}
