//! What narrows the choice of a component beside its document: a pin, a suspension, a failure.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use qonnect_schema::documents::application::{Component, LabelOperator, LabelRequirement};
use qonnect_schema::documents::fleet::Moves;
use qonnect_schema::documents::placement::ComponentPlacement;
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::revision::ApplicationSource;
use qonnect_schema::{FleetSpec, SnapshotSpec};

use super::labels::CLUSTER;

/// The application with its components' selectors narrowed; the same one where nothing is.
pub(super) fn application(
    name: &str,
    source: &Arc<ApplicationSource>,
    fleet: &FleetSpec,
    snapshot: &SnapshotSpec,
) -> Arc<ApplicationSource> {
    let spec = &source.application.spec;
    let placed = snapshot.placements.get(name).map(|placement| &placement.spec.components);
    let narrowed = spec.components.iter().map(|component| {
        let placed = placed.and_then(|placed| placed.get(&component.name));
        let subject = Subject { name, source, component, placed, fleet, snapshot };
        subject.requirements()
    });
    let narrowed: Vec<_> = narrowed.collect();
    if narrowed.iter().all(Vec::is_empty) {
        return source.clone();
    }
    let mut source = ApplicationSource::clone(source);
    for (component, requirements) in source.application.spec.components.iter_mut().zip(narrowed) {
        component.cluster_selector.match_expressions.extend(requirements);
    }
    Arc::new(source)
}

#[derive(Debug, Clone, Copy)]
struct Subject<'a> {
    name: &'a str,
    source: &'a ApplicationSource,
    component: &'a Component,
    placed: Option<&'a ComponentPlacement>,
    fleet: &'a FleetSpec,
    snapshot: &'a SnapshotSpec,
}

impl Subject<'_> {
    fn requirements(&self) -> Vec<LabelRequirement> {
        let mut requirements = Vec::new();
        let home = self.placed.and_then(|placed| placed.cluster.as_deref());
        if let Some(home) = home.filter(|_| self.source.application.spec.suspend) {
            return vec![requirement(LabelOperator::In, home)];
        }
        if let Some(pin) = self.source.application.spec.pin.get(&self.component.name) {
            requirements.push(requirement(LabelOperator::In, pin));
        }
        if let Some(home) = home.filter(|home| self.fails(home)) {
            requirements.push(requirement(LabelOperator::NotIn, home));
        }
        requirements
    }

    /// It has failed here for too long, and was not tried on too many clusters.
    fn fails(&self, home: &str) -> bool {
        let Some(placed) = self.placed.filter(|placed| placed.moving.is_none()) else { return false };
        let Some(state) = self.snapshot.clusters.get(home) else { return false };
        let key = format!("{}/{}", self.name, self.component.name);
        let since = state.failing.get(&key).copied();
        state.status == ClusterStatus::Ready
            && placed.tries < self.fleet.moves.tries
            && since.is_some_and(|since| patience_ends(since, &self.fleet.moves) <= self.snapshot.now)
    }
}

/// When a component that is Stalled since then is tried elsewhere.
pub(crate) fn patience_ends(since: Timestamp, moves: &Moves) -> Timestamp {
    let patience = SignedDuration::try_from(moves.deadline.as_duration()).unwrap_or(SignedDuration::MAX);
    since.checked_add(patience).unwrap_or(Timestamp::MAX)
}

fn requirement(operator: LabelOperator, cluster: &str) -> LabelRequirement {
    LabelRequirement { key: CLUSTER.into(), operator, values: vec![cluster.into()] }
}
