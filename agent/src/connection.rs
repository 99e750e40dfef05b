//! The HTTP client towards the leads, made anew when its certificates change.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use reqwest::{Certificate, Client, Identity};
use tracing::{info, warn};

use crate::config::Config;
use crate::uplink::{Error, text};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What tells that a file is another one; `None` where it cannot be read.
type Stamp = Option<(SystemTime, u64)>;

pub(crate) struct Connection {
    files: Files,
    made: Mutex<(Vec<Stamp>, Client)>,
}

#[derive(Debug, Clone)]
struct Files {
    authority: Option<PathBuf>,
    /// With its key.
    certificate: Option<(PathBuf, PathBuf)>,
    /// Whether a lead is reached by TLS at all.
    tls: bool,
}

impl Connection {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let files = Files {
            authority: config.authority.clone(),
            certificate: config.certificate.clone().zip(config.key.clone()),
            tls: config.leads.iter().any(|lead| lead.scheme() == "https"),
        };
        let made = Mutex::new((files.stamps(), files.client()?));
        Ok(Self { files, made })
    }

    /// Whatever cannot be read changes nothing.
    pub(crate) fn client(&self) -> Client {
        let stamps = self.files.stamps();
        let mut made = self.made.lock().expect("no thread panics while it holds this lock");
        if made.0 != stamps {
            match self.files.client() {
                Ok(client) => {
                    info!("certificates have changed and were read again");
                    made.1 = client;
                }
                Err(error) => warn!(%error, "certificates have changed; those that were read before count"),
            }
            made.0 = stamps;
        }
        made.1.clone()
    }
}

impl Files {
    fn stamps(&self) -> Vec<Stamp> {
        let pair = self.certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
        self.authority.iter().chain(pair).map(|path| stamp(path)).collect()
    }

    fn client(&self) -> Result<Client, Error> {
        let mut client =
            Client::builder().connect_timeout(CONNECT_TIMEOUT).http1_only().pool_max_idle_per_host(2);
        if let Some(path) = &self.authority {
            let read = Certificate::from_pem_bundle(&content(path)?);
            client = client.tls_certs_only(read.map_err(|why| unusable(path, &why))?);
        } else if !self.tls {
            // Else it reads the system's authorities, which takes longer than the rest of the start.
            client = client.tls_certs_only([]);
        }
        if let Some((certificate, key)) = &self.certificate {
            let both = [content(certificate)?, b"\n".to_vec(), content(key)?].concat();
            client = client.identity(Identity::from_pem(&both).map_err(|why| unusable(certificate, &why))?);
        }
        client.build().map_err(|error| Error::Unreachable(text(&error)))
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = path.metadata().ok()?;
    Some((found.modified().ok()?, found.len()))
}

fn content(path: &PathBuf) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|why| unusable(path, &why))
}

fn unusable(path: &Path, why: &dyn ToString) -> Error {
    Error::File { path: path.into(), why: why.to_string() }
}
