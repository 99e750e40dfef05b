//! `qonnect brake`: whether moves are frozen, and their release.

use std::process::ExitCode;

use jiff::Timestamp;
use qonnect_schema::documents::snapshot::Brake;

use super::Status;
use super::leads::Leads;
use super::output;

/// Show whether moves are frozen since too many clusters fell silent at once, and let them go.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect brake               who holds it; the status is 1 while it is on
  qonnect brake --release     the silent clusters are gone: what ran there is placed elsewhere, batch by batch

It goes by itself when enough of the clusters answer again.")]
pub(super) struct Args {
    /// The silent clusters are gone indeed: go on without them
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    leads: Leads,
}

pub(super) fn run(args: Args) -> Status {
    if args.release {
        args.leads.ask(async |client| Ok(client.release_brake().await?))?;
        output::print("released: the silent clusters are emptied, batch by batch\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let list = args.leads.ask(async |client| Ok(client.list::<Brake>().await?))?;
    let text = list.items.first().map_or_else(|| "off\n".into(), |brake| line(brake, Timestamp::now()));
    output::print(&text)?;
    Ok(ExitCode::from(u8::from(list.items.iter().any(Brake::is_engaged))))
}

fn line(brake: &Brake, now: Timestamp) -> String {
    let names = brake.clusters.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match brake.released {
        None => {
            format!("on for {}: {names} fell silent together; nothing moves\n", output::age(now, brake.since))
        }
        Some(at) => {
            format!("released {} ago: {names} count as gone until they answer\n", output::age(now, at))
        }
    }
}
