//! The HTTP API of a lead, for agents and readers; `qonnect_schema::api` names its documents.
//!
//! Plain HTTP is served on loopback addresses only, and to everybody there unless a token file is given.
//! Anywhere else the server wants a certificate, and a token file or an authority whose certificates clients show
//! (see [`access`]). All these files are read again when they change.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use qonnect_schema::revision::Revision;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

mod access;
mod agents;
mod brake;
pub mod client;
mod deliveries;
mod explain;
mod hooks;
mod leads;
mod metrics;
mod neighbours;
mod problem;
mod readers;
mod recovery;
mod routes;
mod shared;
mod tls;
mod views;

use crate::consensus::Consensus;
use crate::lead::liveness::Liveness;
use crate::lead::relay::Relay;
use access::Access;
use deliveries::Deliveries;
pub use deliveries::Github;
use shared::Shared;
use tls::Identifying;

/// How long requests may go on after an ordered end.
const STOP_GRACE: Duration = Duration::from_millis(300);

#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub tls: Option<Tls>,
    /// Lines `IDENTITY TOKEN`.
    pub tokens: Option<PathBuf>,
    /// Absent: no deliveries of GitHub are taken.
    pub github: Option<Github>,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose certificates say who a client is; a client without one needs a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authority: Option<PathBuf>,
}

/// What the API shows and whom it tells.
pub struct Parts {
    pub consensus: Consensus,
    /// What counts now; absent until the spec branch was read.
    pub revision: watch::Receiver<Option<Arc<Revision>>>,
    /// Somebody says that the spec branch has moved.
    pub fetch: Arc<Notify>,
    /// Or that people have done something about a proposal.
    pub review: Arc<Notify>,
    pub liveness: Arc<Liveness>,
    pub relay: Relay,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{0} is no loopback address: it is served only with `tls`, and with `tokens` or `tls.clientAuthority`; \
         `qonnect certs` makes the files, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    #[error("cannot listen on {address}: is another lead running there?")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}, line {line}: {why}", .path.display())]
    Tokens { path: PathBuf, line: usize, why: &'static str },
    #[error("{}: the secret of the webhook is too short; use at least 16 characters, such as `openssl rand -hex 32` prints", .0.display())]
    WebhookSecret(PathBuf),
    #[error(transparent)]
    Certificate(#[from] crate::tls::Error),
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    handle: Handle<SocketAddr>,
}

/// Listens before it returns.
pub async fn serve(config: &Config, parts: Parts) -> Result<Server, Error> {
    let certifies = config.tls.as_ref().is_some_and(|tls| tls.client_authority.is_some());
    let identifies = config.tokens.is_some() || certifies;
    if !config.listen.ip().is_loopback() && (config.tls.is_none() || !identifies) {
        return Err(Error::Open(config.listen));
    }
    let access = identifies.then(|| Access::new(config.tokens.as_deref())).transpose()?;
    let deliveries = config.github.as_ref().map(Deliveries::new).transpose()?;
    let tls = config.tls.as_ref().map(Identifying::new).transpose()?;
    let failed = |source| Error::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let handle = Handle::new();
    let service = routes::router(Shared::new(parts, access, deliveries)).into_make_service();
    let server = axum_server::from_tcp(listener).map_err(failed)?.handle(handle.clone());
    let scheme = if tls.is_some() { "https" } else { "http" };
    tokio::spawn(async move {
        let ended = match tls {
            Some(tls) => server.acceptor(tls).serve(service).await,
            None => server.acceptor(NoDelayAcceptor).serve(service).await,
        };
        if let Err(error) = ended {
            tracing::error!(%error, "the API has ended");
        }
    });
    Ok(Server { address, scheme, handle })
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub fn stop(&self) {
        self.handle.graceful_shutdown(Some(STOP_GRACE));
    }
}
