//! `qonnect export`: the Knowledge Base of a running lead, for planning and for other tools.

use std::process::ExitCode;

use qonnect_schema::api::ClusterView;
use serde_json::{Value, json};

use super::Status;
use super::leads::Leads;
use super::output::{self, Format};

mod multicluster;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect export > snapshot.yaml
  qonnect plan --snapshot snapshot.yaml
  qonnect export clusters | kubectl apply -n fleet --server-side -f -
  qonnect export clusters | kubectl apply -n fleet --server-side --subresource=status -f -
  qonnect export placements | kubectl apply -n fleet --server-side -f -")]
pub(super) struct Args {
    /// What to write
    #[arg(value_enum, default_value = "snapshot")]
    what: What,
    /// How to write it
    #[arg(short, long, default_value = "yaml", value_parser = ["yaml", "json"])]
    output: String,
    #[command(flatten)]
    leads: Leads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// The Snapshot, which plans start from
    Snapshot,
    /// PlacementDecision objects (multicluster.x-k8s.io, KEP-5313)
    Placements,
    /// ClusterProfile objects (multicluster.x-k8s.io, KEP-4322)
    Clusters,
}

pub(super) fn run(args: Args) -> Status {
    let format = if args.output == "json" { Format::Json } else { Format::Yaml };
    let text = args.leads.ask(async |client| {
        Ok(match args.what {
            What::Snapshot => output::document(format, &client.snapshot().await?)?,
            What::Placements => {
                objects(format, multicluster::placement_decisions(&client.snapshot().await?))?
            }
            What::Clusters => {
                let clusters = client.list::<ClusterView>().await?.items;
                objects(format, multicluster::cluster_profiles(&clusters))?
            }
        })
    })?;
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// One list, as `kubectl get` writes it and `kubectl apply` reads it.
fn objects(format: Format, items: Vec<Value>) -> anyhow::Result<String> {
    output::document(format, &json!({"apiVersion": "v1", "kind": "List", "items": items}))
}
