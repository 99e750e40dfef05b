//! The HTTP API of a lead, for agents and readers; `qonnect_schema::api` names its documents.
//!
//! Plain HTTP is served on loopback addresses only, and to everybody there unless a token file is given.
//! Anywhere else the server wants a certificate and a token file (see [`access`]). With `clientAuthority` it
//! talks only to clients with a certificate of that authority; who they are is said by their token.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use qonnect_schema::revision::Revision;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

mod access;
mod agents;
pub mod client;
mod explain;
mod problem;
mod readers;
mod routes;
mod shared;
mod tls;
mod views;

use crate::consensus::Consensus;
use crate::lead::liveness::Liveness;
use access::Access;
use shared::Shared;

/// How long requests may go on after an ordered end.
const STOP_GRACE: Duration = Duration::from_millis(300);

#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub tls: Option<Tls>,
    /// Lines `IDENTITY TOKEN`.
    pub tokens: Option<PathBuf>,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose certificates clients must show; absent: they need none.
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
    pub liveness: Arc<Liveness>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{0} is no loopback address: it is served only with `tls` and `tokens`; give both, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    #[error("cannot listen on {address}: is another lead running there?")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}, line {line}: {why}", .path.display())]
    Tokens { path: PathBuf, line: usize, why: &'static str },
    #[error("{} is of no use: {why}", .path.display())]
    Certificate { path: PathBuf, why: String },
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    handle: Handle<SocketAddr>,
}

/// Listens before it returns.
pub async fn serve(config: &Config, parts: Parts) -> Result<Server, Error> {
    if !config.listen.ip().is_loopback() && (config.tls.is_none() || config.tokens.is_none()) {
        return Err(Error::Open(config.listen));
    }
    let access = config.tokens.as_deref().map(Access::read).transpose()?;
    let tls = config.tls.as_ref().map(tls::server).transpose()?;
    let failed = |source| Error::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let handle = Handle::new();
    let service = routes::router(Shared::new(parts, access)).into_make_service();
    let server =
        axum_server::from_tcp(listener).map_err(failed)?.handle(handle.clone()).acceptor(NoDelayAcceptor);
    let scheme = if tls.is_some() { "https" } else { "http" };
    tokio::spawn(async move {
        let ended = match tls {
            Some(tls) => {
                let rustls = RustlsConfig::from_config(Arc::new(tls));
                server.map(|tcp| RustlsAcceptor::new(rustls).acceptor(tcp)).serve(service).await
            }
            None => server.serve(service).await,
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
