//! The connections between leads: mutual TLS, where each name is checked, or plain text on loopback.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::wire::Stream;
use crate::consensus::group::PeerTls;
use crate::tls::{self, names, reload};

/// How to speak to peers; clones share what was read last.
#[derive(Clone)]
pub(super) struct Secured(Option<watch::Receiver<Arc<Both>>>);

struct Both {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Secured {
    /// The files are followed from here on.
    pub(super) fn new(tls: Option<&PeerTls>) -> Result<Self, tls::Error> {
        let Some(tls) = tls.cloned() else { return Ok(Self(None)) };
        let files = vec![tls.certificate.clone(), tls.key.clone(), tls.authority.clone()];
        Ok(Self(Some(reload::follow(files, move || read(&tls))?)))
    }

    /// Whoever answers must be this lead.
    pub(super) async fn call(&self, socket: TcpStream, name: &str) -> io::Result<Stream> {
        let Some(both) = self.current() else { return Ok(Box::new(socket)) };
        let name = ServerName::try_from(names::of_lead(name)).map_err(io::Error::other)?;
        let stream = TlsConnector::from(both.client.clone()).connect(name, socket).await?;
        Ok(Box::new(stream))
    }

    /// Gives the stream, and whether its caller may call itself by a name.
    pub(super) async fn answer(
        &self,
        socket: TcpStream,
    ) -> io::Result<(Stream, impl Fn(&str) -> bool + Send)> {
        let (stream, certificate): (Stream, _) = match self.current() {
            None => (Box::new(socket), None),
            Some(both) => {
                let stream = TlsAcceptor::from(both.server.clone()).accept(socket).await?;
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let certificate = chain.first().map(|first| first.clone().into_owned());
                (Box::new(stream), Some(certificate))
            }
        };
        let may = move |name: &str| match &certificate {
            // Plain text, on loopback.
            None => true,
            Some(certificate) => {
                certificate.as_ref().is_some_and(|certificate| names::is_lead(certificate, name))
            }
        };
        Ok((stream, may))
    }

    fn current(&self) -> Option<Arc<Both>> {
        self.0.as_ref().map(|receiver| receiver.borrow().clone())
    }
}

fn read(tls: &PeerTls) -> Result<Both, tls::Error> {
    let unusable = |why: rustls::Error| tls::Error::new(&tls.certificate, why);
    let (chain, key) = tls::identity(&tls.certificate, &tls.key)?;
    let client = ClientConfig::builder()
        .with_root_certificates(tls::roots(&tls.authority)?)
        .with_client_auth_cert(chain.clone(), key.clone_key())
        .map_err(unusable)?;
    let server = ServerConfig::builder()
        .with_client_cert_verifier(tls::verifier(&tls.authority, true)?)
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    Ok(Both { client: Arc::new(client), server: Arc::new(server) })
}
