//! TLS of the API: its own certificate, and what the certificate of a client says about who asks.

use std::future::Future;
use std::io;
use std::pin::Pin;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::{Accept, NoDelayAcceptor};
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tower::Layer;

use super::Tls;
use super::access::Identity;
use crate::tls::{self, names, reload};

/// Who the certificate says that asks; nobody, where none was shown.
#[derive(Debug, Clone)]
pub(super) struct Certified(pub(super) Option<Identity>);

/// Takes connections in, and notes on each whom its certificate names.
#[derive(Clone)]
pub(super) struct Identifying(RustlsAcceptor<NoDelayAcceptor>);

impl Identifying {
    /// The files are followed from here on.
    pub(super) fn new(files: &Tls) -> Result<Self, tls::Error> {
        let paths = [Some(&files.certificate), Some(&files.key), files.client_authority.as_ref()];
        let files = files.clone();
        let mut read =
            reload::follow(paths.into_iter().flatten().cloned().collect(), move || server(&files))?;
        let config = RustlsConfig::from_config(read.borrow_and_update().clone());
        let served = config.clone();
        tokio::spawn(async move {
            while read.changed().await.is_ok() {
                served.reload_from_config(read.borrow_and_update().clone());
            }
        });
        Ok(Self(RustlsAcceptor::new(config).acceptor(NoDelayAcceptor)))
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Identifying {
    type Stream = TlsStream<TcpStream>;
    type Service = AddExtension<S, Certified>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, socket: TcpStream, service: S) -> Self::Future {
        let accepted = self.0.accept(socket, service);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
            let named = chain.first().map(names::read).unwrap_or_default();
            let identity = named.iter().find_map(|name| identity(name));
            Ok((stream, Extension(Certified(identity)).layer(service)))
        })
    }
}

fn identity(name: &str) -> Option<Identity> {
    match name.strip_suffix(".cluster") {
        Some(cluster) => Some(Identity::Cluster(cluster.into())),
        None => Identity::role(name),
    }
}

fn server(files: &Tls) -> Result<ServerConfig, tls::Error> {
    let (chain, key) = tls::identity(&files.certificate, &files.key)?;
    let builder = match &files.client_authority {
        None => ServerConfig::builder().with_no_client_auth(),
        // Without a certificate a client may still show a token.
        Some(authority) => {
            ServerConfig::builder().with_client_cert_verifier(tls::verifier(authority, false)?)
        }
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|why| tls::Error::new(&files.certificate, why))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
