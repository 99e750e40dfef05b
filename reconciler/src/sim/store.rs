//! The objects of one cluster, with the recent history that watches replay.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use super::kinds::KindId;

/// Changes that each collection remembers; a watch from before them is told to list again.
const HISTORY: usize = 2048;

/// What names an object inside a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) kind: KindId,
    /// Empty for cluster-scoped kinds.
    pub(super) namespace: String,
    pub(super) name: String,
}

/// One state of an object.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) value: Value,
    json: OnceLock<Bytes>,
}

impl Object {
    pub(super) fn new(value: Value) -> Self {
        Self { value, json: OnceLock::new() }
    }

    /// The object as it goes over the wire, serialised once for all who read it.
    pub(super) fn json(&self) -> Bytes {
        let write = || serde_json::to_vec(&self.value).expect("a JSON value can be written").into();
        self.json.get_or_init(write).clone()
    }

    pub(super) fn uid(&self) -> &str {
        self.value["metadata"]["uid"].as_str().unwrap_or_default()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) before: Option<Arc<Object>>,
    /// The new state, or the last one of an object that went.
    pub(super) object: Arc<Object>,
    pub(super) deleted: bool,
}

#[derive(Debug)]
struct Collection {
    objects: BTreeMap<(String, String), Arc<Object>>,
    history: VecDeque<Change>,
    /// The newest change that is no longer in the history.
    forgotten: u64,
    latest: watch::Sender<u64>,
}

#[derive(Debug)]
pub(super) struct Store {
    revision: u64,
    count: usize,
    collections: BTreeMap<KindId, Collection>,
    /// Objects by the uid of each of their owners.
    children: HashMap<String, BTreeSet<Key>>,
    by_uid: HashMap<String, Key>,
    /// What the last compaction forgot.
    compacted: u64,
}

impl Collection {
    fn new(forgotten: u64) -> Self {
        let latest = watch::Sender::new(forgotten);
        Self { objects: BTreeMap::new(), history: VecDeque::new(), forgotten, latest }
    }
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            revision: 1,
            count: 0,
            collections: BTreeMap::new(),
            children: HashMap::new(),
            by_uid: HashMap::new(),
            compacted: 0,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn next_revision(&self) -> u64 {
        self.revision + 1
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.collections.get(&key.kind)?.objects.get(&(key.namespace.clone(), key.name.clone()))
    }

    /// The objects of a kind, of one namespace if one is named, in the order of their names.
    pub(super) fn list<'a>(
        &'a self,
        kind: &str,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Object>> {
        self.range(kind, namespace, ("", "")).map(|(_, object)| object)
    }

    /// As [`Self::list`], beginning after the object with this namespace and name.
    pub(super) fn range<'a>(
        &'a self,
        kind: &str,
        namespace: &'a str,
        after: (&str, &str),
    ) -> impl Iterator<Item = (&'a (String, String), &'a Arc<Object>)> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let from = match after {
            ("", "") => Included((namespace.to_owned(), String::new())),
            (namespace, name) => Excluded((namespace.to_owned(), name.to_owned())),
        };
        let objects =
            self.collections.get(kind).map(|collection| collection.objects.range((from, Unbounded)));
        objects.into_iter().flatten().take_while(move |((of, _), _)| namespace.is_empty() || of == namespace)
    }

    /// The kinds that hold an object in this namespace.
    pub(super) fn kinds_in(&self, namespace: &str) -> Vec<KindId> {
        let holds = |kind: &&KindId| self.list(kind, namespace).next().is_some();
        self.collections.keys().filter(holds).cloned().collect()
    }

    pub(super) fn by_uid(&self, uid: &str) -> Option<&Key> {
        self.by_uid.get(uid)
    }

    /// The objects that name this one as an owner.
    pub(super) fn children(&self, uid: &str) -> Vec<Key> {
        self.children.get(uid).into_iter().flatten().cloned().collect()
    }

    pub(super) fn put(&mut self, key: &Key, value: Value) -> Change {
        self.revision += 1;
        let object = Arc::new(Object::new(value));
        let collection = self.collection(&key.kind);
        let before = collection.objects.insert((key.namespace.clone(), key.name.clone()), object.clone());
        self.count += usize::from(before.is_none());
        self.index(key, before.as_deref(), Some(&object));
        self.remember(key, Change { revision: self.revision, before, object, deleted: false })
    }

    /// `last` is the state that watchers see go.
    pub(super) fn remove(&mut self, key: &Key, last: Value) -> Change {
        self.revision += 1;
        let object = Arc::new(Object::new(last));
        let before = self.collection(&key.kind).objects.remove(&(key.namespace.clone(), key.name.clone()));
        self.count -= usize::from(before.is_some());
        self.index(key, before.as_deref(), None);
        self.remember(key, Change { revision: self.revision, before, object, deleted: true })
    }

    fn collection(&mut self, kind: &KindId) -> &mut Collection {
        let compacted = self.compacted;
        self.collections.entry(kind.clone()).or_insert_with(|| Collection::new(compacted))
    }

    fn remember(&mut self, key: &Key, change: Change) -> Change {
        let collection = self.collection(&key.kind);
        if collection.history.len() == HISTORY
            && let Some(oldest) = collection.history.pop_front()
        {
            collection.forgotten = oldest.revision;
        }
        collection.history.push_back(change.clone());
        collection.latest.send_replace(change.revision);
        change
    }

    fn index(&mut self, key: &Key, before: Option<&Object>, after: Option<&Object>) {
        let owners = |object: Option<&Object>| -> Vec<String> {
            let list = object.and_then(|object| object.value["metadata"]["ownerReferences"].as_array());
            list.into_iter().flatten().filter_map(|owner| owner["uid"].as_str()).map(Into::into).collect()
        };
        match (before, after) {
            (None, Some(object)) => drop(self.by_uid.insert(object.uid().into(), key.clone())),
            (Some(object), None) => drop(self.by_uid.remove(object.uid())),
            _ => {}
        }
        let (before, after) = (owners(before), owners(after));
        for uid in before.iter().filter(|uid| !after.contains(uid)) {
            if let Some(children) = self.children.get_mut(uid) {
                children.remove(key);
                if children.is_empty() {
                    self.children.remove(uid);
                }
            }
        }
        for uid in after {
            self.children.entry(uid).or_default().insert(key.clone());
        }
    }

    /// Tells when a kind changes.
    pub(super) fn subscribe(&mut self, kind: &KindId) -> watch::Receiver<u64> {
        self.collection(kind).latest.subscribe()
    }

    /// At most `limit` changes after a revision, or `Err` with the oldest one that is known when they are forgotten.
    pub(super) fn changes(&self, kind: &str, after: u64, limit: usize) -> Result<Vec<Change>, u64> {
        let Some(collection) = self.collections.get(kind) else {
            return if after < self.compacted { Err(self.compacted) } else { Ok(Vec::new()) };
        };
        if after < collection.forgotten {
            return Err(collection.forgotten);
        }
        let start = collection.history.partition_point(|change| change.revision <= after);
        Ok(collection.history.range(start..).take(limit).cloned().collect())
    }

    /// Forgets all history, as a compaction of etcd does.
    pub(super) fn compact(&mut self) {
        self.compacted = self.revision;
        for collection in self.collections.values_mut() {
            collection.history.clear();
            collection.forgotten = self.revision;
            collection.latest.send_replace(self.revision);
        }
    }
}
