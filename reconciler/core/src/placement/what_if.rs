//! A world that differs from ours in a few named things: what would be planned in it?
//!
//! ```text
//! lose cluster=NAME    lose region=NAME    drain cluster=NAME
//! price NAME=CURRENCY_PER_NODE_HOUR        carbon REGION=GRAMS_PER_KWH
//! ```
//!
//! In a name `*` stands for any characters.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use qonnect_schema::documents::placement::{ComponentPlacement, PlacementSpec};
use qonnect_schema::documents::signals::{GridIntensity, Price, Signals, SignalsSpec};
use qonnect_schema::revision::Revision;
use qonnect_schema::units::Money;
use qonnect_schema::{Placement, SnapshotSpec};

use super::{Plan, Report, plan};

/// One thing that is otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIf {
    /// As it was written.
    text: String,
    what: What,
    /// May hold `*`.
    name: String,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    LoseCluster,
    LoseRegion,
    Drain,
    /// Currency per node-hour.
    Price(f64),
    /// gCO₂e per kWh.
    Carbon(f64),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "`{0}` is not understood; write `lose cluster=NAME`, `lose region=NAME`, `drain cluster=NAME`, \
         `price CLUSTER=NUMBER` or `carbon REGION=NUMBER`"
    )]
    Form(String),
    #[error("`{text}`: `{number}` is no number of zero or more")]
    Number { text: String, number: String },
    #[error("`{text}`: no {kind} is called `{name}`; there are {known}")]
    Unknown { text: String, kind: &'static str, name: String, known: String },
}

/// What changes of the world would change in a fleet that runs as planned.
pub fn what_if(revision: &Revision, snapshot: &SnapshotSpec, changes: &[WhatIf]) -> Result<Report, Error> {
    let before = settled(snapshot, &plan(revision, snapshot));
    let (mut other, mut after) = (revision.clone(), before.clone());
    for change in changes {
        change.apply(&mut other, &mut after)?;
    }
    let planned = plan(&other, &after);
    Ok(Report::between((revision, &before), (&other, &after), &planned))
}

impl FromStr for WhatIf {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let form = || Error::Form(text.to_owned());
        let (verb, rest) = text.trim().split_once(' ').ok_or_else(form)?;
        let (left, right) = rest.trim().split_once('=').ok_or_else(form)?;
        let (left, right) = (left.trim(), right.trim());
        if left.is_empty() || right.is_empty() {
            return Err(form());
        }
        let number = || match right.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => Err(Error::Number { text: text.into(), number: right.into() }),
        };
        let (what, name) = match (verb, left) {
            ("lose", "cluster") => (What::LoseCluster, right),
            ("lose", "region") => (What::LoseRegion, right),
            ("drain", "cluster") => (What::Drain, right),
            ("price", _) => (What::Price(number()?), left),
            ("carbon", _) => (What::Carbon(number()?), left),
            _ => return Err(form()),
        };
        Ok(Self { text: text.into(), what, name: name.into() })
    }
}

impl WhatIf {
    fn apply(&self, revision: &mut Revision, snapshot: &mut SnapshotSpec) -> Result<(), Error> {
        let spec = SignalsSpec { source: self.text.clone(), time: snapshot.now, ..SignalsSpec::default() };
        match self.what {
            What::LoseCluster => lose(&self.clusters(revision)?, revision, snapshot),
            What::LoseRegion => {
                let regions = self.regions(revision)?;
                let lies = |name: &&String| {
                    revision.clusters[*name]
                        .spec
                        .region
                        .as_ref()
                        .is_some_and(|region| regions.contains(region))
                };
                let lost = revision.clusters.keys().filter(lies).cloned().collect();
                lose(&lost, revision, snapshot);
            }
            What::Drain => {
                for name in self.clusters(revision)? {
                    revision.clusters.entry(name).and_modify(|cluster| cluster.spec.drain = true);
                }
            }
            What::Price(price) => {
                let clusters = self.clusters(revision)?.into_iter();
                let prices = clusters.map(|cluster| Price { cluster, price: Money(price) }).collect();
                self.signal(SignalsSpec { prices, ..spec }, revision);
            }
            What::Carbon(grams_per_kwh) => {
                let regions = self.regions(revision)?.into_iter();
                let grid_intensity = regions.map(|region| GridIntensity { region, grams_per_kwh }).collect();
                self.signal(SignalsSpec { grid_intensity, ..spec }, revision);
            }
        }
        Ok(())
    }

    /// As new as can be; of those as new as it the last by name counts.
    fn signal(&self, spec: SignalsSpec, revision: &mut Revision) {
        let name = format!("~what-if/{:04}", revision.signals.len());
        revision.signals.insert(name, Signals::new("what-if", spec));
    }

    fn clusters(&self, revision: &Revision) -> Result<BTreeSet<String>, Error> {
        self.matching("cluster", revision.clusters.keys().cloned().collect())
    }

    fn regions(&self, revision: &Revision) -> Result<BTreeSet<String>, Error> {
        let regions = revision.clusters.values().filter_map(|cluster| cluster.spec.region.clone());
        self.matching("region", regions.collect())
    }

    fn matching(&self, kind: &'static str, known: BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        /// As many names as a line of a terminal holds.
        const NAMED_MAX: usize = 12;
        let found: BTreeSet<String> =
            known.iter().filter(|name| is_like(&self.name, name)).cloned().collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let mut names: Vec<String> = known.iter().take(NAMED_MAX).cloned().collect();
        if known.len() > NAMED_MAX {
            names.push(format!("{} more", known.len() - NAMED_MAX));
        }
        let known = if names.is_empty() { "none".into() } else { names.join(", ") };
        Err(Error::Unknown { text: self.text.clone(), kind, name: self.name.clone(), known })
    }
}

/// Takes clusters out of the world, with all that is known of them.
pub(super) fn lose(lost: &BTreeSet<String>, revision: &mut Revision, snapshot: &mut SnapshotSpec) {
    revision.clusters.retain(|name, _| !lost.contains(name));
    snapshot.clusters.retain(|name, _| !lost.contains(name));
}

/// The snapshot of a moment at which all of a plan runs.
pub(super) fn settled(snapshot: &SnapshotSpec, plan: &Plan) -> SnapshotSpec {
    let placement = |(name, application): (&String, &super::ApplicationPlan)| {
        let runs = |(component, placed): (&String, &ComponentPlacement)| {
            (component.clone(), ComponentPlacement { cluster: placed.cluster.clone(), ..Default::default() })
        };
        let spec = PlacementSpec {
            revision: String::new(),
            kb_index: snapshot.index,
            epoch: Default::default(),
            strategy: application.strategy,
            components: application.components.iter().map(runs).collect::<BTreeMap<_, _>>(),
            ..Default::default()
        };
        (name.clone(), Placement::new(name, spec))
    };
    SnapshotSpec { placements: plan.applications.iter().map(placement).collect(), ..snapshot.clone() }
}

/// Whether a name has the form of a pattern, in which `*` stands for any characters.
fn is_like(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, like) in [
            ("fog-cost", "fog-cost", true),
            ("fog-cost", "fog-cost-2", false),
            ("edge-*", "edge-cost", true),
            ("edge-*", "fog-edge-cost", false),
            ("*-cost", "fog-cost", true),
            ("f*-*t", "fog-cost", true),
            ("f*g-*-x", "fog-cost", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(is_like(pattern, name), like, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let error = |text: &str| text.parse::<WhatIf>().unwrap_err();
        for text in ["lose", "lose fog-cost", "lose clster=a", "price =1", "burn cluster=a"] {
            assert_eq!(error(text), Error::Form(text.into()));
        }
        for text in ["price a=cheap", "price a=-1", "carbon r=NaN"] {
            assert!(matches!(error(text), Error::Number { .. }), "{text}");
        }
        let mut revision = Revision {
            commit: String::new(),
            time: Default::default(),
            fleet: Default::default(),
            clusters: BTreeMap::from([("a".into(), qonnect_schema::Cluster::new("a", Default::default()))]),
            signals: BTreeMap::new(),
            applications: BTreeMap::new(),
        };
        let what_if: WhatIf = "drain cluster=b*".parse().unwrap();
        let error = what_if.apply(&mut revision, &mut SnapshotSpec::default()).unwrap_err();
        assert_eq!(error.to_string(), "`drain cluster=b*`: no cluster is called `b*`; there are a");
    }
}
