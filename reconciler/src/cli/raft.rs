//! `qonnect raft`: the group of leads.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use qonnect_schema::api::{LeadAddress, LeadRole, LeadView, Recovered, Recovery};
use serde::Serialize;

use super::Status;
use super::leads::Leads;
use super::output::{self, Format};
use crate::api::client::Client;

mod agreement;
use agreement::Agreement;

/// See and change the group of leads.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect raft status
  qonnect raft add lead-4 --node 4 --peer 10.0.0.4:7481 --api https://10.0.0.4:7480
  qonnect raft remove lead-2
  qonnect raft transfer lead-3
  qonnect raft recover --adopt 1f0c2d3e4a5b6978

A group has three or five leads: it works as long as more than half of them do.")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show who belongs to the group, who leads, how far each is, and whether all know the same.
    ///
    /// Every lead is asked for the hashes of its newest states. The status is 1 if two differ at an index that both
    /// have applied.
    Status {
        /// How to print it
        #[arg(short, long, default_value = "table")]
        output: Format,
        #[command(flatten)]
        leads: Leads,
    },
    /// Take a lead in: it learns first, and votes once it has caught up.
    Add {
        /// Its name, as in its own configuration
        name: String,
        /// Its number, which no lead ever had before
        #[arg(long)]
        node: u64,
        /// Where it listens for the other leads
        #[arg(long, value_name = "HOST:PORT")]
        peer: String,
        /// Where its API is
        #[arg(long, value_name = "URL")]
        api: String,
        #[command(flatten)]
        leads: Leads,
    },
    /// Take a lead out, also the leader; end it afterwards, and never use its number again.
    Remove {
        name: String,
        #[command(flatten)]
        leads: Leads,
    },
    /// Go on with the deploy branch of a group of leads that is gone for good; a new era begins.
    ///
    /// The new leads read the placements from the branch and the rest from the agents' reports. Leads of the old
    /// group that come back publish nothing more.
    Recover {
        /// The group whose branch it is, as the event `BranchOfOthers` names it
        #[arg(long, value_name = "GROUP")]
        adopt: Option<String>,
        #[command(flatten)]
        leads: Leads,
    },
    /// Let another lead lead; without a name, the one that is furthest.
    Transfer {
        name: Option<String>,
        #[command(flatten)]
        leads: Leads,
    },
}

pub(super) fn run(args: Args) -> Status {
    match args.action {
        Action::Status { output, leads } => {
            let (group, agreement) = leads.ask(async |client| {
                let group = group(&client, &leads).await?;
                let agreement = Agreement::ask(&group, &leads).await;
                Ok((group, agreement))
            })?;
            match output {
                Format::Json | Format::Yaml => {
                    output::print(&output::document(output, &documents(&group, &agreement))?)?;
                    anstream::eprint!("{}", agreement.verdict());
                }
                Format::Table | Format::Wide => {
                    output::print(&format!("{}{}", table(&group, &agreement), agreement.verdict()))?;
                }
            }
            return Ok(ExitCode::from(u8::from(agreement.is_broken())));
        }
        Action::Add { name, node, peer, api, leads } => {
            let address = LeadAddress { node, peer, api };
            leads.ask(async |client| Ok(client.add_lead(&name, &address).await?))?;
            output::print(&format!("{name} belongs to the group and votes\n"))?;
        }
        Action::Remove { name, leads } => {
            leads.ask(async |client| Ok(client.remove_lead(&name).await?))?;
            output::print(&format!("{name} belongs to the group no more; end its process\n"))?;
        }
        Action::Recover { adopt, leads } => {
            let recovery = Recovery { adopt };
            let Recovered { epoch } = leads.ask(async |client| Ok(client.recover(&recovery).await?))?;
            output::print(&format!("era {} begins\n", epoch.era))?;
        }
        Action::Transfer { name, leads } => {
            let name = leads.ask(async |client| {
                let name = match name {
                    Some(name) => name,
                    None => furthest(&group(&client, &leads).await?)?,
                };
                client.transfer(&name).await?;
                Ok(name)
            })?;
            output::print(&format!("{name} leads\n"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// As the leader sees it, or as whoever answers does if the leader does not.
async fn group(client: &Client, leads: &Leads) -> anyhow::Result<Vec<LeadView>> {
    let seen = client.list::<LeadView>().await?.items;
    let leader = seen.iter().find(|lead| lead.role == LeadRole::Leader && !lead.api.is_empty());
    let Some(leader) = leader else { return Ok(seen) };
    let told = leads.at(&leader.api).client()?.list::<LeadView>().await;
    Ok(told.map_or(seen, |list| list.items))
}

fn furthest(group: &[LeadView]) -> anyhow::Result<String> {
    let followers = group.iter().filter(|lead| lead.role == LeadRole::Follower);
    let furthest = followers.max_by_key(|lead| lead.index);
    furthest.map(|lead| lead.name.clone()).context("there is no other lead that could lead")
}

/// A lead, and its hash of the state at the index where all were compared.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Compared<'a> {
    #[serde(flatten)]
    lead: &'a LeadView,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}

fn documents<'a>(group: &'a [LeadView], agreement: &'a Agreement) -> Vec<Compared<'a>> {
    group.iter().map(|lead| Compared { lead, state: agreement.hash(&lead.name) }).collect()
}

fn table(group: &[LeadView], agreement: &Agreement) -> String {
    let rows: Vec<_> = group
        .iter()
        .map(|lead| {
            let index = lead.index.map(|index| index.to_string());
            let LeadView { name, node, role, peer, api, term, .. } = lead;
            vec![
                name.clone(),
                node.to_string(),
                format!("{role:?}"),
                term.to_string(),
                output::or_dash(index),
                output::or_dash(agreement.hash(name).map(output::commit)),
                peer.clone(),
                api.clone(),
            ]
        })
        .collect();
    let columns = ["NAME", "NODE", "ROLE", "TERM", "INDEX", "STATE", "PEER", "API"];
    output::table(&columns, &rows, output::terminal_width())
}
