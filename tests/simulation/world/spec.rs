//! The spec branch: a fleet of some size, its applications, and what people change about them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;
use jiff::Timestamp;
use qonnect_core::hold::{Candidate, Effective};
use qonnect_core::knowledge::{Good, Knowledge};
use qonnect_schema::Signals;
use qonnect_schema::documents::signals::{Price, SignalsSpec};
use qonnect_schema::revision::{ApplicationSource, Revision};
use qonnect_schema::units::Money;
use qonnect_schema::validate;

use super::documents;
use super::setting::{Setting, Weather};

/// What people can change.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wishes {
    applications: BTreeSet<String>,
    /// Their documents cannot be read.
    pub(super) broken: BTreeSet<String>,
    /// `fleet.yaml` cannot be read.
    pub(super) refused: bool,
    /// Of the images, so to speak.
    version: u32,
    /// By cluster, as its document says.
    prices: BTreeMap<String, f64>,
    /// By cluster, as a signal says.
    pub(super) signals: BTreeMap<String, f64>,
    pub(super) drained: Option<String>,
    pub(super) fenced: BTreeSet<String>,
    /// What a move has to gain, if people said so.
    move_price: Option<f64>,
    /// Applications that ever were.
    taken_out: BTreeSet<String>,
}

pub(crate) struct Spec {
    /// Checked once, for that takes longest; every commit is this one with what people wish.
    base: Revision,
    pub(super) wishes: Wishes,
    /// As every lead reads them.
    commits: Vec<Candidate>,
    weather: Weather,
    leased: bool,
}

impl Spec {
    pub(super) fn new(setting: &Setting) -> Self {
        let checked = validate::repository(&documents::tree(setting), "spec", Timestamp::UNIX_EPOCH);
        assert!(checked.findings.is_empty(), "{:?}", checked.findings);
        let base = checked.revision;
        let wishes =
            Wishes { applications: base.applications.keys().cloned().collect(), ..Wishes::default() };
        let (weather, leased) = (setting.weather, setting.leased);
        let mut spec = Self { base, wishes, commits: Vec::new(), weather, leased };
        spec.commit();
        spec
    }

    pub(super) fn clusters(&self) -> impl Iterator<Item = String> {
        self.base.clusters.keys().cloned()
    }

    /// The clusters of a region.
    pub(super) fn region(&self, region: &str) -> Vec<usize> {
        let clusters = self.base.clusters.values().enumerate();
        let there = clusters.filter(|(_, cluster)| cluster.spec.region.as_deref() == Some(region));
        there.map(|(number, _)| number).collect()
    }

    /// Those that people want now.
    pub(crate) fn applications(&self) -> &BTreeSet<String> {
        &self.wishes.applications
    }

    pub(crate) fn was_taken_out(&self, application: &str) -> bool {
        self.wishes.taken_out.contains(application)
    }

    pub(crate) fn newest(&self) -> String {
        format!("spec-{}", self.commits.len() - 1)
    }

    /// What the newest commit says.
    pub(crate) fn revision(&self) -> Arc<Revision> {
        Arc::new(self.commits[self.commits.len() - 1].revision.clone())
    }

    /// How a component is moved, and the rest that people say of it.
    pub(crate) fn source(&self, application: &str) -> Option<&Arc<ApplicationSource>> {
        self.base.applications.get(application)
    }

    /// Whether a commit says that nothing runs there.
    pub(crate) fn is_fenced(&self, commit: &str, cluster: &str) -> bool {
        let cluster = self.commits[number(commit)].revision.clusters.get(cluster);
        cluster.is_some_and(|cluster| cluster.spec.fenced)
    }

    pub(super) fn change(&mut self, rng: &mut Rng) -> String {
        let clusters: Vec<String> = self.clusters().collect();
        let all: Vec<String> = self.base.applications.keys().cloned().collect();
        let wishes = &mut self.wishes;
        let last = if self.weather == Weather::Storm { 4 } else { 6 };
        // What was taken out and put back is new, and may run twice.
        let done = match rng.u32(u32::from(self.leased)..last) {
            0 => {
                let name = all[rng.usize(..all.len())].clone();
                let was = wishes.applications.contains(&name);
                match was {
                    true => wishes.applications.remove(&name),
                    false => wishes.applications.insert(name.clone()),
                };
                if was {
                    wishes.taken_out.insert(name.clone());
                }
                format!("{} {name}", if was { "removes" } else { "adds" })
            }
            1 => {
                wishes.version += 1;
                format!("releases version {}", wishes.version)
            }
            2 => {
                let cluster = clusters[rng.usize(..clusters.len())].clone();
                let price = f64::from(rng.u32(5..200)) / 10.0;
                let said = format!("prices {cluster} at {price}");
                wishes.prices.insert(cluster, price);
                said
            }
            3 => {
                wishes.drained = match wishes.drained {
                    None => Some(clusters[rng.usize(..clusters.len())].clone()),
                    Some(_) => None,
                };
                format!("drains {:?}", wishes.drained)
            }
            4 => {
                let name = all[rng.usize(..all.len())].clone();
                wishes.broken =
                    if wishes.broken.is_empty() { BTreeSet::from([name]) } else { BTreeSet::new() };
                format!("breaks {:?}", wishes.broken)
            }
            _ => {
                wishes.refused = !wishes.refused;
                format!("breaks fleet.yaml: {}", wishes.refused)
            }
        };
        self.commit();
        done
    }

    /// A price here and there, as its source says at that time.
    pub(super) fn signal(&mut self, prices: BTreeMap<String, f64>) {
        self.wishes.signals = prices;
        self.commit();
    }

    /// Everything can be read and used again.
    pub(super) fn mend(&mut self) {
        let before = self.wishes.clone();
        (self.wishes.refused, self.wishes.drained) = (false, None);
        self.wishes.broken.clear();
        if self.wishes != before {
            self.commit();
        }
    }

    /// A move has to pay for more than this.
    pub(super) fn ask_of_moves(&mut self, price: f64) {
        self.wishes.move_price = Some(price);
        self.commit();
    }

    pub(super) fn commit(&mut self) {
        let wishes = &self.wishes;
        let commit = format!("spec-{}", self.commits.len());
        let mut revision = Revision { commit: commit.clone(), ..self.base.clone() };
        for (name, cluster) in &mut revision.clusters {
            let price = wishes.prices.get(name).copied().map(Money);
            cluster.spec.defaults.price = price.or(cluster.spec.defaults.price);
            cluster.spec.drain = wishes.drained.as_ref() == Some(name);
            cluster.spec.fenced = wishes.fenced.contains(name);
        }
        revision.fleet.moves.price = wishes.move_price.unwrap_or(revision.fleet.moves.price);
        let price =
            |(cluster, price): (&String, &f64)| Price { cluster: cluster.clone(), price: Money(*price) };
        let prices: Vec<Price> = wishes.signals.iter().map(price).collect();
        if !prices.is_empty() {
            let signals = SignalsSpec { source: "the exchange".into(), prices, ..SignalsSpec::default() };
            revision.signals.insert("signals/prices.yaml".into(), Signals::new("prices", signals));
        }
        let readable = |name: &str| wishes.applications.contains(name) && !wishes.broken.contains(name);
        revision.applications.retain(|name, _| readable(name));
        for source in revision.applications.values_mut() {
            let source = Arc::make_mut(source);
            source.commit.clone_from(&commit);
            if wishes.version > 0 {
                documents::release(source, wishes.version);
            }
        }
        self.commits.push(Candidate {
            revision,
            subject: commit,
            seen: Timestamp::UNIX_EPOCH,
            findings: Vec::new(),
            refused: wishes.refused,
            distrust: None,
            faulty: wishes.broken.intersection(&wishes.applications).cloned().collect(),
            // People mean what they do here.
            allowed_removals: 100,
        });
    }

    pub(super) fn candidate(&self, commit: &str, seen: Timestamp) -> Candidate {
        Candidate { seen, ..self.commits[number(commit)].clone() }
    }

    pub(super) fn restore(&self, good: &Good, knowledge: &Knowledge) -> Effective {
        let base = self.candidate(&good.commit, Timestamp::UNIX_EPOCH);
        let older = good.applications.iter().filter_map(|(name, commit)| {
            let source = self.commits[number(commit)].revision.applications.get(name)?;
            Some((name.clone(), source.clone()))
        });
        Effective::restored(base, older.collect(), knowledge)
    }
}

fn number(commit: &str) -> usize {
    commit.strip_prefix("spec-").unwrap().parse().unwrap()
}
