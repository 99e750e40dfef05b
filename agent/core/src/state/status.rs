//! What to say of each component, and of the release as a whole.

use std::collections::{BTreeMap, BTreeSet};

use qonnect_schema::documents::snapshot::{ComponentStatus, Health};
use qonnect_schema::manifest::ObjectId;

use super::dependencies::{WAITS, waits_for};
use super::patience::LATE;
use super::{SUSPEND, State};
use crate::health::Assessment;
use crate::release::{Desired, Owner};

/// Reason and message of a pod that does not start, by component.
pub type PodTroubles = BTreeMap<Owner, (String, String)>;

impl State {
    /// Every component that is owned or wanted, sorted.
    pub fn components(&self, pods: &PodTroubles) -> Vec<ComponentStatus> {
        let mut wanted: BTreeMap<&Owner, Vec<&Desired>> = BTreeMap::new();
        for object in self.release.iter().flat_map(|release| &release.objects) {
            wanted.entry(&object.owner).or_default().push(object);
        }
        let owners: BTreeSet<&Owner> =
            wanted.keys().copied().chain(self.inventory.owners().map(|(owner, _)| owner)).collect();
        let components = owners.into_iter().filter(|owner| !owner.is_namespace());
        components
            .map(|owner| self.component(owner, wanted.get(owner).map_or(&[], Vec::as_slice), pods))
            .collect()
    }

    fn component(&self, owner: &Owner, wanted: &[&Desired], pods: &PodTroubles) -> ComponentStatus {
        let held = self.inventory.held(owner);
        let unwanted =
            held.into_iter().flat_map(|held| held.objects.keys()).filter(|id| !self.wanted.contains_key(id));
        let assessments = wanted.iter().map(|object| (&object.id, self.judge(object)));
        let worst = assessments
            .chain(unwanted.map(|id| (id, self.judge_leaving(id))))
            .reduce(|worst, next| if next.1.health > worst.1.health { next } else { worst });
        let mut assessment = worst.map_or_else(Assessment::ready, |(id, assessment)| named(id, assessment));
        match pods.get(owner) {
            Some((reason, message)) if assessment.health == Health::Reconciling => {
                assessment = Assessment::reconciling(reason, message);
            }
            Some((reason, message)) if assessment.reason == LATE => {
                assessment.message = format!("{}; {reason}: {message}", assessment.message);
            }
            _ => {}
        }
        ComponentStatus {
            application: owner.application.to_string(),
            component: owner.component.to_string(),
            generation: self.generation(owner, wanted),
            health: assessment.health,
            reason: assessment.reason,
            message: assessment.message,
            objects: held.map_or(0, |held| held.objects.len() as u32),
        }
    }

    /// The release that all its objects are of.
    fn generation(&self, owner: &Owner, wanted: &[&Desired]) -> u64 {
        let current = self.release.as_ref().map_or(0, |release| release.spec.generation);
        let held = self.inventory.held(owner).map_or(0, |held| held.generation);
        let complete = wanted.iter().all(|object| self.is_applied(object));
        match (wanted.is_empty(), complete) {
            (true, _) => held,
            (false, true) => current,
            (false, false) => held.min(current.saturating_sub(1)),
        }
    }

    pub(super) fn is_applied(&self, desired: &Desired) -> bool {
        self.others.contains(&desired.id) || self.applied_hash(desired) == Some(&desired.hash)
    }

    fn judge(&self, desired: &Desired) -> Assessment {
        if let Some(trouble) = self.troubles.get(&desired.id) {
            let problem = &trouble.problem;
            return match problem.transient {
                true => Assessment::reconciling(&problem.reason, &problem.message),
                false => Assessment::stalled(&problem.reason, &problem.message),
            };
        }
        if self.is_left_alone(&desired.id) && !self.is_applied(desired) {
            let message = format!(
                "it is left as it is while {SUSPEND} is enabled on it, on its namespace or on the agent's"
            );
            return Assessment::reconciling("Suspended", message);
        }
        if self.is_stopped(&desired.id) {
            let message = "it is at zero: no lead vouches that it runs nowhere else";
            return Assessment::reconciling("NoLease", message);
        }
        if let Some(callee) = self.awaited(desired) {
            return Assessment::reconciling(WAITS, waits_for(callee));
        }
        match self.live.get(&desired.id) {
            Some(live) if self.is_applied(desired) => self.in_time(&desired.id, &live.assessment),
            _ => Assessment::reconciling("Applying", "it is not applied yet"),
        }
    }

    /// An object that the release gave up.
    fn judge_leaving(&self, id: &ObjectId) -> Assessment {
        if let Some(trouble) = self.troubles.get(id) {
            return Assessment::stalled(
                &trouble.problem.reason,
                format!("cannot be deleted: {}", trouble.problem.message),
            );
        }
        let live = self.live.get(id).map(|live| &live.assessment);
        match live {
            Some(assessment) if self.deleting.contains_key(id) => assessment.clone(),
            // The guard keeps it: it goes on working.
            Some(assessment) if !self.kept.is_empty() => assessment.clone(),
            // Nothing says yet what is wanted: until then nothing goes.
            Some(assessment) if self.release.is_none() => assessment.clone(),
            None if self.release.is_none() => Assessment::reconciling("Unread", "no release was read yet"),
            _ => Assessment::terminating("it is about to be deleted"),
        }
    }

    /// Whether every object of the release is in place as it was rendered.
    pub fn is_complete(&self) -> bool {
        let mut objects = self.release.iter().flat_map(|release| &release.objects);
        self.release.is_some()
            && objects.all(|object| self.is_applied(object) && !self.troubles.contains_key(&object.id))
    }

    /// What the guard keeps, and how to let it go.
    pub fn kept(&self) -> &[String] {
        &self.kept
    }
}

fn named(id: &ObjectId, assessment: Assessment) -> Assessment {
    match assessment.health {
        Health::Ready => assessment,
        _ => Assessment { message: format!("{id}: {}", assessment.message), ..assessment },
    }
}
