//! `qonnect explain`.

use super::Status;

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: Args) -> Status {
    anyhow::bail!("being built")
}
