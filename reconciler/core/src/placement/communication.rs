//! What a dependency adds: the round trips of its requests, and what its traffic costs and burns where it leaves a
//! cluster. Inside one cluster that is nothing.

use std::ops::Range;

use qonnect_schema::documents::application::Traffic;
use qonnect_schema::units::Bandwidth;

use super::item::Call;
use super::objective::Raw;
use super::problem::Problem;

/// What goes over a dependency, seen from one of its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Flow {
    /// How much its round trip counts; in the mean over the dependencies of an application 1.
    pub(super) weight: f64,
    /// GB per hour to the other end, and from there.
    pub(super) sends: f64,
    pub(super) receives: f64,
}

/// What a GB takes that leaves a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Egress {
    /// Currency.
    pub(super) price: f64,
    /// kWh of the network on the way.
    pub(super) energy: f64,
    /// gCO₂e, with the grid where it leaves.
    pub(super) carbon: f64,
}

impl Flow {
    fn new(traffic: Option<&Traffic>, mean: f64) -> Self {
        let said = traffic.and_then(|traffic| traffic.requests_per_second).filter(|_| mean > 0.0);
        let per_hour = |of: fn(&Traffic) -> Bandwidth| {
            const GB_PER_HOUR: f64 = 3600.0 / 8.0 / 1e9;
            traffic.map_or(0.0, |traffic| of(traffic).0 as f64 * GB_PER_HOUR)
        };
        Self {
            weight: said.map_or(1.0, |requests| requests / mean),
            sends: per_hour(|traffic| traffic.sends),
            receives: per_hour(|traffic| traffic.receives),
        }
    }

    /// The same from the other end.
    pub(super) fn turned(self) -> Self {
        Self { sends: self.receives, receives: self.sends, ..self }
    }
}

impl Egress {
    pub(super) fn of(&self, gigabytes: f64) -> Raw {
        let Self { price, energy, carbon } = *self;
        Raw {
            cost: price * gigabytes,
            energy: energy * gigabytes,
            carbon: carbon * gigabytes,
            performance: 0.0,
        }
    }
}

impl Problem {
    /// Enters the dependencies of an application at both ends.
    pub(super) fn connect(&mut self, items: Range<usize>) {
        for item in items.clone() {
            self.bind(item, |problem, name| {
                items.clone().find(|other| problem.component(*other).name == name)
            });
        }
        let mean = self.mean_requests(items.clone());
        for caller in items.clone() {
            for dependency in self.component(caller).depends_on.clone() {
                let named = |item: &usize| self.component(*item).name == dependency.component;
                let Some(callee) = items.clone().find(named).filter(|callee| *callee != caller) else {
                    continue;
                };
                let limit = dependency.max_latency.map(|latency| latency.0);
                let flow = Flow::new(dependency.traffic.as_ref(), mean);
                self.items[caller].calls.push(Call { other: callee, limit, outgoing: true, flow });
                let flow = flow.turned();
                self.items[callee].calls.push(Call { other: caller, limit, outgoing: false, flow });
            }
        }
    }

    /// The mean requests per second of those dependencies that say it.
    fn mean_requests(&self, items: Range<usize>) -> f64 {
        let dependencies = items.flat_map(|item| &self.component(item).depends_on);
        let traffic = dependencies.filter_map(|dependency| dependency.traffic);
        let said: Vec<f64> = traffic.filter_map(|traffic| traffic.requests_per_second).collect();
        said.iter().sum::<f64>() / said.len().max(1) as f64
    }

    /// What a dependency of a component adds, with the ends on these clusters.
    pub(super) fn communication(&self, item: usize, call: &Call, here: usize, there: usize) -> i64 {
        if here == there {
            return 0;
        }
        let scales = self.scales(item);
        let trip = self.latencies.between(here, there) as f64 / 1000.0;
        let trip = scales.communication(call.flow.weight * trip);
        let leaves = |gigabytes: f64, from: usize| match gigabytes {
            0.0 => 0,
            _ => scales.traffic(&self.members[from].egress.of(gigabytes)),
        };
        trip + leaves(call.flow.sends, here) + leaves(call.flow.receives, there)
    }

    /// The same in its own units, for each end that something leaves: the weighted round trip is with the first.
    pub(super) fn exchanged(&self, call: &Call, here: usize, there: usize) -> [Raw; 2] {
        if here == there {
            return [Raw::default(); 2];
        }
        let Flow { weight, sends, receives } = call.flow;
        let performance = weight * (self.latencies.between(here, there) as f64 / 1000.0);
        let [ours, theirs] = [(here, sends), (there, receives)]
            .map(|(from, gigabytes)| self.members[from].egress.of(gigabytes));
        [Raw { performance, ..ours }, theirs]
    }
}

/// The traffic of one of several parts that share it.
pub(super) fn share(traffic: &Traffic, part: f64) -> Traffic {
    let bits = |bits: Bandwidth| Bandwidth((bits.0 as f64 * part).round() as u64);
    Traffic {
        requests_per_second: traffic.requests_per_second.map(|requests| requests * part),
        sends: bits(traffic.sends),
        receives: bits(traffic.receives),
    }
}
