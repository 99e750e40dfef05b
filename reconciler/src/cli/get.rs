//! `qonnect get`: lists of what a lead knows.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use futures::StreamExt;
use jiff::Timestamp;
use qonnect_schema::api::{
    ApplicationView, ClusterView, Event, List, NodeView, PlacementView, RevisionRecord,
};

use super::Status;
use super::leads::Leads;
use super::output::{self, Format};
use crate::api::client::Client;

mod moves;
mod rows;

use moves::MoveRow;
use rows::Rows;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect get clusters                         how the fleet is
  qonnect get apps bookinfo -o wide            one application, with more columns
  qonnect get placements bookinfo/reviews      where a component runs
  qonnect get moves --watch                    what is on its way
  qonnect get revisions 1a2b3c4                a commit, and what is wrong with it
  qonnect get events --watch                   what happens, as it happens")]
pub(super) struct Args {
    /// What to list
    kind: Kind,
    /// Only these: a name, `APP/COMPONENT`, the beginning of a commit, `cluster/NAME` for events
    name: Option<String>,
    /// How to print it
    #[arg(short, long, default_value = "table")]
    output: Format,
    /// Go on after each change
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    leads: Leads,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    #[value(alias = "cluster")]
    Clusters,
    #[value(alias = "node")]
    Nodes,
    #[value(aliases = ["app", "application", "applications"])]
    Apps,
    #[value(alias = "placement")]
    Placements,
    /// Components on their way to another cluster
    #[value(alias = "move")]
    Moves,
    #[value(alias = "revision")]
    Revisions,
    #[value(alias = "event")]
    Events,
}

pub(super) fn run(args: Args) -> Status {
    args.leads.ask(async |client| match args.kind {
        Kind::Clusters => show::<ClusterView>(&client, &args).await,
        Kind::Nodes => show::<NodeView>(&client, &args).await,
        Kind::Apps => show::<ApplicationView>(&client, &args).await,
        Kind::Placements => show::<PlacementView>(&client, &args).await,
        Kind::Moves => show::<MoveRow>(&client, &args).await,
        Kind::Revisions => show::<RevisionRecord>(&client, &args).await,
        Kind::Events => show::<Event>(&client, &args).await,
    })
}

/// `qonnect events`.
pub(super) fn events(name: Option<String>, output: Format, watch: bool, leads: Leads) -> Status {
    run(Args { kind: Kind::Events, name, output, watch, leads })
}

async fn show<T: Rows>(client: &Client, args: &Args) -> Status {
    if args.watch {
        return watch::<T>(client, args).await;
    }
    let list = chosen(client.list::<T>().await?, args);
    if let (Some(name), true) = (&args.name, list.items.is_empty()) {
        anyhow::bail!("no {} fits `{name}`; `qonnect get {}` lists all", T::SINGULAR, T::PLURAL);
    }
    output::print(&text(&list, args, output::terminal_width())?)?;
    Ok(ExitCode::SUCCESS)
}

/// A terminal shows the newest list; a pipe gets what is new, line by line.
async fn watch<T: Rows>(client: &Client, args: &Args) -> Status {
    let mut lists = client.watch::<T>().await?;
    let redraws = std::io::stdout().is_terminal() && !T::GROWS;
    let mut before: Option<Vec<T>> = None;
    while let Some(list) = lists.next().await {
        let list = chosen(list.context("the watch has ended; start it again")?, args);
        let shown = match (args.output, &before) {
            (Format::Json, _) => serde_json::to_string(&list)? + "\n",
            (Format::Yaml, _) => format!("---\n{}", output::document(Format::Yaml, &list)?),
            _ if redraws => format!("\x1b[H\x1b[2J{}", text(&list, args, output::terminal_width())?),
            (_, None) => text(&list, args, output::terminal_width())?,
            (format, Some(before)) => {
                let wide = format == Format::Wide;
                rows::news(before, &list.items, wide, Timestamp::now(), output::terminal_width())
            }
        };
        output::print(&shown)?;
        before = Some(list.items);
    }
    Ok(ExitCode::SUCCESS)
}

fn chosen<T: Rows>(list: List<T>, args: &Args) -> List<T> {
    let fits = |item: &T| item.is_shown() && args.name.as_ref().is_none_or(|name| item.fits(name));
    List { index: list.index, items: list.items.into_iter().filter(fits).collect() }
}

fn text<T: Rows>(list: &List<T>, args: &Args, width: Option<u16>) -> anyhow::Result<String> {
    let wide = match args.output {
        Format::Json | Format::Yaml => return output::document(args.output, list),
        Format::Table => false,
        Format::Wide => true,
    };
    let mut text = rows::table(&list.items, wide, Timestamp::now(), width);
    if args.name.is_some() {
        for line in list.items.iter().flat_map(Rows::details) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    Ok(text)
}
