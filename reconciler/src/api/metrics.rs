//! `/metrics`: what the lead knows, in the text format of OpenMetrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use qonnect_core::knowledge::Knowledge;
use qonnect_schema::documents::placement::ComponentPlacement;
use qonnect_schema::documents::snapshot::Brake;

use super::problem::Refusal;
use super::shared::Shared;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn serve(State(shared): State<Arc<Shared>>) -> Result<Response, Refusal> {
    let leads = shared.parts.consensus.leadership().borrow().is_some();
    let text = text(&shared.knowledge(), leads);
    Ok(([(CONTENT_TYPE, OPENMETRICS)], text).into_response())
}

type Labels = Vec<(&'static str, String)>;

/// Worked out when it is asked for: nothing is counted twice, and every lead says the same of the fleet.
fn text(knowledge: &Knowledge, leads: bool) -> String {
    let mut registry = Registry::with_prefix("qonnect");
    gauge(&mut registry, "lead_leader", "Whether this lead leads", i64::from(leads));
    let index = i64::try_from(knowledge.index).unwrap_or(i64::MAX);
    gauge(&mut registry, "knowledge_index", "The newest entry of the log that is applied here", index);
    let engaged = knowledge.brake.as_deref().is_some_and(Brake::is_engaged);
    gauge(&mut registry, "brake_engaged", "Whether moves are frozen", i64::from(engaged));

    let statuses = knowledge.clusters.values().map(|state| format!("{:?}", state.status).to_lowercase());
    family(&mut registry, "clusters", "Clusters by status", "status", statuses);
    let components = knowledge.clusters.values().flat_map(|state| &state.components);
    let healths = components.map(|status| format!("{:?}", status.health).to_lowercase());
    family(&mut registry, "components", "Components that clusters report, by health", "health", healths);
    let placed: Vec<_> = knowledge.placements.values().flat_map(|p| p.spec.components.values()).collect();
    let count = |holds: fn(&ComponentPlacement) -> bool| {
        i64::try_from(placed.iter().filter(|component| holds(component)).count()).unwrap_or(i64::MAX)
    };
    let moving = count(|component| component.moving.is_some());
    gauge(&mut registry, "moves_in_flight", "Components on their way to another cluster", moving);
    let unplaced = count(|component| component.cluster.is_none());
    gauge(&mut registry, "components_unplaced", "Components that no cluster takes", unplaced);
    let stranded = count(|component| component.stranded);
    gauge(&mut registry, "components_stranded", "Components on lost clusters that no other takes", stranded);

    let events = Family::<Labels, Counter>::default();
    for (reason, number) in &*knowledge.told {
        events.get_or_create(&vec![("reason", reason.clone())]).inc_by(*number);
    }
    registry.register("events", "Events ever told, by reason", events);
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes all that is written");
    text
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn family(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl Iterator<Item = String>,
) {
    let family = Family::<Labels, Gauge>::default();
    for value in values {
        family.get_or_create(&vec![(label, value)]).inc();
    }
    registry.register(name, help, family);
}
