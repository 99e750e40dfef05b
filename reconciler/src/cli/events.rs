//! `qonnect events`: what happened to an application or a cluster, and which commit decided it.

use super::leads::Leads;
use super::output::Format;
use super::{Status, get};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect events --app bookinfo --watch      every step of its components, as it happens
  qonnect events --cluster fog-cost -o wide  with the commits that decided")]
pub(super) struct Args {
    /// Only of this application, or `APP/COMPONENT`
    #[arg(long, value_name = "APP", conflicts_with = "cluster")]
    app: Option<String>,
    /// Only of this cluster
    #[arg(long, value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Go on after each change
    #[arg(short, long)]
    watch: bool,
    /// How to print it
    #[arg(short, long, default_value = "table")]
    output: Format,
    #[command(flatten)]
    leads: Leads,
}

pub(super) fn run(args: Args) -> Status {
    let Args { app, cluster, watch, output, leads } = args;
    let app = app.map(|app| match app.contains('/') {
        true => format!("component/{app}"),
        false => app,
    });
    let name = app.or_else(|| cluster.map(|cluster| format!("cluster/{cluster}")));
    get::events(name, output, watch, leads)
}
