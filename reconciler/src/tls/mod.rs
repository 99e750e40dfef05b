//! Certificates and keys: read from PEM files, read again when those change, and whom they name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{WebPkiClientVerifier, danger::ClientCertVerifier};

pub(crate) mod issue;
pub(crate) mod names;
pub(crate) mod reload;
pub(crate) mod signing;

#[derive(Debug, thiserror::Error)]
#[error("{} is of no use: {why}", .path.display())]
pub struct Error {
    pub path: PathBuf,
    pub why: String,
}

impl Error {
    pub(crate) fn new(path: &Path, why: impl ToString) -> Self {
        Self { path: path.into(), why: why.to_string() }
    }
}

/// A chain and its key.
pub(crate) fn identity(
    certificate: &Path,
    key: &Path,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let chain = certificates(certificate)?;
    Ok((chain, PrivateKeyDer::from_pem_file(key).map_err(|why| Error::new(key, why))?))
}

pub(crate) fn roots(authority: &Path) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority)? {
        roots.add(certificate).map_err(|why| Error::new(authority, why))?;
    }
    Ok(Arc::new(roots))
}

/// Checks the certificates of clients; `required`: without one nobody gets in.
pub(crate) fn verifier(authority: &Path, required: bool) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let builder = WebPkiClientVerifier::builder(roots(authority)?);
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|why| Error::new(authority, why))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).map_err(|why| Error::new(path, why))?;
    let certificates = read.collect::<Result<Vec<_>, _>>().map_err(|why| Error::new(path, why))?;
    match certificates.is_empty() {
        true => Err(Error::new(path, "it holds no certificate in PEM")),
        false => Ok(certificates),
    }
}
