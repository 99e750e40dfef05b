//! `qonnect-agent`: reads its configuration and runs until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use qonnect_agent::{Overrides, check, diff, load, run, tune_memory};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use url::Url;

/// Keeps one cluster at the release that the leads publish for it.
///
/// Pulls clusters/NAME of the deploy branch, verifies it, applies it by server-side apply, prunes what was removed,
/// corrects drift, and reports health and nodes to the leads. Goes on without git and without leads from its copy on
/// the disk.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLE)]
struct Cli {
    #[command(subcommand)]
    question: Option<Question>,
    /// The configuration, YAML
    #[arg(long, value_name = "FILE", env = "QONNECT_AGENT_CONFIG")]
    config: PathBuf,
    /// Where to keep what outlives a restart, instead of `data` in the file
    #[arg(long, value_name = "DIR", env = "QONNECT_AGENT_DATA")]
    data: Option<PathBuf>,
    /// The repository, instead of `repository.url` in the file
    #[arg(long, value_name = "URL", env = "QONNECT_AGENT_REPOSITORY")]
    repository: Option<String>,
    /// A lead, instead of `leads` in the file; may be given several times
    #[arg(long, value_name = "URL", env = "QONNECT_AGENT_LEADS", value_delimiter = ',')]
    lead: Vec<Url>,
    /// How to reach the cluster, instead of `kubeconfig` in the file
    #[arg(long, value_name = "FILE", env = "QONNECT_AGENT_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Write the log as JSON lines
    #[arg(long)]
    log_json: bool,
}

/// Asked instead of running.
#[derive(Debug, Clone, Copy, Subcommand)]
enum Question {
    /// Test the disk, the cluster and the rights in it, Git, the leads and the clock; 1 if anything is missing
    Check,
    /// Show what the newest release would change in the cluster; 1 if anything
    Diff,
}

/// Our own lines say what an error means; the library would repeat each of them.
const LOG: &str = "info,kube_client=off";

const EXAMPLE: &str = "\
Example of a configuration:

  cluster: fog-cost
  data: /var/lib/qonnect-agent
  repository:
    url: https://git.example.org/fleet.git
    branch: qonnect/deploy
    tokenFile: /etc/qonnect/git-token
  leads: [https://lead-1.example.org:7480, https://lead-2.example.org:7480]
  authority: /etc/qonnect/ca.pem
  tokenFile: /etc/qonnect/token

The level of the log is set by RUST_LOG, such as RUST_LOG=debug.";

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("qonnect-agent: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    tune_memory();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match cli.log_json {
        true => log.json().init(),
        false => log.init(),
    }
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let overrides =
        Overrides { data: cli.data, repository: cli.repository, leads: cli.lead, kubeconfig: cli.kubeconfig };
    let config = load(&cli.config, overrides)?;
    // One thread: an agent waits most of the time, and each thread costs memory.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime")?;
    let one_if = |found: bool| ExitCode::from(u8::from(found));
    runtime.block_on(async {
        match cli.question {
            Some(Question::Check) => return Ok(one_if(!check(&config).await)),
            Some(Question::Diff) => return diff(&config).await.map(one_if),
            None => {}
        }
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        run(config, stop).await.map(|()| ExitCode::SUCCESS)
    })
}
