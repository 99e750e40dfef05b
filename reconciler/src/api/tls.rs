//! Certificates of the server, and whose clients it talks to.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::{Error, Tls};

pub(super) fn server(tls: &Tls) -> Result<ServerConfig, Error> {
    let chain = certificates(&tls.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|why| unusable(&tls.key, why))?;
    let builder = match &tls.client_authority {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(authority)? {
                roots.add(certificate).map_err(|why| unusable(authority, why))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
            ServerConfig::builder()
                .with_client_cert_verifier(verifier.map_err(|why| unusable(authority, why))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|why| unusable(&tls.certificate, why))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).map_err(|why| unusable(path, why))?;
    let certificates = read.collect::<Result<Vec<_>, _>>().map_err(|why| unusable(path, why))?;
    match certificates.is_empty() {
        true => Err(unusable(path, "it holds no certificate in PEM")),
        false => Ok(certificates),
    }
}

fn unusable(path: &Path, why: impl ToString) -> Error {
    Error::Certificate { path: path.into(), why: why.to_string() }
}
