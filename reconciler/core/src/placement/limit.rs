//! What all components of an application together may cost, draw and emit, and how long a chain of calls may take.

use qonnect_schema::documents::application::Constraints;
use qonnect_schema::documents::placement::{Filter, Refusal};

use super::objective::Raw;

/// Cost, power, carbon.
pub(super) const LIMITS: usize = 3;

/// What components use of each limit, in millionths: of the currency per hour, of a watt, of a gram of CO₂e per hour.
pub(super) type Used = [i64; LIMITS];

/// The hard limits of one application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    most: [Option<i64>; LIMITS],
    /// The longest chain of round trips, in microseconds.
    pub(super) path: Option<u64>,
}

impl Limits {
    pub(super) fn new(constraints: &Constraints) -> Self {
        let most = [
            constraints.max_cost_per_hour.map(|money| money.0),
            constraints.max_power,
            constraints.max_carbon_per_hour,
        ];
        Self {
            most: most.map(|most| most.map(micro)),
            path: constraints.max_path_latency.map(|latency| latency.0),
        }
    }

    /// Whether sums count at all.
    pub(super) fn on_sums(&self) -> bool {
        self.most.iter().any(Option::is_some)
    }

    /// The first sum that is above its limit.
    pub(super) fn broken(&self, used: &Used) -> Option<usize> {
        (0..LIMITS).find(|i| self.most[*i].is_some_and(|most| used[*i] > most))
    }

    /// Whether a change may be made: what is broken already must not be broken further, by nobody who is new.
    pub(super) fn admit(&self, before: &Used, after: &Used, is_placed: bool) -> bool {
        (0..LIMITS)
            .all(|i| self.most[i].is_none_or(|most| after[i] <= most || (is_placed && after[i] <= before[i])))
    }

    /// The refusal of a component that uses too much beside the rest of its application.
    pub(super) fn refusal(&self, used: &Used, rest: &Used) -> Option<Refusal> {
        const WORDS: [[&str; 3]; LIMITS] =
            [["costs", "per hour ", "cost"], ["draws", "W ", "draw"], ["emits", "gCO2e per hour ", "emit"]];
        let sum = plus(used, rest);
        let broken = self.broken(&sum)?;
        let [uses, unit, may] = WORDS[broken];
        let [used, rest, most] =
            [used[broken], rest[broken], self.most[broken]?].map(|micro| micro as f64 / 1e6);
        let message =
            format!("{uses} {used} {unit}here and {rest} for the rest, the application may {may} {most}");
        Some(Refusal { filter: Filter::Limit, message })
    }
}

/// What a component uses where it has these raw values.
pub(super) fn used(raw: &Raw) -> Used {
    [micro(raw.cost), micro(raw.energy * 1000.0), micro(raw.carbon)]
}

pub(super) fn plus(a: &Used, b: &Used) -> Used {
    std::array::from_fn(|i| a[i].saturating_add(b[i]))
}

pub(super) fn minus(a: &Used, b: &Used) -> Used {
    std::array::from_fn(|i| a[i].saturating_sub(b[i]))
}

fn micro(value: f64) -> i64 {
    (value * 1e6).clamp(0.0, 1e15).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_broken_already_may_stay_so_but_not_grow() {
        let constraints = Constraints { max_power: Some(2.0), ..Constraints::default() };
        let limits = Limits::new(&constraints);
        let watts = |watts: i64| [0, watts * 1_000_000, 0];
        assert!(limits.admit(&watts(0), &watts(2), false));
        assert!(!limits.admit(&watts(2), &watts(3), true));
        assert!(limits.admit(&watts(5), &watts(4), true));
        assert!(!limits.admit(&watts(5), &watts(4), false));
        assert_eq!(limits.broken(&watts(3)), Some(1));
        assert_eq!(limits.broken(&[9_000_000, 0, 9_000_000]), None);
    }
}
