//! How large a world is, how fast it beats, and what happens to it for how long.

use super::Ms;

const MINUTE: Ms = 60_000;
pub(super) const HOUR: Ms = 60 * MINUTE;
const DAY: Ms = 24 * HOUR;

/// Once in so many seeds what must not run twice runs by a lease, and faults go on until some have ended.
const LEASED_ONCE_IN: u64 = 10;

/// After the last fault: the longest deadline of an exchange, of a lease and of a backoff, one after the other.
const HEALING_OF_MINUTES_MS: Ms = 150_000;

#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(super) regions: usize,
    /// Clusters of one region.
    pub(super) clusters: usize,
    pub(super) applications: usize,
    /// What must not run twice runs by a lease.
    pub(super) leased: bool,
    pub(super) pace: Pace,
    pub(super) weather: Weather,
    /// How often people look after the fleet, about.
    pub(super) person_ms: Ms,
    pub(super) faults_ms: Ms,
    pub(super) healing_ms: Ms,
    /// After healing, each: with the same input, and with one that trembles.
    pub(super) quiet_ms: Ms,
    /// At the very end, with the same input.
    pub(super) last_ms: Ms,
}

/// How often what has no reason of its own happens, about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) fetch: Ms,
    pub(super) poll: Ms,
    pub(super) tick: Ms,
    pub(super) beat: Ms,
    pub(super) sync: Ms,
    /// Agents and leads with nothing to do cost nothing: what they would say is known.
    pub(super) rests: bool,
}

/// What goes wrong, and what people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    /// Everything at once, every few seconds.
    Storm,
    /// Flapping, outages, curves of prices and load, leaders that change while something moves.
    Seasons,
}

impl Setting {
    /// Three clusters, and some minutes in which everything goes wrong.
    pub(crate) fn minutes(seed: u64) -> Self {
        let leased = seed % LEASED_ONCE_IN == LEASED_ONCE_IN - 1;
        Self {
            regions: 1,
            clusters: 3,
            applications: 2,
            leased,
            pace: Pace { fetch: 3_000, poll: 5_000, tick: 500, beat: 5_000, sync: 2_000, rests: false },
            weather: Weather::Storm,
            person_ms: 12_000,
            // Long enough for a cluster to be lost, re-placed and found again; or for leases to end.
            faults_ms: if leased { 500_000 } else { 120_000 },
            healing_ms: HEALING_OF_MINUTES_MS,
            quiet_ms: 0,
            last_ms: 0,
        }
    }

    /// So many regions of so many clusters, and so many days of weather that end in peace.
    ///
    /// A region must be less than what the brake takes for a fault of our own network.
    pub(crate) fn days(regions: usize, clusters: usize, days: u64) -> Self {
        Self {
            regions,
            clusters,
            applications: regions + clusters,
            leased: false,
            pace: Pace {
                fetch: 5 * MINUTE,
                poll: 10 * MINUTE,
                tick: 5_000,
                beat: 5_000,
                sync: 20_000,
                rests: true,
            },
            weather: Weather::Seasons,
            person_ms: 10 * HOUR,
            faults_ms: days * DAY,
            // Failback, residence, an hour in which a move that failed is not tried again, and two hours' budgets.
            healing_ms: 5 * HOUR,
            quiet_ms: 8 * HOUR,
            // Several looks at the spec branch.
            last_ms: 30 * MINUTE,
        }
    }
}
