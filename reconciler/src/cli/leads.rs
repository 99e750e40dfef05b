//! Which leads a command asks.

use std::path::PathBuf;

use crate::api::client::{Client, Options};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Leads {
    /// Where a lead serves its API; several are tried in turn
    #[arg(
        long,
        value_name = "URL",
        env = "QONNECT_LEAD",
        default_value = "http://127.0.0.1:7480",
        value_delimiter = ',',
        help_heading = "Connection"
    )]
    lead: Vec<String>,
    /// A file with the token that leads ask for
    #[arg(long, value_name = "FILE", env = "QONNECT_TOKEN_FILE", help_heading = "Connection")]
    token_file: Option<PathBuf>,
    /// A file with the authority (PEM) whose certificates leads show
    #[arg(long, value_name = "FILE", env = "QONNECT_AUTHORITY", help_heading = "Connection")]
    authority: Option<PathBuf>,
    /// A file with the certificate (PEM) that names you to the leads
    #[arg(
        long,
        value_name = "FILE",
        env = "QONNECT_CERTIFICATE",
        requires = "key",
        help_heading = "Connection"
    )]
    certificate: Option<PathBuf>,
    /// A file with its key
    #[arg(
        long,
        value_name = "FILE",
        env = "QONNECT_KEY",
        requires = "certificate",
        help_heading = "Connection"
    )]
    key: Option<PathBuf>,
}

impl Leads {
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let Self { lead, token_file, authority, certificate, key } = self.clone();
        let certificate = certificate.zip(key);
        Ok(Client::new(&Options { leads: lead, token_file, authority, certificate })?)
    }

    /// One lead instead, asked in the same name.
    pub(super) fn at(&self, url: &str) -> Self {
        Self { lead: vec![url.into()], ..self.clone() }
    }

    /// Runs a conversation with the leads to its end.
    pub(super) fn ask<T>(&self, talk: impl AsyncFnOnce(Client) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { talk(self.client()?).await })
    }
}
