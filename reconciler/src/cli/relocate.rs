//! `qonnect move`: what sending a component elsewhere would mean, and the commit that pins it there.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use qonnect_core::placement::micro;
use qonnect_schema::Application;
use qonnect_schema::documents::placement::ComponentPlacement;
use serde_json::json;

use super::edit::{Checkout, application_file};
use super::leads::Leads;
use super::{Status, output};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qonnect move bookinfo/reviews --to fog-cost --dry-run     what it would cost, or why it cannot be
  qonnect move bookinfo/reviews --to fog-cost --push        pin it there; `qonnect rollback bookinfo --release` lets it go

The status is 1 where the cluster cannot take the component.")]
pub(super) struct Args {
    /// The component
    #[arg(value_name = "APP/COMPONENT")]
    what: String,
    /// The cluster to send it to
    #[arg(long, value_name = "CLUSTER")]
    to: String,
    /// Say what would come of it, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    checkout: Checkout,
    #[command(flatten)]
    leads: Leads,
}

pub(super) fn run(args: Args) -> Status {
    let (application, component) = args.what.split_once('/').context("name it as APP/COMPONENT")?;
    let placement = args.leads.ask(async |client| Ok(client.explain(application).await?))?;
    let Some(placed) = placement.spec.components.get(component) else {
        let known: Vec<_> = placement.spec.components.keys().map(String::as_str).collect();
        bail!("`{application}` has no component `{component}`; it has {}", known.join(", "));
    };
    let outlook = Outlook::of(placed, &args.to)?;
    output::print(&format!("{} {}\n", args.what, outlook.words(&args.to)))?;
    if matches!(outlook, Outlook::Refused(_)) {
        return Ok(ExitCode::FAILURE);
    }
    if !args.dry_run {
        let file = application_file(&args.checkout.root()?, application)?;
        let document: Application = args.checkout.read(&file)?;
        let mut pin = document.spec.pin;
        pin.insert(component.into(), args.to.clone());
        let about = format!("Pin {} to {}", args.what, args.to);
        let fields = [("pin", Some(json!(pin)))];
        output::print(&args.checkout.change::<Application>(&file, &fields, &about)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, PartialEq)]
enum Outlook {
    There,
    /// What the objective function would lose by it, in millionths.
    Differs(i64),
    Refused(String),
    /// It runs nowhere now.
    Possible,
}

impl Outlook {
    fn of(placed: &ComponentPlacement, to: &str) -> anyhow::Result<Self> {
        if placed.cluster.as_deref() == Some(to) {
            return Ok(Self::There);
        }
        let other = placed.others.iter().find(|other| other.cluster == to);
        let other = other.with_context(|| format!("the fleet has no cluster `{to}`"))?;
        Ok(match (&other.refused, &other.score, &placed.score) {
            (Some(refused), _, _) => Self::Refused(format!("{:?}: {}", refused.filter, refused.message)),
            (None, Some(there), Some(here)) => Self::Differs(there.total - here.total),
            _ => Self::Possible,
        })
    }

    fn words(&self, to: &str) -> String {
        match self {
            Self::There => format!("runs on {to}, or is on its way there"),
            Self::Possible => format!("can go to {to}"),
            Self::Differs(by) if *by < 0 => format!("gains {} on {to}", micro(-by)),
            Self::Differs(by) => format!("loses {} on {to}, make before break", micro(*by)),
            Self::Refused(why) => format!("cannot go to {to}: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_costs_something_or_cannot_be() {
        let placed: ComponentPlacement = serde_json::from_value(json!({
            "cluster": "a", "score": {"total": 1_000_000}, "others": [
                {"cluster": "b", "score": {"total": 1_250_000}},
                {"cluster": "c", "refused": {"filter": "tier", "message": "wants tier fog, is edge"}},
            ],
        }))
        .unwrap();
        assert_eq!(Outlook::of(&placed, "a").unwrap(), Outlook::There);
        assert_eq!(Outlook::of(&placed, "b").unwrap(), Outlook::Differs(250_000));
        let refused = Outlook::of(&placed, "c").unwrap();
        assert_eq!(refused.words("c"), "cannot go to c: Tier: wants tier fog, is edge");
        assert!(Outlook::of(&placed, "z").is_err());
    }
}
