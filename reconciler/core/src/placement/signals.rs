//! The signals that count at one moment: of several for the same thing, the newest.

use std::collections::BTreeMap;

use jiff::Timestamp;
use qonnect_schema::documents::cluster::EgressRates;
use qonnect_schema::documents::fleet::FleetDefaults;
use qonnect_schema::{Cluster, Signals};

/// Signals that are true now. One whose time is still to come, or whose validity has ended, is as if absent.
#[derive(Debug, Default)]
pub(super) struct Current<'a> {
    /// Currency per node-hour, by cluster.
    pub(super) prices: BTreeMap<&'a str, f64>,
    pub(super) power: BTreeMap<&'a str, PowerModel>,
    /// Per vCPU, by family.
    pub(super) processors: BTreeMap<&'a str, PowerModel>,
    /// gCO₂e per kWh, by region.
    pub(super) intensity: BTreeMap<&'a str, f64>,
    /// By cluster.
    pub(super) pue: BTreeMap<&'a str, f64>,
    /// Currency and kWh per GB that leaves it, by cluster or region.
    pub(super) egress_price: BTreeMap<&'a str, f64>,
    pub(super) egress_energy: BTreeMap<&'a str, f64>,
    /// Microseconds, between two clusters or regions in the order of their names.
    pub(super) round_trips: BTreeMap<(&'a str, &'a str), u64>,
}

/// What a node draws, or each of its vCPUs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PowerModel {
    pub(super) idle_watts: f64,
    pub(super) max_watts: f64,
}

impl<'a> Current<'a> {
    pub(super) fn at(now: Timestamp, signals: &'a BTreeMap<String, Signals>) -> Self {
        let mut current = Self::default();
        for (_, signals) in valid(now, signals) {
            current.take(signals);
        }
        current
    }

    fn take(&mut self, signals: &'a Signals) {
        let spec = &signals.spec;
        self.prices.extend(spec.prices.iter().map(|price| (price.cluster.as_str(), price.price.0)));
        // A model that falls with load would reward waste.
        let model =
            |idle_watts: f64, max_watts: f64| PowerModel { idle_watts, max_watts: max_watts.max(idle_watts) };
        let models = spec.power_models.iter();
        self.power.extend(models.map(|one| (one.cluster.as_str(), model(one.idle_watts, one.max_watts))));
        let processors = spec.processors.iter();
        self.processors
            .extend(processors.map(|one| (one.family.as_str(), model(one.idle_watts, one.max_watts))));
        self.intensity
            .extend(spec.grid_intensity.iter().map(|grid| (grid.region.as_str(), grid.grams_per_kwh)));
        self.pue.extend(spec.pue.iter().map(|pue| (pue.cluster.as_str(), pue.pue)));
        for egress in &spec.egress {
            self.egress_price.extend(egress.price.map(|price| (egress.from.as_str(), price.0)));
            self.egress_energy.extend(egress.energy.map(|energy| (egress.from.as_str(), energy)));
        }
        for trip in &spec.round_trips {
            if let [a, b] = trip.between.as_slice() {
                self.round_trips.insert(pair(a, b), trip.latency.0);
            }
        }
    }

    /// What each vCPU of a cluster draws, if it has no model of its own.
    pub(super) fn processor(&self, cluster: &Cluster) -> Option<PowerModel> {
        self.processors.get(cluster.spec.processor.as_deref()?).copied()
    }

    /// Price and energy of a GB that leaves a cluster: what is said of it counts before what is said of its region.
    pub(super) fn egress(&self, cluster: &Cluster, defaults: &FleetDefaults) -> (f64, f64) {
        let of = |rates: &BTreeMap<&str, f64>, own: Option<f64>| {
            let region = || rates.get(cluster.spec.region.as_deref()?).copied();
            rates.get(cluster.name()).copied().or(own).or_else(region)
        };
        let EgressRates { price, energy } = cluster.spec.egress;
        (
            of(&self.egress_price, price.map(|price| price.0)).unwrap_or(defaults.egress.price.0),
            of(&self.egress_energy, energy).unwrap_or(defaults.egress.energy),
        )
    }

    pub(super) fn round_trip(&self, a: &str, b: &str) -> Option<u64> {
        self.round_trips.get(&pair(a, b)).copied()
    }
}

/// The documents that count at a moment, with their paths: the newest, of two with the same time the later path, last.
pub(super) fn valid(now: Timestamp, signals: &BTreeMap<String, Signals>) -> Vec<(&str, &Signals)> {
    let counts = |signals: &Signals| {
        signals.spec.time <= now && signals.spec.valid_until.is_none_or(|until| now < until)
    };
    let all = signals.iter().map(|(path, signals)| (path.as_str(), signals));
    let mut valid: Vec<_> = all.filter(|(_, signals)| counts(signals)).collect();
    valid.sort_by_key(|(_, signals)| signals.spec.time);
    valid
}

/// A round trip is the same in both directions.
fn pair<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    if a <= b { (a, b) } else { (b, a) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qonnect_schema::SignalsSpec;
    use qonnect_schema::documents::signals::Price;
    use qonnect_schema::units::Money;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn price(time: i64, until: Option<i64>, price: f64) -> Signals {
        let spec = SignalsSpec {
            source: "test".into(),
            time: at(time),
            valid_until: until.map(at),
            prices: vec![Price { cluster: "a".into(), price: Money(price) }],
            ..SignalsSpec::default()
        };
        Signals::new("prices", spec)
    }

    #[test]
    fn the_newest_of_those_that_are_valid_counts() {
        let signals = BTreeMap::from([
            ("1".to_owned(), price(10, None, 1.0)),
            ("2".to_owned(), price(20, Some(30), 2.0)),
            ("3".to_owned(), price(40, None, 3.0)),
        ]);
        let price = |now| Current::at(at(now), &signals).prices.get("a").copied();
        assert_eq!(price(5), None);
        assert_eq!(price(15), Some(1.0));
        assert_eq!(price(25), Some(2.0));
        assert_eq!(price(30), Some(1.0));
        assert_eq!(price(40), Some(3.0));
    }
}
