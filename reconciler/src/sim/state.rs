//! Everything that one cluster knows, and the one place where it changes.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::controllers::Work;
use super::fields::{self, Manager};
use super::kinds::{Kind, Kinds};
use super::ports::Ports;
use super::status::Status;
use super::store::{Key, Object, Store};

/// Objects that one cluster holds; as many as a busy real one.
const OBJECTS_MAX: usize = 100_000;

#[derive(Debug)]
pub(super) struct State {
    pub(super) store: Store,
    pub(super) kinds: Kinds,
    pub(super) work: Work,
    pub(super) ports: Ports,
    identities: Identities,
}

/// Makes uids and the ends of generated names.
#[derive(Debug)]
struct Identities {
    seed: u64,
    made: u64,
}

impl State {
    pub(super) fn new() -> Self {
        let seed = RandomState::new().hash_one(std::time::Instant::now());
        Self {
            store: Store::new(),
            kinds: Kinds::builtin(),
            work: Work::default(),
            ports: Ports::default(),
            identities: Identities { seed, made: 0 },
        }
    }

    pub(super) fn key(&self, kind: &str, namespace: &str, name: &str) -> Key {
        let kind = self.kinds.id(kind).unwrap_or_else(|| kind.into());
        Key { kind, namespace: namespace.into(), name: name.into() }
    }

    pub(super) fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.store.get(&self.key(kind, namespace, name))
    }

    pub(super) fn kind_of(&self, key: &Key) -> Option<Arc<Kind>> {
        self.kinds.get(&key.kind).cloned()
    }

    /// Stores a new state of an object and tells the controllers.
    pub(super) fn commit(&mut self, key: &Key, mut value: Value) -> Result<Arc<Object>, Status> {
        if self.store.count() >= OBJECTS_MAX && self.store.get(key).is_none() {
            return Err(Status::full());
        }
        value["metadata"]["resourceVersion"] = self.store.next_revision().to_string().into();
        let change = self.store.put(key, value);
        self.work.note(key, &change);
        Ok(change.object)
    }

    /// Takes an object out of the store and tells the controllers.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        let mut last = self.store.get(key)?.value.clone();
        last["metadata"]["resourceVersion"] = self.store.next_revision().to_string().into();
        let change = self.store.remove(key, last);
        if &*key.kind == "services" {
            self.ports.release(&change.object.value);
        }
        self.work.note(key, &change);
        Some(change.object)
    }

    /// Changes an object in a controller's name; a change that changes nothing is not stored.
    pub(super) fn edit(
        &mut self,
        key: &Key,
        manager: &str,
        subresource: &str,
        change: impl FnOnce(&mut Value),
    ) {
        let (Some(live), Some(kind)) = (self.store.get(key).cloned(), self.kind_of(key)) else { return };
        let mut value = live.value.clone();
        change(&mut value);
        if value == live.value {
            return;
        }
        if kind.generation && value["spec"] != live.value["spec"] {
            let generation = live.value["metadata"]["generation"].as_u64().unwrap_or(0);
            value["metadata"]["generation"] = (generation + 1).into();
        }
        let version = kind.storage();
        let (api_version, time) = (kind.api_version(&version.name), now());
        let manager = Manager { name: manager, api_version: &api_version, subresource, time: &time };
        fields::update(&live.value, &mut value, &version.shape, &manager);
        // The object exists, so the limit on objects cannot refuse it.
        self.commit(key, value).expect("an edit adds no object");
    }

    pub(super) fn uid(&mut self) -> String {
        let hash = self.identities.next();
        let hex = hex::encode(&hash[..16]);
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }

    /// The end of a generated name.
    pub(super) fn suffix(&mut self) -> String {
        safe_text(&self.identities.next()[..5])
    }
}

impl Identities {
    fn next(&mut self) -> [u8; 32] {
        self.made += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.made.to_be_bytes());
        hash.finalize().into()
    }
}

/// Bytes in the alphabet that Kubernetes generates names from: it spells no words.
pub(super) fn safe_text(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

/// The time as objects carry it, in seconds.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
