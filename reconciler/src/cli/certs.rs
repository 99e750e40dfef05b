//! `qonnect certs`: an authority of one's own, and certificates for a fleet.

use std::path::PathBuf;
use std::process::ExitCode;

use super::Status;
use super::output;
use crate::tls::issue::{Wanted, issue};
use crate::tls::signing;

/// Longer than a fleet goes without being looked at; shorter than a lost key is forgotten.
const DAYS: i64 = 365;

/// Make an authority, certificates and signing keys; what is there already stays.
///
/// Writes `ca.pem` and `ca.key`, and for each lead `NAME.pem`, `NAME.key` and `NAME.signing`, whose signatures
/// `allowed_signers` allows; for each cluster `cluster-NAME.pem` and `.key`, and the same for `reader`, `hook` and `admin`. With `--tokens` also `tokens`, which leads read, and a
/// file `.token` for each of the others. Remove a certificate to have it renewed: leads and agents read it again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect certs --lead lead-1=10.0.0.1 --lead lead-2=10.0.0.2 --lead lead-3=10.0.0.3 --cluster fog-1,fog-2
  qonnect certs --out certs --cluster fog-3        one more, by the same authority

Keep ca.key where no lead and no agent can read it: whoever has it can be anybody.")]
pub(super) struct Args {
    /// Where to write
    #[arg(long, value_name = "DIR", default_value = "certs")]
    out: PathBuf,
    /// A lead, and the names and addresses that others reach it at; localhost always works
    #[arg(long = "lead", value_name = "NAME[=HOST,...]")]
    leads: Vec<String>,
    /// Clusters whose agents report
    #[arg(long = "cluster", value_name = "NAME", value_delimiter = ',')]
    clusters: Vec<String>,
    /// How long the certificates are good
    #[arg(long, value_name = "DAYS", default_value_t = DAYS, value_parser = clap::value_parser!(i64).range(1..=3650))]
    days: i64,
    /// Tokens too, for agents and readers that show none
    #[arg(long)]
    tokens: bool,
}

pub(super) fn run(args: Args) -> Status {
    let leads: Vec<_> = args.leads.iter().map(|lead| lead.split_once('=').unwrap_or((lead, ""))).collect();
    let names: Vec<_> = leads.iter().map(|(name, _)| *name).collect();
    let leads = leads.into_iter().map(|(name, hosts)| {
        let mut all = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        all.extend(hosts.split(',').filter(|host| !host.is_empty()).map(str::to_owned));
        Wanted::lead(name, &all)
    });
    let clusters = args.clusters.iter().map(|name| Wanted::cluster(name));
    let roles = ["reader", "hook", "admin"].map(Wanted::role);
    let wanted: Vec<_> = leads.chain(clusters).chain(roles).collect();
    let mut written = issue(&args.out, &wanted, args.days, args.tokens)?;
    written.extend(signing::issue(&args.out, &names)?);
    let lines: String = written.iter().map(|file| format!("{}\n", file.display())).collect();
    output::print(if lines.is_empty() { "everything was there already\n" } else { &lines })?;
    Ok(ExitCode::SUCCESS)
}
