//! `minAvailable`: what must not run twice leaves a cluster only while it is Ready on enough others.

use std::collections::BTreeSet;

use qonnect_schema::documents::application::{Component, MoveStrategy};
use qonnect_schema::documents::placement::MovePhase;
use qonnect_schema::documents::snapshot::{ClusterStatus, Health};
use qonnect_schema::layout;

use super::World;
use super::budget::Group;

/// The parts that leave with this decision, by application.
#[derive(Debug, Default)]
pub(super) struct Available {
    leaving: BTreeSet<(String, String)>,
}

impl Available {
    /// Whether the starts of a group leave enough; then they count.
    pub(super) fn spare(&mut self, world: &World<'_>, group: &Group) -> bool {
        for start in &group.starts {
            let (application, part) = (group.application.as_str(), start.component.as_str());
            let least = min_available(world, application, part);
            if least.is_some_and(|least| !self.may_go(world, application, part, least)) {
                return false;
            }
            self.leaving.insert((application.into(), part.into()));
        }
        true
    }

    /// Whether enough others are Ready, or nobody misses this one.
    fn may_go(&self, world: &World<'_>, application: &str, part: &str, least: usize) -> bool {
        let parts = components(world, application).map(|component| component.name.as_str());
        let others = parts.filter(|name| *name != part && layout::whole(name) == layout::whole(part));
        let ready = others.filter(|name| self.is_ready(world, application, name)).count();
        ready >= least || is_down(world, application, part)
    }

    fn is_ready(&self, world: &World<'_>, application: &str, part: &str) -> bool {
        let Some(deployed) = world.deployed(application, part) else { return false };
        let Some(cluster) = deployed.cluster.as_deref() else { return false };
        let leaves = deployed.moving.as_ref().is_some_and(|moving| moving.phase == MovePhase::Leaving)
            || self.leaving.contains(&(application.to_owned(), part.to_owned()));
        // What a silent cluster said last may not be so any more, and the brake can keep it from being lost for hours.
        let state = world.snapshot.clusters.get(cluster);
        let heard = state.is_some_and(|state| state.status == ClusterStatus::Ready) && !world.fenced(cluster);
        !leaves && heard && world.applied(cluster, application, part).1
    }
}

/// Whether its cluster said last that it is not Ready. What was released since may have changed that, but not more.
fn is_down(world: &World<'_>, application: &str, part: &str) -> bool {
    let deployed = world.deployed(application, part);
    let state = deployed.and_then(|deployed| world.snapshot.clusters.get(deployed.cluster.as_deref()?));
    state.is_some_and(|state| {
        let mut statuses = state.components.iter();
        let status = statuses.find(|status| status.application == application && status.component == part);
        status.is_none_or(|status| status.health != Health::Ready)
    })
}

/// Whether some of its parts must stay while another leaves.
pub(super) fn is_kept(world: &World<'_>, application: &str, part: &str) -> bool {
    min_available(world, application, part).is_some()
}

/// What moves make before break is never missed.
fn min_available(world: &World<'_>, application: &str, part: &str) -> Option<usize> {
    let component = components(world, application).find(|component| component.name == part)?;
    let least = component.min_available.filter(|_| component.strategy == MoveStrategy::Recreate)?;
    Some(least as usize)
}

fn components<'a>(world: &World<'a>, application: &str) -> impl Iterator<Item = &'a Component> + Clone {
    let source = world.revision.applications.get(application);
    source.into_iter().flat_map(|source| &source.application.spec.components)
}
