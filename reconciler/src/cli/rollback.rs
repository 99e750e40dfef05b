//! `qonnect rollback`: pins an application to the last placement that was Ready, until it is released.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use qonnect_schema::Application;
use qonnect_schema::api::ApplicationView;
use serde_json::json;

use super::edit::{Checkout, application_file};
use super::leads::Leads;
use super::{Status, output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect rollback bookinfo --push               back to where it last ran well, and stay there
  qonnect rollback bookinfo --release --push     let it be placed freely again

It changes where components run, not what they are: for that, `git revert` the commit.")]
pub(super) struct Args {
    application: String,
    /// Take the pins out again
    #[arg(long)]
    release: bool,
    #[command(flatten)]
    checkout: Checkout,
    #[command(flatten)]
    leads: Leads,
}

pub(super) fn run(args: Args) -> Status {
    let Args { application, release, checkout, leads } = args;
    let file = application_file(&checkout.root()?, &application)?;
    if release {
        let about = format!("Release {application}");
        output::print(&checkout.change::<Application>(&file, &[("pin", None)], &about)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let list = leads.ask(async |client| Ok(client.list::<ApplicationView>().await?))?;
    let view = list.items.into_iter().find(|view| view.name == application);
    let view = view.with_context(|| format!("the leads know no application `{application}`"))?;
    ensure!(
        !view.ran_before.is_empty(),
        "the leads remember no other placement of `{application}` that was Ready"
    );
    // What has gone since has no place.
    let document: Application = checkout.read(&file)?;
    let known = |name: &String| document.spec.components.iter().any(|component| component.name == *name);
    let pin: std::collections::BTreeMap<_, _> =
        view.ran_before.into_iter().filter(|(component, _)| known(component)).collect();
    for (component, cluster) in &pin {
        output::print(&format!("{application}/{component} → {cluster}\n"))?;
    }
    let about = format!("Roll {application} back to where it was Ready");
    output::print(&checkout.change::<Application>(&file, &[("pin", Some(json!(pin)))], &about)?)?;
    Ok(ExitCode::SUCCESS)
}
