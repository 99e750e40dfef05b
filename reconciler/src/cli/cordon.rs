//! `qonnect cordon`, `drain`, `fence` and `uncordon`: commits that say what a cluster is for.

use std::process::ExitCode;

use qonnect_schema::Cluster;
use serde_json::json;

use super::edit::{Checkout, cluster_file};
use super::{Status, output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect cordon fog-cost              nothing new comes to it; what runs stays
  qonnect drain fog-cost --push        everything moves away, make before break
  qonnect fence fog-cost --push        nothing runs there any more: you have switched it off
  qonnect uncordon fog-cost --push     it takes part again

Each makes one commit in the checkout that it is called in.")]
pub(super) struct Args {
    /// The cluster, as its document names it
    cluster: String,
    #[command(flatten)]
    checkout: Checkout,
}

pub(super) fn cordon(args: Args) -> Status {
    let about = format!("Cordon {}", args.cluster);
    change(&args, &[("cordon", Some(json!(true)))], &about)
}

pub(super) fn drain(args: Args) -> Status {
    let about = format!("Drain {}", args.cluster);
    change(&args, &[("drain", Some(json!(true)))], &about)
}

pub(super) fn fence(args: Args) -> Status {
    let about = format!("Fence {}", args.cluster);
    change(&args, &[("fenced", Some(json!(true)))], &about)
}

pub(super) fn uncordon(args: Args) -> Status {
    let about = format!("Uncordon {}", args.cluster);
    change(&args, &[("cordon", None), ("drain", None), ("fenced", None)], &about)
}

fn change(args: &Args, fields: &[(&str, Option<serde_json::Value>)], about: &str) -> Status {
    let file = cluster_file(&args.checkout.root()?, &args.cluster)?;
    output::print(&args.checkout.change::<Cluster>(&file, fields, about)?)?;
    Ok(ExitCode::SUCCESS)
}
