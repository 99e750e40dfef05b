//! `qonnect lead`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

use super::Status;
use crate::lead::config::{Config, Overrides};

#[cfg(feature = "otel")]
mod otlp;
#[cfg(not(feature = "otel"))]
#[path = "lead/no_otlp.rs"]
mod otlp;

use otlp::Traces;

/// Run a lead agent: watch the repository, decide, commit back, serve the API.
///
/// The configuration is YAML: `{name, node, data, listen, repository: {url, branch, poll, tokenFile, sshKey,
/// knownHosts}, tls: {certificate, key, clientAuthority}, tokens, peers: [{name, node, peer, api}], peerListen,
/// peerTls: {certificate, key, authority}, timers}`; only `data` and `repository.url` are needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    qonnect lead --config lead.yaml\n  \
    qonnect lead --config leads.yaml --name lead-2\n  \
    qonnect lead --data /var/lib/qonnect --repository https://git.example.org/fleet.git\n\n\
    Logs go to standard error; RUST_LOG=debug shows more. Decisions go to a collector of\n\
    OpenTelemetry as traces where OTEL_EXPORTER_OTLP_ENDPOINT names one, if built with `otel`.")]
pub(super) struct Args {
    /// The configuration, in YAML.
    #[arg(long, value_name = "FILE", env = "QONNECT_CONFIG")]
    config: Option<PathBuf>,
    /// Which of the `peers` this lead is.
    #[arg(long, value_name = "NAME", env = "QONNECT_NAME")]
    name: Option<String>,
    /// The folder that this lead keeps its state in.
    #[arg(long, value_name = "DIR", env = "QONNECT_DATA")]
    data: Option<PathBuf>,
    /// Where the API listens; other than loopback only with TLS and tokens.
    #[arg(long, value_name = "ADDRESS", env = "QONNECT_LISTEN")]
    listen: Option<SocketAddr>,
    /// The repository of the fleet.
    #[arg(long, value_name = "URL", env = "QONNECT_REPOSITORY")]
    repository: Option<String>,
    /// The spec branch.
    #[arg(long, value_name = "NAME", env = "QONNECT_BRANCH")]
    branch: Option<String>,
    /// How logs look.
    #[arg(long, value_enum, default_value_t, env = "QONNECT_LOG_FORMAT")]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum LogFormat {
    #[default]
    Text,
    Json,
}

pub(super) fn run(args: Args) -> Status {
    let Args { config, name, data, listen, repository, branch, log_format } = args;
    let overrides = Overrides { name, data, listen, repository, branch };
    let config = Config::read(config.as_deref(), overrides)?;
    let collector = collector();
    let traces = collector.map_or(Ok(None), |variable| Traces::open(variable, &config.name))?;
    log(log_format, traces.as_ref());
    if let (Some(variable), None) = (collector, &traces) {
        tracing::warn!(variable, "this program was built without the feature `otel` and sends no traces");
    }
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let status = runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        // A lead with an empty disk waits here for the others.
        let mut lead = tokio::select! {
            lead = crate::lead::start(config) => lead?,
            _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
            _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        };
        let asked = tokio::select! {
            _ = interrupt.recv() => true,
            _ = terminate.recv() => true,
            () = lead.ended() => false,
        };
        tracing::info!(asked, "the lead ends");
        lead.stop().await;
        anyhow::ensure!(asked, "a part of the lead has ended; the log above says why. Start it again");
        Ok(ExitCode::SUCCESS)
    });
    // Threads that end with the runtime have ended their spans.
    drop(runtime);
    if let Some(traces) = traces {
        traces.close();
    }
    status
}

/// The variable that names a collector of traces.
fn collector() -> Option<&'static str> {
    let set = |variable: &&str| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
    ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"].into_iter().find(set)
}

fn log(format: LogFormat, traces: Option<&Traces>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,openraft=error"));
    let log = registry().with(traces.map(Traces::layer)).with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with(lines).init(),
        LogFormat::Json => log.with(lines.json()).init(),
    }
}
