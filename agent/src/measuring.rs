//! Measures from time to time what Kubernetes' own objects do not tell: usage, power, round trips to other clusters.

mod prometheus;
mod trips;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use qonnect_agent_core::measured::told;
use qonnect_schema::documents::measured::{Measured, Usage};
use qonnect_schema::units::Latency;
use tokio::sync::watch;
use tracing::warn;

use crate::backoff::jittered;
use crate::cluster::Cluster;
use crate::config::Measure;
use crate::uplink::{self, Uplink};

pub use prometheus::Power;

/// What does not answer for so many rounds is not known any more; until then it is as it was.
const MISSES_MAX: u32 = 5;

/// One round after the other, each value told only if it has changed enough, until the receiver is gone.
pub(crate) async fn measure(
    config: Measure,
    cluster: Arc<Cluster>,
    uplink: Arc<Uplink>,
    tell: watch::Sender<Measured>,
) -> Result<(), uplink::Error> {
    let power = config.power.as_ref().map(prometheus::Prometheus::new).transpose()?;
    let mut usage = Source::<Usage>::new("usage");
    let mut watts = Source::<f64>::new("power");
    let mut trips = Trips { source: Source::new("round trips"), misses: BTreeMap::new() };
    while !tell.is_closed() {
        usage.heard(cluster.usage().await);
        if let Some(power) = &power {
            watts.heard(power.watts().await);
        }
        if config.round_trips {
            trips.round(&uplink).await;
        }
        let mut now = Measured { usage: usage.known.clone(), round_trips: trips.source.known.clone() };
        for (node, watts) in &watts.known {
            now.usage.entry(node.clone()).or_default().watts = Some(*watts);
        }
        tell.send_if_modified(|before| {
            let now = told(before, now);
            let news = *before != now;
            *before = now;
            news
        });
        // Between two and four thirds: many agents that started together do not measure together.
        tokio::time::sleep(jittered(config.every.as_duration().saturating_mul(4) / 3)).await;
    }
    Ok(())
}

/// Asks once, by node.
pub(crate) async fn watts(power: &Power) -> Result<BTreeMap<String, f64>, String> {
    prometheus::Prometheus::new(power).map_err(|error| error.to_string())?.watts().await
}

/// Where something is measured, and what it last said.
struct Source<T> {
    what: &'static str,
    known: BTreeMap<String, T>,
    misses: u32,
}

impl<T> Source<T> {
    fn new(what: &'static str) -> Self {
        Self { what, known: BTreeMap::new(), misses: 0 }
    }

    fn heard(&mut self, answer: Result<BTreeMap<String, T>, String>) {
        match answer {
            Ok(known) => {
                self.known = known;
                self.misses = 0;
            }
            Err(why) => {
                if self.misses == 0 {
                    warn!(what = self.what, why, "not measured, will retry");
                }
                self.misses += 1;
                if self.misses >= MISSES_MAX {
                    self.known.clear();
                }
            }
        }
    }
}

struct Trips {
    source: Source<Latency>,
    /// By cluster: rounds in a row without an answer.
    misses: BTreeMap<String, u32>,
}

impl Trips {
    async fn round(&mut self, uplink: &Uplink) {
        // Who is there is for the leads to say; while they are away, it is who was there.
        let Some(neighbours) = uplink.neighbours().await else { return };
        self.source.known.retain(|name, _| neighbours.clusters.contains_key(name));
        self.misses.retain(|name, _| neighbours.clusters.contains_key(name));
        for (name, place) in neighbours.clusters.into_iter().take(trips::NEIGHBOURS_MAX) {
            match trips::round_trip(&place).await {
                Some(trip) => {
                    self.misses.remove(&name);
                    self.source.known.insert(name, trip);
                }
                None => {
                    let misses = self.misses.entry(name.clone()).or_default();
                    *misses += 1;
                    if *misses >= MISSES_MAX {
                        self.source.known.remove(&name);
                    }
                }
            }
        }
    }
}

/// A time that is long for what answers within a second, and short for what never does.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
