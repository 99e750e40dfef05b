//! What the agent has done and how its cluster is, for `/metrics` in the text format of OpenMetrics.

use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use qonnect_schema::api::Report;

pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    pub(crate) applied: Counter,
    pub(crate) failed: Counter,
    pub(crate) deleted: Counter,
    pub(crate) fetched: Counter,
    pub(crate) not_fetched: Counter,
    generation: Gauge,
    stalled: Gauge,
    components: Family<Labels, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("qonnect_agent");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let applied = counter("objects_applied", "Objects that were applied");
        let failed = counter("objects_failed", "Times that an object could not be applied");
        let deleted = counter("objects_deleted", "Objects that were deleted");
        let fetched = counter("releases_fetched", "Times that a release was fetched and in order");
        let not_fetched =
            counter("fetches_failed", "Times that no release could be fetched, or that it was refused");
        let mut gauge = |name: &str, help: &str| {
            let gauge: Gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let generation = gauge("release_generation", "The newest release that is applied without an error");
        let stalled =
            gauge("stalled", "Whether something keeps the newest release from being applied or watched");
        let components = Family::default();
        registry.register("components", "Components by health", components.clone());
        Self {
            registry: Arc::new(registry),
            applied,
            failed,
            deleted,
            fetched,
            not_fetched,
            generation,
            stalled,
            components,
        }
    }
}

impl Metrics {
    /// What the leads are told.
    pub(crate) fn report(&self, report: &Report) {
        let generation = report.release.as_ref().map_or(0, |release| release.generation);
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.stalled.set(i64::from(!report.stalled.is_empty()));
        self.components.clear();
        for component in &report.components {
            let health = format!("{:?}", component.health).to_lowercase();
            self.components.get_or_create(&vec![("health", health)]).inc();
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes all that is written");
        text
    }
}
