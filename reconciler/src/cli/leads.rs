//! Which leads a command asks.

use std::path::PathBuf;

use crate::api::client::{Client, Options};

#[derive(Debug, clap::Args)]
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
}

impl Leads {
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        let Self { lead, token_file, authority } = self;
        let options =
            Options { leads: lead.clone(), token_file: token_file.clone(), authority: authority.clone() };
        Ok(Client::new(&options)?)
    }

    /// One lead instead, asked in the same name.
    pub(super) fn at(&self, url: &str) -> Self {
        let Self { token_file, authority, .. } = self;
        Self { lead: vec![url.into()], token_file: token_file.clone(), authority: authority.clone() }
    }

    /// Runs a conversation with the leads to its end.
    pub(super) fn ask<T>(&self, talk: impl AsyncFnOnce(Client) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { talk(self.client()?).await })
    }
}
