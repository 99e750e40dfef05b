//! The plan of a leadership: kept from one decision to the next, and now and then compared with one from nothing.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use qonnect_schema::SnapshotSpec;
use qonnect_schema::revision::Revision;

use crate::placement::{Plan, Planner, Touched};
use crate::review::Bindings;

/// How long after a change everything is planned from nothing once: what was left in peace may have a better place
/// by now, and several changes that come together cost one such plan.
const REVIEW_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Planning {
    kept: Option<Kept>,
    /// When all is planned from nothing again.
    review: Option<Timestamp>,
}

#[derive(Debug)]
struct Kept {
    planner: Planner,
    plan: Plan,
    /// The world that was planned.
    revision: Arc<Revision>,
    snapshot: SnapshotSpec,
}

impl Planning {
    /// The plan for a world, which is kept with it.
    pub(super) fn plan(
        &mut self,
        revision: &Arc<Revision>,
        snapshot: SnapshotSpec,
    ) -> (&Plan, &SnapshotSpec) {
        let now = snapshot.now;
        let due = self.review.is_some_and(|review| review <= now);
        let touched = |kept: &Kept| Touched::between((&kept.revision, &kept.snapshot), (revision, &snapshot));
        let kept = match self.kept.take().and_then(|kept| Some((touched(&kept)?, kept))) {
            Some((touched, mut kept)) => {
                kept.replan(revision, snapshot, &touched);
                if !touched.is_empty() {
                    self.review = self.review.or(now.checked_add(REVIEW_AFTER).ok());
                }
                if due {
                    self.review = None;
                    kept.review();
                }
                kept
            }
            None => {
                self.review = None;
                Kept::new(revision, snapshot)
            }
        };
        let kept = self.kept.insert(kept);
        (&kept.plan, &kept.snapshot)
    }

    /// What keeps components of these applications from better clusters, in the plan that is kept.
    pub(super) fn bindings<'a>(&mut self, applications: impl Iterator<Item = &'a str>) -> Bindings {
        let Some(kept) = &mut self.kept else { return Bindings::new() };
        let mut bindings = Bindings::new();
        for name in applications {
            let planned = kept.planner.explain(name).into_iter().flat_map(|plan| plan.components);
            let bound = planned.filter(|(_, placed)| !placed.binding.is_empty());
            bindings.extend(bound.map(|(component, placed)| (format!("{name}/{component}"), placed.binding)));
        }
        bindings
    }

    /// When to plan again though nothing happens.
    pub(super) fn review(&self) -> Option<Timestamp> {
        self.review
    }
}

impl Kept {
    fn new(revision: &Arc<Revision>, snapshot: SnapshotSpec) -> Self {
        let mut planner = Planner::new(revision, &snapshot);
        Self { plan: planner.plan(), planner, revision: revision.clone(), snapshot }
    }

    fn replan(&mut self, revision: &Arc<Revision>, snapshot: SnapshotSpec, touched: &Touched) {
        for (name, planned) in self.planner.replan(revision, &snapshot, touched) {
            match planned {
                Some(planned) => drop(self.plan.applications.insert(name, planned)),
                None => drop(self.plan.applications.remove(&name)),
            }
        }
        (self.revision, self.snapshot) = (revision.clone(), snapshot);
    }

    fn review(&mut self) {
        if self.planner.review(&self.revision, &self.snapshot) {
            self.plan = self.planner.plan();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use qonnect_schema::documents::application::{ApplicationSpec, Component, Objectives};
    use qonnect_schema::revision::ApplicationSource;
    use qonnect_schema::{Application, Cluster};

    use super::*;

    fn world() -> (Arc<Revision>, SnapshotSpec) {
        let web = Component { name: "web".into(), ..Component::default() };
        let spec = ApplicationSpec {
            objectives: Objectives { cost: 1.0, ..Objectives::default() },
            components: vec![web],
            ..ApplicationSpec::default()
        };
        let source = ApplicationSource {
            commit: "c0ffee".into(),
            application: Application::new("shop", spec),
            manifests: Arc::default(),
        };
        let revision = Revision {
            commit: "c0ffee".into(),
            time: Timestamp::UNIX_EPOCH,
            fleet: Default::default(),
            clusters: BTreeMap::from([("a".into(), Cluster::new("a", Default::default()))]),
            signals: BTreeMap::new(),
            applications: BTreeMap::from([("shop".into(), Arc::new(source))]),
        };
        (Arc::new(revision), SnapshotSpec::default())
    }

    #[test]
    fn a_change_is_reviewed_a_minute_later_and_once() {
        let (mut revision, mut snapshot) = world();
        let mut planning = Planning::default();
        planning.plan(&revision, snapshot.clone());
        assert_eq!(planning.review(), None, "it was planned from nothing");

        let shop = revision.applications["shop"].clone();
        Arc::make_mut(&mut revision).applications.insert("bank".into(), shop);
        assert_eq!(planning.plan(&revision, snapshot.clone()).0.applications.len(), 2);
        let review = planning.review().expect("something was changed");
        assert_eq!(review.duration_since(snapshot.now).unsigned_abs(), REVIEW_AFTER);

        snapshot.now = review;
        planning.plan(&revision, snapshot.clone());
        assert_eq!(planning.review(), None);
        Arc::make_mut(&mut revision).applications.remove("bank");
        assert_eq!(planning.plan(&revision, snapshot).0.applications.len(), 1);
    }
}
