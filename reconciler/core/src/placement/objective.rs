//! The objective function of `strategy: optimal`: one sum in millionths, the same for every plan.
//!
//! # The sum
//!
//! ```text
//! total = Σ over components    Σ over objectives  share × raw ÷ reference
//!       + Σ over dependencies  (share of performance + 0.05) × round trip ÷ reference of performance
//!       + Σ over components that run  price of a move, where the cluster is not the one it runs on
//! ```
//!
//! *share* is the application's weight of the objective divided by the sum of its weights. References stand
//! in `fleet.yaml` under `references`, the price of a move under `moves.price`. Every summand is rounded to a
//! whole millionth by itself; less is better; none is negative. All scales are fixed: no summand depends on
//! which other clusters exist, so one more cluster never flips a choice between two others.
//!
//! # Raw values of a component on a cluster
//!
//! | term | unit | raw |
//! |---|---|---|
//! | `cost` | currency/h | Σ over pods: price of the node per hour × dominant share |
//! | `energy` | kWh/h | Σ over pods: requested vCPU × kWh per vCPU-hour; with a power model: ((max − idle) × CPU share + idle × dominant share) ÷ 1000 |
//! | `carbon` | gCO₂e/h | energy × PUE of the cluster × intensity of its region's grid |
//! | `performance` | ms | the time of a standard request: 250 ms of work of one vCPU spread over all vCPUs of the node, and 25 Mbit at its bandwidth |
//! | `communication` | ms | Σ over dependencies, as caller and as callee: the round trip between the two clusters, zero inside one |
//! | `move` | moves | 1 if the component runs on another cluster |
//!
//! The *dominant share* of a pod is the largest of its requests of CPU, memory, storage, pods and extended resources divided by
//! what the node has allocatable of it, at most 1. The *CPU share* is that of CPU alone.
//!
//! Kubernetes chooses the node, so a pod is charged the mean over the nodes of the cluster that are large
//! enough for it (over all, if none is). `performance` is the mean over the component's pods. A DaemonSet is
//! charged on every node. A component without pods costs nothing.
//!
//! A component's score in a `Placement` holds its dependencies in both directions, because all of them
//! change when it alone goes elsewhere: the difference of two scores is what the move would change in the
//! total. In the total each dependency counts once.

use qonnect_schema::FleetSpec;
use qonnect_schema::documents::application::Objectives;
use qonnect_schema::documents::placement::{Score, Term};

use super::member::{Amounts, Member, Profile, RESOURCES};
use super::requests::PodCount;

/// How much a round trip counts for an application that does not ask for performance: enough to keep what
/// talks together where all else is equal.
const COMMUNICATION_SHARE: f64 = 0.05;

/// The work of a standard request, in milliseconds of one vCPU.
const WORK_MS: f64 = 250.0;

/// The traffic of a standard request, in bits.
const TRAFFIC_BITS: f64 = 25e6;

/// What a component costs, burns and takes on one cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Raw {
    /// kWh/h.
    pub(super) energy: f64,
    /// Currency/h.
    pub(super) cost: f64,
    /// Milliseconds.
    pub(super) performance: f64,
    /// gCO₂e/h.
    pub(super) carbon: f64,
}

/// The raw values of pods on a cluster.
pub(super) fn raw(pods: &[(PodCount, Amounts)], member: &Member) -> Raw {
    let mut sum = Raw::default();
    let mut counted = 0.0;
    for (count, pod) in pods {
        let large_enough = |profile: &&Profile| (0..RESOURCES).all(|i| pod[i] <= profile.allocatable[i]);
        let some_hold_it = member.profiles.iter().any(|profile| large_enough(&profile));
        let (mut one, mut nodes) = (Raw::default(), 0.0);
        for profile in member.profiles.iter().filter(|profile| !some_hold_it || large_enough(profile)) {
            let count = f64::from(profile.count);
            let (cpu, dominant) = shares(pod, &profile.allocatable);
            one.cost += count * profile.price * dominant;
            one.energy += count
                * match member.power_of(profile) {
                    Some(power) => {
                        ((power.max_watts - power.idle_watts) * cpu + power.idle_watts * dominant) / 1000.0
                    }
                    None => pod[0] as f64 / 1000.0 * profile.energy,
                };
            one.performance += count * standard_request(profile);
            nodes += count;
        }
        if nodes == 0.0 {
            continue;
        }
        let count = match *count {
            PodCount::Replicas(count) => f64::from(count),
            PodCount::PerNode => nodes,
        };
        sum.cost += one.cost / nodes * count;
        sum.energy += one.energy / nodes * count;
        sum.performance += one.performance / nodes * count;
        counted += count;
    }
    sum.performance /= f64::max(counted, 1.0);
    sum.carbon = sum.energy * member.pue * member.intensity;
    sum
}

/// The CPU share and the dominant share.
fn shares(pod: &Amounts, allocatable: &Amounts) -> (f64, f64) {
    let share = |i: usize| match (pod[i], allocatable[i]) {
        (0, _) => 0.0,
        (_, 0) => 1.0,
        (wanted, all) => f64::min(wanted as f64 / all as f64, 1.0),
    };
    (share(0), (0..RESOURCES).map(share).fold(0.0, f64::max))
}

fn standard_request(profile: &Profile) -> f64 {
    let vcpus = f64::max(profile.allocatable[0] as f64 / 1000.0, 0.001);
    let bandwidth = f64::max(profile.bandwidth as f64, 1.0);
    WORK_MS / vcpus + TRAFFIC_BITS / bandwidth * 1000.0
}

/// What turns raw values of one application into millionths.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scales {
    energy: f64,
    cost: f64,
    performance: f64,
    carbon: f64,
    communication: f64,
    moving: f64,
}

impl Scales {
    pub(super) fn new(objectives: &Objectives, fleet: &FleetSpec) -> Self {
        let Objectives { energy, cost, performance, carbon } = *objectives;
        let sum = energy + cost + performance + carbon;
        // Weights that are all zero are refused by validation; here they count alike.
        let share = |weight: f64| if sum > 0.0 { weight / sum } else { 0.25 };
        let references = &fleet.references;
        Self {
            energy: share(energy) / references.energy,
            cost: share(cost) / references.cost,
            performance: share(performance) / references.performance,
            carbon: share(carbon) / references.carbon,
            communication: (share(performance) + COMMUNICATION_SHARE) / references.performance,
            moving: fleet.moves.price,
        }
    }

    /// What the component itself adds to the sum where it does not move.
    pub(super) fn own(&self, raw: &Raw) -> i64 {
        millionths(self.energy * raw.energy)
            + millionths(self.cost * raw.cost)
            + millionths(self.performance * raw.performance)
            + millionths(self.carbon * raw.carbon)
    }

    /// What one move adds.
    pub(super) fn moving(&self) -> i64 {
        millionths(self.moving)
    }

    /// Bit by bit: applications that agree in it value the same alike.
    pub(super) fn bits(&self) -> [u64; 4] {
        [self.energy, self.cost, self.performance, self.carbon].map(f64::to_bits)
    }

    /// What one dependency adds to the sum, for a round trip in microseconds.
    pub(super) fn communication(&self, round_trip: u64) -> i64 {
        millionths(self.communication * (round_trip as f64 / 1000.0))
    }

    /// The same by term, for people; its total is what the search compared.
    pub(super) fn score(&self, raw: &Raw, round_trips: &[u64], runs: bool, moves: bool) -> Score {
        let term = |name: &str, raw: f64, unit: &str, scale: f64| Term {
            name: name.into(),
            raw,
            unit: unit.into(),
            value: millionths(scale * raw),
        };
        let mut terms = vec![
            term("energy", raw.energy, "kWh/h", self.energy),
            term("cost", raw.cost, "currency/h", self.cost),
            term("performance", raw.performance, "ms", self.performance),
            term("carbon", raw.carbon, "gCO2e/h", self.carbon),
        ];
        if !round_trips.is_empty() {
            terms.push(Term {
                name: "communication".into(),
                raw: round_trips.iter().sum::<u64>() as f64 / 1000.0,
                unit: "ms".into(),
                value: round_trips.iter().map(|trip| self.communication(*trip)).sum(),
            });
        }
        if runs {
            terms.push(term("move", if moves { 1.0 } else { 0.0 }, "moves", self.moving));
        }
        Score { total: terms.iter().map(|term| term.value).sum(), terms }
    }
}

/// Rounded to a whole millionth, and so far below the range of `i64` that sums stay inside it.
fn millionths(value: f64) -> i64 {
    // Halves go up; none is negative.
    ((value * 1e6).clamp(0.0, 1e12) + 0.5) as i64
}
