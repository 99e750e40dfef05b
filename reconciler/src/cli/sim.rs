//! `qonnect sim`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use qonnect_schema::Cluster;
use qonnect_schema::units::Span;

use super::Status;
use crate::sim::{ClusterConfig, Fleet, FleetConfig, serve_control};

/// Serve simulated clusters as Kubernetes APIs on loopback, until interrupted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect sim --repository example-repo --out /tmp/fleet
  qonnect sim --cluster edge-1:cpu=2,memory=4Gi --cluster cloud-1 --out .
  kubectl --kubeconfig /tmp/fleet/edge-energy.kubeconfig get nodes
  curl -X POST 'http://127.0.0.1:7481/sim/kill?cluster=edge-energy'   # also pause, resume, fill&share=0.5")]
pub(super) struct Args {
    /// A repository: its clusters/*.yaml say which clusters and nodes there are.
    #[arg(long, value_name = "DIR")]
    repository: Option<PathBuf>,
    /// A cluster by name, with what its nodes have (cpu, memory, storage, pods, energy, price, bandwidth, region, nodes).
    #[arg(long, value_name = "NAME[:KEY=VALUE,...]")]
    cluster: Vec<ClusterConfig>,
    /// Where the kubeconfigs go, one NAME.kubeconfig for each cluster.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How long a pod takes from its node to Ready.
    #[arg(long, value_name = "TIME", default_value = "500ms")]
    ready_after: Span,
    /// The port for control (POST /sim/pause|resume|kill|fill?cluster=NAME); 0 lets the system choose.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    control: u16,
}

pub(super) fn run(args: Args) -> Status {
    let mut clusters = args.cluster;
    if let Some(repository) = &args.repository {
        clusters.extend(declared(repository)?);
    }
    if clusters.is_empty() {
        bail!("no clusters: name a repository with --repository or clusters with --cluster");
    }
    clusters.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(twice) = clusters.windows(2).find(|pair| pair[0].name == pair[1].name) {
        bail!("the cluster {:?} is named twice", twice[0].name);
    }
    let config = FleetConfig { clusters, ready_after: args.ready_after.as_duration() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config, &args.out, args.control))
}

async fn serve(config: FleetConfig, out: &std::path::Path, port: u16) -> Status {
    let fleet = Arc::new(Fleet::start(config).await?);
    let files = fleet.write_kubeconfigs(out)?;
    for (member, file) in fleet.members().iter().zip(files) {
        anstream::println!("{:<24} {}  {}", member.name(), member.url(), file.display());
    }
    let control = serve_control(fleet.clone(), port).await?;
    anstream::println!("ready: {} clusters, control http://{control}", fleet.members().len());
    tokio::signal::ctrl_c().await?;
    Ok(ExitCode::SUCCESS)
}

/// The clusters that a repository declares.
fn declared(repository: &std::path::Path) -> anyhow::Result<Vec<ClusterConfig>> {
    let folder = repository.join(qonnect_schema::layout::CLUSTERS);
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("could not read {}", folder.display()))?;
    let mut clusters = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if !path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            continue;
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        let cluster: Cluster = qonnect_schema::yaml::from_str(&text)
            .with_context(|| format!("{} is not a Cluster; `qonnect validate` says why", path.display()))?;
        clusters.push(ClusterConfig::from(&cluster));
    }
    Ok(clusters)
}
