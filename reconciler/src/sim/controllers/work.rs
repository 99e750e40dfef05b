//! What is due for the controllers, now and later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::scheduler::Occupancy;
use crate::sim::store::{Change, Key};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sim) enum Task {
    /// Look at an object.
    Object(Key),
    /// Look at the object with this uid: one that it owns changed.
    Owner(String),
    /// Look at what the object with this uid left behind.
    Orphans(String),
    /// See whether the owners of a new object exist.
    Dependent(Key),
    /// The containers of this pod are up.
    Start(Key, String),
    /// The containers of this pod are done.
    Succeed(Key, String),
}

#[derive(Debug, Default)]
pub(in crate::sim) struct Work {
    due: VecDeque<Task>,
    queued: BTreeSet<Task>,
    later: BTreeMap<(Instant, u64), Task>,
    delayed: u64,
    woken: Arc<Notify>,
    pub(super) occupancy: Occupancy,
    /// Pods that no node has room for.
    pub(super) unschedulable: BTreeSet<Key>,
    /// The uids of the pods whose containers are on their way up.
    pub(super) starting: BTreeSet<String>,
}

/// When there is something to do again.
#[derive(Debug)]
pub(super) enum Next {
    Now,
    At(Instant),
    Never,
}

impl Next {
    pub(super) async fn sleep(self) {
        match self {
            Self::Now => tokio::task::yield_now().await,
            Self::At(time) => tokio::time::sleep_until(time).await,
            Self::Never => std::future::pending().await,
        }
    }
}

impl Work {
    pub(super) fn woken(&self) -> Arc<Notify> {
        self.woken.clone()
    }

    pub(super) fn push(&mut self, task: Task) {
        if self.queued.insert(task.clone()) {
            self.due.push_back(task);
            self.woken.notify_one();
        }
    }

    pub(super) fn push_after(&mut self, delay: Duration, task: Task) {
        self.delayed += 1;
        self.later.insert((Instant::now() + delay, self.delayed), task);
        self.woken.notify_one();
    }

    pub(super) fn pop(&mut self) -> Option<Task> {
        let task = self.due.pop_front()?;
        self.queued.remove(&task);
        Some(task)
    }

    /// Makes due what has waited long enough.
    pub(super) fn promote(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now) {
            let task = entry.remove();
            self.push(task);
        }
    }

    pub(super) fn next_due(&self) -> Next {
        match (self.due.is_empty(), self.later.first_key_value()) {
            (false, _) => Next::Now,
            (true, Some(((time, _), _))) => Next::At(*time),
            (true, None) => Next::Never,
        }
    }

    /// Pods that waited for room look again.
    pub(super) fn retry_unschedulable(&mut self) {
        for key in std::mem::take(&mut self.unschedulable) {
            self.push(Task::Object(key));
        }
    }

    /// Queues whoever cares about a change.
    pub(in crate::sim) fn note(&mut self, key: &Key, change: &Change) {
        let metadata = &change.object.value["metadata"];
        let owners = metadata["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
        for uid in owners.iter().filter_map(|owner| owner["uid"].as_str()) {
            self.push(Task::Owner(uid.into()));
        }
        if change.before.is_none() && !owners.is_empty() {
            self.push(Task::Dependent(key.clone()));
        }
        if &*key.kind == "pods" && self.occupancy.note(change) {
            self.retry_unschedulable();
        }
        if is_played(&key.kind) || metadata.get("deletionTimestamp").is_some_and(|time| !time.is_null()) {
            self.push(Task::Object(key.clone()));
        }
        if change.deleted {
            self.push(Task::Orphans(change.object.uid().into()));
            self.unschedulable.remove(key);
            if !key.namespace.is_empty() {
                let (kind, name) = ("namespaces".into(), key.namespace.clone());
                self.push(Task::Object(Key { kind, namespace: String::new(), name }));
            }
        }
    }
}

/// Kinds that a controller acts on.
fn is_played(kind: &str) -> bool {
    const PLAYED: [&str; 11] = [
        "pods",
        "namespaces",
        "persistentvolumeclaims",
        "services",
        "nodes",
        "customresourcedefinitions.apiextensions.k8s.io",
        "deployments.apps",
        "replicasets.apps",
        "statefulsets.apps",
        "daemonsets.apps",
        "jobs.batch",
    ];
    PLAYED.contains(&kind)
}

/// Text at a pointer, empty if there is none.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A count at a pointer, zero if there is none.
pub(super) fn count(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}
