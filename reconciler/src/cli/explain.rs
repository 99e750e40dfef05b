//! `qonnect explain`.

use std::process::ExitCode;

use anyhow::bail;
use clap::ValueEnum;

use super::leads::Leads;
use super::{Status, decisions, output};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  qonnect explain bookinfo             all components of an application
  qonnect explain bookinfo/reviews     one of them
  qonnect explain bookinfo -o json     the same as data")]
pub(super) struct Args {
    /// An application, or one of its components
    #[arg(value_name = "APP[/COMPONENT]")]
    what: String,
    /// How to print it
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    leads: Leads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(args: Args) -> Status {
    let (application, component) = match args.what.split_once('/') {
        Some((application, component)) => (application, Some(component)),
        None => (args.what.as_str(), None),
    };
    let mut placement = args.leads.ask(async |client| Ok(client.explain(application).await?))?;
    if let Some(wanted) = component {
        if !placement.spec.components.contains_key(wanted) {
            let known: Vec<_> = placement.spec.components.keys().map(String::as_str).collect();
            bail!("`{application}` has no component `{wanted}`; it has {}", known.join(", "));
        }
        placement.spec.components.retain(|name, _| name == wanted);
    }
    match args.output {
        Output::Text => output::print(&decisions::explain(&placement, output::terminal_width()))?,
        Output::Json => output::print(&output::document(output::Format::Json, &placement)?)?,
    }
    Ok(ExitCode::SUCCESS)
}
