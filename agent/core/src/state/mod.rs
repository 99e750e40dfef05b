//! What shall be against what is: the agent's memory between the release, the inventory and the cluster.
//!
//! The shell feeds it ([`State::adopt`], [`State::observe`], [`State::applied`] …) and asks it what to do
//! ([`State::to_apply`], [`State::to_delete`]) and what to say ([`State::components`]). Times are milliseconds of a
//! clock that never goes back.

mod dependencies;
mod lease;
mod patience;
mod status;
mod suspend;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qonnect_schema::documents::release::Mark;
use qonnect_schema::manifest::ObjectId;
use serde_json::Value;

use crate::account::Accounts;
use crate::allow::Allowed;
use crate::drift;
use crate::health::{Assessment, assess};
use crate::inventory::{Inventory, Record};
use crate::prune::Limits;
use crate::release::{Desired, Owner, Verified};

use dependencies::Dependencies;
use patience::Patience;
pub use status::PodTroubles;
pub use suspend::{RECONCILE, SUSPEND, is_suspended};
pub use work::{Apply, Deleted, Deletion, Problem};

#[derive(Debug, Default)]
pub struct State {
    release: Option<Verified>,
    /// Where each wanted object stands in the release.
    wanted: BTreeMap<ObjectId, usize>,
    inventory: Inventory,
    limits: Limits,
    allowed: Allowed,
    accounts: Accounts,
    suspended: bool,
    live: BTreeMap<ObjectId, Live>,
    troubles: BTreeMap<ObjectId, Trouble>,
    repairs: BTreeMap<ObjectId, Repairs>,
    patience: BTreeMap<ObjectId, Patience>,
    dependencies: Dependencies,
    /// What the server itself changes in what we apply, such as a webhook: pointers that are no drift.
    settled: BTreeMap<ObjectId, Vec<String>>,
    /// What was applied before an object changed, to know which contested fields were ours.
    previous: BTreeMap<ObjectId, Arc<[u8]>>,
    /// Namespaces that somebody else made: used, never changed.
    others: BTreeSet<ObjectId>,
    /// Deletions that are accepted but not done, and when to look again: the word of a watch may come before the
    /// answer to the deletion, and some kinds are not watched.
    deleting: BTreeMap<ObjectId, Going>,
    /// What the guard keeps.
    kept: Vec<String>,
    /// A lead vouches for what runs by a lease.
    vouched: bool,
    /// What is at zero since nobody does, as the release has it.
    stopped: BTreeMap<ObjectId, Desired>,
    /// What a list that is under way has shown so far, by group and kind.
    lists: BTreeMap<(String, String), BTreeSet<ObjectId>>,
    notices: Vec<Notice>,
}

/// What is remembered of a live object.
#[derive(Debug, Clone, PartialEq)]
struct Live {
    /// Its resource version, where that is a number: an older view never replaces a newer one.
    version: Option<u64>,
    assessment: Assessment,
    /// Where it differs from what was applied.
    drift: Vec<String>,
    /// Who changed it last, besides us.
    by: Option<String>,
    /// An annotation says to leave it alone.
    suspended: bool,
}

/// Something that failed, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    problem: Problem,
    failures: u32,
    not_before: u64,
}

/// How often a deletion was looked after, and when it is next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Going {
    looks: u32,
    not_before: u64,
}

/// How often an object had to be put right lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Repairs {
    count: u32,
    last: u64,
    not_before: u64,
}

/// Something that people should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub warning: bool,
    /// One word, such as `DriftCorrected`.
    pub reason: &'static str,
    pub owner: Owner,
    pub message: String,
}

/// After this long in peace an object counts as left alone.
const PEACE_MS: u64 = 5 * 60_000;
/// So many repairs are at once; then each waits twice as long as the one before.
const REPAIRS_AT_ONCE: u32 = 3;
const BACKOFF_FIRST_MS: u64 = 1_000;
const BACKOFF_MAX_MS: u64 = 5 * 60_000;

/// No attempt would change anything before another release.
const NEVER: u64 = u64::MAX;

fn backoff_ms(failures: u32) -> u64 {
    BACKOFF_FIRST_MS.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACKOFF_MAX_MS)
}

impl State {
    pub fn new(inventory: Inventory, limits: Limits) -> Self {
        Self { inventory, limits, ..Self::default() }
    }

    /// Touches nothing but what the agent's configuration allows.
    pub fn within(self, allowed: Allowed) -> Self {
        Self { allowed, ..self }
    }

    /// Writes objects as the accounts of their applications.
    pub fn acting_as(self, accounts: Accounts) -> Self {
        Self { accounts, ..self }
    }

    /// Who writes an object, where it is not the agent itself.
    pub fn user(&self, owner: &Owner, id: &ObjectId) -> Option<Arc<str>> {
        self.accounts.user(owner, id, self.release.as_ref())
    }

    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    pub fn release(&self) -> Option<&Verified> {
        self.release.as_ref()
    }

    pub fn mark(&self) -> Mark {
        self.release.as_ref().map(Verified::mark).unwrap_or_default()
    }

    /// What an older release held is ours, also where somebody else holds it now and nobody wrote down what was
    /// applied.
    pub fn remember(&mut self, older: Verified) {
        for object in older.objects {
            self.previous.insert(object.id, object.body);
        }
    }

    /// The newest release replaces the one before, whatever became of it. Old failures do not delay it.
    pub fn adopt(&mut self, release: Verified) {
        let release = self.within_leases(release);
        let changed = release.objects.iter().filter(|object| self.desired(&object.id) != Some(*object));
        let changed = changed.map(|object| object.owner.clone()).collect();
        self.dependencies = Dependencies::of(&release, &self.dependencies, &changed);
        if let Some(old) = self.release.take() {
            self.remember(old);
        }
        self.wanted =
            release.objects.iter().enumerate().map(|(at, object)| (object.id.clone(), at)).collect();
        self.previous
            .retain(|id, body| self.wanted.get(id).is_some_and(|at| release.objects[*at].body != *body));
        self.settled.retain(|id, _| self.wanted.contains_key(id) && !self.previous.contains_key(id));
        self.repairs.retain(|id, _| self.wanted.contains_key(id));
        self.patience = self.patience_of(&release.objects);
        self.troubles.clear();
        for id in self.wanted.keys() {
            if let Some(message) = self.allowed.refusal(id) {
                let problem = Problem { reason: "NotAllowed".into(), message, transient: false };
                let trouble = Trouble { problem, failures: 1, not_before: NEVER };
                self.troubles.insert(id.clone(), trouble);
            }
        }
        self.release = Some(release);
    }

    pub fn desired(&self, id: &ObjectId) -> Option<&Desired> {
        let release = self.release.as_ref()?;
        self.wanted.get(id).map(|at| &release.objects[*at])
    }

    /// Every API version and kind that is wanted or owned.
    pub fn kinds(&self) -> BTreeSet<(Arc<str>, String)> {
        let wanted = self.release.iter().flat_map(|release| &release.objects);
        let wanted = wanted.filter(|object| self.allowed.refusal(&object.id).is_none());
        let wanted = wanted.map(|object| (object.api_version.clone(), object.id.kind.clone()));
        let owned = self.inventory.owners().flat_map(|(_, held)| &held.objects);
        let owned = owned
            .filter(|(id, _)| !self.wanted.contains_key(id))
            .map(|(id, record)| (record.api_version.clone(), id.kind.clone()));
        wanted.chain(owned).collect()
    }

    /// A watch shows an object. True if that is news for a report or calls for a repair.
    pub fn observe(&mut self, id: &ObjectId, object: &Value) -> bool {
        self.list_shows(id);
        if !self.wanted.contains_key(id) && self.owner(id).is_none() {
            return false;
        }
        let live = self.view(id, object);
        if let Some(before) = self.live.get(id) {
            let older = matches!((before.version, live.version), (Some(before), Some(now)) if now < before);
            if older || *before == live {
                return false;
            }
        }
        let before = self.live.insert(id.clone(), live.clone());
        before.is_none_or(|before| {
            before.assessment != live.assessment
                || before.drift != live.drift
                || before.suspended != live.suspended
        })
    }

    /// An object is not there any more, or does not carry our label any more.
    pub fn gone(&mut self, id: &ObjectId) -> bool {
        let waited_for = self.deleting.remove(id).is_some();
        self.live.remove(id).is_some() || waited_for
    }

    /// A list of a kind begins: what it does not show until [`State::list_ends`] is gone.
    pub fn list_begins(&mut self, group: &str, kind: &str) {
        self.lists.insert((group.into(), kind.into()), BTreeSet::new());
    }

    fn list_shows(&mut self, id: &ObjectId) {
        if let Some(seen) = self.lists.get_mut(&(id.group.clone(), id.kind.clone())) {
            seen.insert(id.clone());
        }
    }

    pub fn list_ends(&mut self, group: &str, kind: &str) -> bool {
        let Some(seen) = self.lists.remove(&(group.into(), kind.into())) else { return false };
        let of_kind = |id: &&ObjectId| id.group == group && id.kind == kind && !seen.contains(*id);
        let missing: BTreeSet<ObjectId> =
            self.live.keys().chain(self.deleting.keys()).filter(of_kind).cloned().collect();
        for id in &missing {
            self.gone(id);
        }
        !missing.is_empty()
    }

    /// What happened since the last call, for the events of a report.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Whom an object of the inventory belongs to.
    fn owner(&self, id: &ObjectId) -> Option<&Owner> {
        self.inventory.owners().find(|(_, held)| held.objects.contains_key(id)).map(|(owner, _)| owner)
    }

    fn applied_hash(&self, desired: &Desired) -> Option<&str> {
        self.inventory.get(&desired.owner, &desired.id)?.applied.as_deref()
    }

    fn view(&self, id: &ObjectId, object: &Value) -> Live {
        let mut drift =
            self.desired(id).map(|desired| drift::differences(&desired.object(), object)).unwrap_or_default();
        if let Some(settled) = self.settled.get(id) {
            drift.retain(|pointer| !settled.contains(pointer));
        }
        let version = object["metadata"]["resourceVersion"].as_str();
        Live {
            version: version.and_then(|version| version.parse().ok()),
            assessment: assess(id, object),
            drift,
            by: last_manager(object),
            suspended: is_suspended(object),
        }
    }

    fn record(&mut self, desired: &Desired, applied: Option<Arc<str>>) {
        if self.inventory.get(&desired.owner, &desired.id).is_none()
            && let Some(former) = self.owner(&desired.id).cloned()
        {
            self.inventory.remove(&former, &desired.id);
        }
        let generation = self.release.as_ref().map_or(0, |release| release.spec.generation);
        let record = Record { api_version: desired.api_version.clone(), applied };
        self.inventory.put(&desired.owner, &desired.id, record, generation);
    }

    fn notice(&mut self, warning: bool, reason: &'static str, owner: Owner, message: String) {
        self.notices.push(Notice { warning, reason, owner, message });
    }
}

/// The field manager of our server-side apply.
pub const FIELD_MANAGER: &str = "qonnect";

fn last_manager(object: &Value) -> Option<String> {
    let managers = object["metadata"]["managedFields"].as_array()?;
    // Status is written through its subresource by controllers, and that is no meddling.
    let others =
        managers.iter().filter(|entry| entry["manager"] != FIELD_MANAGER && entry["subresource"].is_null());
    let last = others.max_by_key(|entry| entry["time"].as_str().unwrap_or_default())?;
    last["manager"].as_str().map(Into::into)
}

#[cfg(test)]
mod tests;
