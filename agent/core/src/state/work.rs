//! What is left to do, and what became of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use qonnect_schema::manifest::ObjectId;
use serde_json::Value;

use super::{Live, NEVER, PEACE_MS, REPAIRS_AT_ONCE, Repairs, State, Trouble, backoff_ms, suspend};
use crate::drift;
use crate::health::Assessment;
use crate::release::{Desired, Owner};
use crate::{order, prune};

/// One object to apply.
#[derive(Debug, Clone)]
pub struct Apply {
    pub desired: Desired,
    /// It was ours exactly so, and this was done to it: take it back.
    pub repair: Option<String>,
    /// What was applied before, while that differs.
    pub previous: Option<Arc<[u8]>>,
    /// Who applies it, where it is not the agent itself.
    pub user: Option<Arc<str>>,
    /// Its lease has ended: whoever set its replicas is overruled.
    pub stops: bool,
}

/// One object to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    pub owner: Owner,
    pub id: ObjectId,
    pub api_version: Arc<str>,
    /// Who deletes it, where it is not the agent itself.
    pub user: Option<Arc<str>>,
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// It is not there any more.
    Gone,
    /// Accepted; finalizers or a grace period hold it.
    Going,
    /// It stays, for good, and is not ours any more.
    Kept(String),
    /// A namespace that still holds objects of others.
    Occupied(String),
    Failed(Problem),
}

/// Why an object could not be applied or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// One word, such as `Conflict`.
    pub reason: String,
    /// For people, with the way out.
    pub message: String,
    /// It passes by itself: the API server is away or overloaded.
    pub transient: bool,
}

impl State {
    /// What to apply now, stage by stage.
    pub fn to_apply(&mut self, now: u64) -> Vec<Vec<Apply>> {
        self.look_at_dependencies(now);
        let objects = self.release.iter().flat_map(|release| &release.objects);
        let due = objects.filter(|object| self.is_due_by(object, now));
        let applies = due.map(|desired| Apply {
            desired: desired.clone(),
            repair: (self.applied_hash(desired) == Some(&desired.hash)).then(|| self.damage(&desired.id)),
            previous: self.previous.get(&desired.id).cloned(),
            user: self.user(&desired.owner, &desired.id),
            stops: self.is_stopped(&desired.id),
        });
        // What has to end waits for nothing; what never began, for its namespace.
        let (stops, others): (Vec<_>, Vec<_>) =
            applies.partition(|apply| apply.stops && self.may_run(&apply.desired));
        let first = (!stops.is_empty()).then_some(stops);
        first.into_iter().chain(order::stages(others, |apply| &apply.desired.id)).collect()
    }

    /// Whether [`State::to_apply`] would name anything.
    pub fn has_to_apply(&mut self, now: u64) -> bool {
        self.look_at_dependencies(now);
        let mut objects = self.release.iter().flat_map(|release| &release.objects);
        objects.any(|object| self.is_due_by(object, now))
    }

    fn is_due_by(&self, desired: &Desired, now: u64) -> bool {
        self.is_due(desired) && self.not_before(&desired.id) <= now && self.awaited(desired).is_none()
    }

    fn is_due(&self, desired: &Desired) -> bool {
        if self.others.contains(&desired.id) || self.is_left_alone(&desired.id) {
            return false;
        }
        match self.live.get(&desired.id) {
            None => true,
            Some(live) if live.is_terminating() => false,
            Some(live) => !live.drift.is_empty() || self.applied_hash(desired) != Some(&desired.hash),
        }
    }

    fn not_before(&self, id: &ObjectId) -> u64 {
        let trouble = self.troubles.get(id).map_or(0, |trouble| trouble.not_before);
        trouble.max(self.repairs.get(id).map_or(0, |repairs| repairs.not_before))
    }

    /// When something that waits is due; `None` while nothing waits.
    pub fn next_due(&self, now: u64) -> Option<u64> {
        let objects = self.release.iter().flat_map(|release| &release.objects);
        let waiting = objects.filter(|object| self.is_due(object)).map(|object| {
            let patience = self.awaited(object).and_then(|_| self.waiting_ends()).unwrap_or_default();
            self.not_before(&object.id).max(patience)
        });
        let doomed = self.troubles.iter().filter(|(id, _)| !self.wanted.contains_key(id));
        let going = self.deleting.values().map(|going| going.not_before);
        let all = waiting.chain(doomed.map(|(_, trouble)| trouble.not_before)).chain(going);
        all.filter(|due| *due > now && *due != NEVER).min()
    }

    /// Enters what is about to be created, so that it is never lost sight of. True if that is new.
    pub fn register(&mut self, stages: &[Vec<Apply>]) -> bool {
        let mut news = false;
        for apply in stages.iter().flatten() {
            if self.inventory.get(&apply.desired.owner, &apply.desired.id).is_none() {
                self.record(&apply.desired, None);
                news = true;
            }
        }
        news
    }

    /// An apply is on its way: until its answer nobody knows what the object holds.
    pub fn applying(&mut self, apply: &Apply) {
        if apply.repair.is_none() {
            self.record(&apply.desired, None);
        }
    }

    /// The server took an object and answered with what it holds now.
    pub fn applied(&mut self, apply: &Apply, object: &Value, now: u64) {
        let desired = &apply.desired;
        if self.desired(&desired.id).is_none_or(|wanted| wanted.hash != desired.hash) {
            return;
        }
        let settled = drift::differences(&desired.object(), object);
        if let Some(damage) = &apply.repair
            && !self.is_the_servers_doing(&desired.id, &settled)
        {
            self.repaired(desired, damage, now);
        }
        match settled.is_empty() {
            true => drop(self.settled.remove(&desired.id)),
            false => drop(self.settled.insert(desired.id.clone(), settled)),
        }
        self.record(desired, Some(desired.hash.clone()));
        self.previous.remove(&desired.id);
        self.troubles.remove(&desired.id);
        let live = self.view(&desired.id, object);
        self.live.insert(desired.id.clone(), live);
        // A list that was answered before must not take it for gone.
        self.list_shows(&desired.id);
    }

    /// A field could not change, and the manifest agrees to what was done for it.
    pub fn recreated(&mut self, desired: &Desired) {
        let message = format!(
            "{}: a field cannot change, so it was deleted and made anew as its annotation allows",
            desired.id
        );
        self.notice(false, "ObjectRecreated", desired.owner.clone(), message);
    }

    /// A namespace exists and somebody else made it: it is used as it is, and never deleted.
    pub fn belongs_to_others(&mut self, desired: &Desired) {
        self.inventory.remove(&desired.owner, &desired.id);
        self.troubles.remove(&desired.id);
        self.others.insert(desired.id.clone());
    }

    pub fn failed(&mut self, id: &ObjectId, problem: Problem, now: u64) {
        if problem.reason == "NotFound" && !id.namespace.is_empty() {
            self.namespace_is_missing(&id.namespace);
        }
        let failures = self.troubles.get(id).map_or(0, |trouble| trouble.failures) + 1;
        let trouble = Trouble { problem, failures, not_before: now + backoff_ms(failures) };
        self.troubles.insert(id.clone(), trouble);
    }

    fn namespace_is_missing(&mut self, name: &str) {
        let id = suspend::namespace(name);
        self.others.remove(&id);
        self.live.remove(&id);
    }

    /// Applying again changed nothing: a webhook or a default of the server insists, and nobody meddled.
    fn is_the_servers_doing(&self, id: &ObjectId, settled: &[String]) -> bool {
        self.live.get(id).is_some_and(|live| live.drift == settled && !settled.is_empty())
    }

    /// What was done to an object that was in place.
    fn damage(&self, id: &ObjectId) -> String {
        let Some(live) = self.live.get(id) else { return "it was deleted".into() };
        let by = live.by.as_ref().map(|by| format!(", last by {by}")).unwrap_or_default();
        format!("{} was changed{by}", live.drift.join(", "))
    }

    /// Says that something was put right, and slows down where somebody keeps undoing it.
    fn repaired(&mut self, desired: &Desired, damage: &str, now: u64) {
        let repairs = self.repairs.entry(desired.id.clone()).or_default();
        let peace = now.saturating_sub(repairs.last) > PEACE_MS;
        let count = if peace { 1 } else { repairs.count + 1 };
        let wait = if count < REPAIRS_AT_ONCE { 0 } else { backoff_ms(count + 1 - REPAIRS_AT_ONCE) };
        *repairs = Repairs { count, last: now, not_before: now + wait };
        let (owner, id) = (desired.owner.clone(), &desired.id);
        if count == REPAIRS_AT_ONCE {
            let message = format!(
                "{id}: {damage}, for the {count}rd time within minutes; it is put right again, but ever more slowly"
            );
            self.notice(true, "DriftFight", owner, message);
        } else if count < REPAIRS_AT_ONCE {
            self.notice(false, "DriftCorrected", owner, format!("{id}: {damage}; it is put right"));
        }
    }

    /// What is to go in the end, whatever it waits for.
    pub fn to_remove(&mut self) -> Vec<(Owner, ObjectId)> {
        let Some(release) = &self.release else { return Vec::new() };
        let plan =
            prune::plan(&release.spec, |id| self.wanted.contains_key(id), &self.inventory, &self.limits);
        self.kept = plan.kept;
        plan.delete.into_iter().chain(plan.namespaces).collect()
    }

    /// What to delete now. Nothing while the objects that replace it are not in place.
    pub fn to_delete(&mut self, now: u64) -> Vec<Deletion> {
        let Some(release) = &self.release else { return Vec::new() };
        let plan =
            prune::plan(&release.spec, |id| self.wanted.contains_key(id), &self.inventory, &self.limits);
        let unfinished: BTreeSet<&Owner> =
            release.objects.iter().filter(|object| self.is_due(object)).map(|object| &object.owner).collect();
        let (mut deletions, mut kept) = (Vec::new(), plan.kept);
        for (owner, id) in plan.delete.into_iter().chain(plan.namespaces) {
            if let Some(why) = self.allowed.refusal(&id) {
                kept.push(format!("{id} of {owner} stays although it was removed: {why}"));
                continue;
            }
            let waits =
                self.deleting.get(&id).is_some_and(|going| going.not_before > now) || self.is_left_alone(&id);
            if waits || self.not_before(&id) > now || unfinished.contains(&owner) {
                continue;
            }
            if let Some(record) = self.inventory.get(&owner, &id) {
                let api_version = record.api_version.clone();
                let user = self.user(&owner, &id);
                deletions.push(Deletion { owner, id, api_version, user });
            }
        }
        // What stands on others goes first.
        deletions.sort_by_key(|deletion| std::cmp::Reverse(order::stage(&deletion.id)));
        self.kept = kept;
        deletions
    }

    pub fn deleted(&mut self, deletion: &Deletion, outcome: Deleted, now: u64) {
        let Deletion { owner, id, .. } = deletion;
        match outcome {
            Deleted::Gone => self.forget(owner, id),
            Deleted::Going => {
                self.troubles.remove(id);
                let going = self.deleting.entry(id.clone()).or_default();
                going.looks += 1;
                going.not_before = now + backoff_ms(going.looks);
                let live = self.live.entry(id.clone()).or_insert_with(Live::unseen);
                if !live.is_terminating() {
                    live.assessment = Assessment::terminating("it is being deleted");
                }
            }
            Deleted::Kept(why) => {
                self.forget(owner, id);
                self.notice(true, "ObjectKept", owner.clone(), format!("{id} stays: {why}"));
            }
            Deleted::Occupied(by) => {
                if !self.troubles.contains_key(id) {
                    self.notice(
                        true,
                        "NamespaceKept",
                        owner.clone(),
                        format!("{id} stays while it holds {by}"),
                    );
                }
                let problem =
                    Problem { reason: "Occupied".into(), message: format!("it holds {by}"), transient: true };
                // Often it is only something that is still on its way out.
                let failures = self.troubles.get(id).map_or(0, |trouble| trouble.failures) + 1;
                let trouble = Trouble { problem, failures, not_before: now + backoff_ms(failures) };
                self.troubles.insert(id.clone(), trouble);
            }
            Deleted::Failed(problem) => self.failed(id, problem, now),
        }
    }

    fn forget(&mut self, owner: &Owner, id: &ObjectId) {
        self.inventory.remove(owner, id);
        self.live.remove(id);
        self.troubles.remove(id);
        self.deleting.remove(id);
    }
}

impl Live {
    fn unseen() -> Self {
        Self {
            version: None,
            assessment: Assessment::terminating("it is being deleted"),
            drift: Vec::new(),
            by: None,
            suspended: false,
        }
    }

    pub(super) fn is_terminating(&self) -> bool {
        self.assessment.health == qonnect_schema::documents::snapshot::Health::Terminating
    }
}
