//! The objective function of `strategy: optimal`: one sum in millionths, the same for every plan.
//!
//! Every summand is rounded to a whole millionth by itself; less is better; none is negative. All scales are fixed: no
//! summand depends on which other clusters exist, so one more cluster never flips a choice between two others. Terms,
//! units and references stand in [`placement.md`](../../../placement.md); this file holds what a component adds by
//! itself, [`super::communication`] what its dependencies do.

use std::borrow::Cow;

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
    disturbance: f64,
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
            disturbance: fleet.moves.price,
        }
    }

    /// What the component itself adds to the sum where it does not move.
    pub(super) fn own(&self, raw: &Raw) -> i64 {
        millionths(self.energy * raw.energy)
            + millionths(self.cost * raw.cost)
            + millionths(self.performance * raw.performance)
            + millionths(self.carbon * raw.carbon)
    }

    /// What traffic adds that leaves a cluster.
    pub(super) fn traffic(&self, raw: &Raw) -> i64 {
        millionths(self.cost * raw.cost)
            + millionths(self.energy * raw.energy)
            + millionths(self.carbon * raw.carbon)
    }

    /// What one move adds, of which everything but the disturbance is so many millionths.
    pub(super) fn moving(&self, spread: f64) -> i64 {
        millionths(self.disturbance + spread / 1e6)
    }

    /// Bit by bit: applications that agree in it value the same alike.
    pub(super) fn bits(&self) -> [u64; 4] {
        [self.energy, self.cost, self.performance, self.carbon].map(f64::to_bits)
    }

    /// What one dependency adds to the sum, for its weighted round trip in milliseconds.
    pub(super) fn communication(&self, weighted_ms: f64) -> i64 {
        millionths(self.communication * weighted_ms)
    }

    /// The same by term, for people; its total is what the search compared. With `moving`, it runs.
    pub(super) fn score(&self, raw: &Raw, exchanged: &[[Raw; 2]], moving: Option<i64>, moves: bool) -> Score {
        let sum = |name: &'static str, unit: &'static str, scale: f64, raw: &[f64]| Term {
            name: name.into(),
            raw: raw.iter().sum(),
            unit: unit.into(),
            value: raw.iter().map(|raw| millionths(scale * raw)).sum(),
            source: Cow::default(),
        };
        let mut terms = vec![
            sum("energy", "kWh/h", self.energy, &[raw.energy]),
            sum("cost", "currency/h", self.cost, &[raw.cost]),
            sum("performance", "ms", self.performance, &[raw.performance]),
            sum("carbon", "gCO2e/h", self.carbon, &[raw.carbon]),
        ];
        let of = |part: fn(&Raw) -> f64| exchanged.as_flattened().iter().map(part).collect::<Vec<_>>();
        if !exchanged.is_empty() {
            terms.push(sum("communication", "ms", self.communication, &of(|raw| raw.performance)));
        }
        if exchanged.as_flattened().iter().any(|raw| raw.cost > 0.0 || raw.energy > 0.0) {
            terms.push(sum("egress", "currency/h", self.cost, &of(|raw| raw.cost)));
            terms.push(sum("network energy", "kWh/h", self.energy, &of(|raw| raw.energy)));
            terms.push(sum("network carbon", "gCO2e/h", self.carbon, &of(|raw| raw.carbon)));
        }
        if let Some(moving) = moving {
            let (raw, value) = if moves { (1.0, moving) } else { (0.0, 0) };
            terms.push(Term {
                name: "move".into(),
                raw,
                unit: "moves".into(),
                value,
                source: Cow::default(),
            });
        }
        // There are as many as components, and some more.
        terms.shrink_to_fit();
        Score { total: terms.iter().map(|term| term.value).sum(), terms }
    }
}

/// Rounded to a whole millionth, and so far below the range of `i64` that sums stay inside it.
fn millionths(value: f64) -> i64 {
    // Halves go up; none is negative.
    ((value * 1e6).clamp(0.0, 1e12) + 0.5) as i64
}
