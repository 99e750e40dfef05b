//! What the agent owns in its cluster, as text that fits into a few ConfigMaps.
//!
//! A component's entry lives in one of [`SHARDS`] ConfigMaps, so that a change rewrites a sixteenth of the whole.
//! One object takes about 80 bytes: 4,000 objects are 320 KB, and even in one shard they stay below the 1 MiB that
//! a ConfigMap may hold.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use qonnect_schema::manifest::ObjectId;

use crate::release::Owner;

/// Where the inventory lives.
pub const NAMESPACE: &str = "qonnect-system";
pub const SHARDS: u8 = 16;
/// The ConfigMap with the mark of the last release.
pub const RELEASE: &str = "release";

/// The name of a shard's ConfigMap.
pub fn shard_name(shard: u8) -> String {
    format!("inventory-{shard:x}")
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    owners: BTreeMap<Owner, Held>,
}

/// What is owned on behalf of one component.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// The release that last changed this entry.
    pub generation: u64,
    pub objects: BTreeMap<ObjectId, Record>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub api_version: Arc<str>,
    /// The hash that was last applied; absent while it is uncertain whether the object exists.
    pub applied: Option<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "ConfigMap {NAMESPACE}/{shard}, key {key}, line {line}: not an entry of an inventory; restore it, or delete the key to give its objects up"
)]
pub struct DecodeError {
    pub shard: String,
    pub key: String,
    pub line: usize,
}

impl Inventory {
    pub fn owners(&self) -> impl Iterator<Item = (&Owner, &Held)> {
        self.owners.iter()
    }

    pub fn held(&self, owner: &Owner) -> Option<&Held> {
        self.owners.get(owner)
    }

    pub fn len(&self) -> usize {
        self.owners.values().map(|held| held.objects.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.owners.is_empty()
    }

    pub fn get(&self, owner: &Owner, id: &ObjectId) -> Option<&Record> {
        self.owners.get(owner)?.objects.get(id)
    }

    /// Enters an object, or changes its record.
    pub fn put(&mut self, owner: &Owner, id: &ObjectId, record: Record, generation: u64) {
        let held = self.owners.entry(owner.clone()).or_default();
        held.generation = generation;
        held.objects.insert(id.clone(), record);
    }

    pub fn remove(&mut self, owner: &Owner, id: &ObjectId) {
        if let Some(held) = self.owners.get_mut(owner) {
            held.objects.remove(id);
            if held.objects.is_empty() {
                self.owners.remove(owner);
            }
        }
    }

    /// The data of one shard's ConfigMap; empty where nothing falls into it.
    pub fn encode(&self, shard: u8) -> BTreeMap<String, String> {
        let inside = self.owners.iter().filter(|(owner, _)| shard_of(owner) == shard);
        inside.map(|(owner, held)| (key(owner), held.encode())).collect()
    }

    /// Reads one shard into the inventory.
    pub fn decode(&mut self, shard: &str, data: &BTreeMap<String, String>) -> Result<(), DecodeError> {
        for (key, text) in data {
            let bad = |line| DecodeError { shard: shard.into(), key: key.clone(), line };
            let owner = owner(key).ok_or_else(|| bad(0))?;
            let held = Held::decode(text).map_err(bad)?;
            self.owners.insert(owner, held);
        }
        Ok(())
    }
}

impl Held {
    fn encode(&self) -> String {
        let mut text = format!("{}\n", self.generation);
        for (id, record) in &self.objects {
            let applied = record.applied.as_deref().unwrap_or("-");
            let ObjectId { kind, namespace, name, .. } = id;
            writeln!(text, "{} {kind} {namespace}/{name} {applied}", record.api_version)
                .expect("writing to a String does not fail");
        }
        text
    }

    fn decode(text: &str) -> Result<Self, usize> {
        let mut lines = text.lines();
        let generation = lines.next().and_then(|line| line.parse().ok()).ok_or(1usize)?;
        let objects =
            lines.enumerate().map(|(at, line)| entry(line).ok_or(at + 2)).collect::<Result<_, _>>()?;
        Ok(Self { generation, objects })
    }
}

fn entry(line: &str) -> Option<(ObjectId, Record)> {
    let mut parts = line.split(' ');
    let (api_version, kind, place, applied) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (namespace, name) = place.split_once('/')?;
    if parts.next().is_some() || kind.is_empty() || name.is_empty() {
        return None;
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let id =
        ObjectId { group: group.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() };
    let applied = (applied != "-").then(|| applied.into());
    Some((id, Record { api_version: api_version.into(), applied }))
}

/// Names are DNS labels, so neither a dot nor an underscore stands in them.
fn key(owner: &Owner) -> String {
    let component = if owner.is_namespace() { "_" } else { &owner.component };
    format!("{}.{component}", owner.application)
}

fn owner(key: &str) -> Option<Owner> {
    let (application, component) = key.split_once('.')?;
    Some(Owner::new(application, if component == "_" { "" } else { component }))
}

/// FNV-1a: stable across versions of the agent, which the place of an entry has to be.
fn shard_of(owner: &Owner) -> u8 {
    let hash = key(owner).bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash >> 32) % u64::from(SHARDS)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(name: &str) -> ObjectId {
        ObjectId {
            group: "apps".into(),
            kind: "Deployment".into(),
            namespace: "shop".into(),
            name: name.into(),
        }
    }

    fn record(applied: Option<&str>) -> Record {
        Record { api_version: "apps/v1".into(), applied: applied.map(Into::into) }
    }

    #[test]
    fn an_inventory_reads_back_from_its_shards() {
        let mut inventory = Inventory::default();
        for component in ["web", "db", "cache", "mail"] {
            inventory.put(
                &Owner::new("shop", component),
                &deployment(component),
                record(Some("0123456789abcdef")),
                4,
            );
        }
        let namespace = ObjectId {
            group: String::new(),
            kind: "Namespace".into(),
            namespace: String::new(),
            name: "shop".into(),
        };
        let core = Record { api_version: "v1".into(), applied: None };
        inventory.put(&Owner::new("shop", ""), &namespace, core, 5);
        let mut read = Inventory::default();
        for shard in 0..SHARDS {
            read.decode(&shard_name(shard), &inventory.encode(shard)).unwrap();
        }
        assert_eq!(read, inventory);
    }

    #[test]
    fn four_thousand_objects_of_one_component_fit_into_one_configmap() {
        let mut inventory = Inventory::default();
        for at in 0..4000 {
            let name = format!("a-service-with-a-fairly-long-name-{at}");
            inventory.put(
                &Owner::new("shop", "web"),
                &deployment(&name),
                record(Some("0123456789abcdef")),
                4,
            );
        }
        let largest =
            (0..SHARDS).map(|shard| inventory.encode(shard).values().map(String::len).sum::<usize>()).max();
        assert!(largest < Some(1 << 20), "{largest:?}");
    }

    #[test]
    fn a_damaged_entry_is_named_and_never_read_as_empty() {
        for (text, line) in
            [("", 1), ("x\n", 1), ("4\napps/v1 Deployment shop/web\n", 2), ("4\nv1 Pod a/ -\n", 2)]
        {
            let data = BTreeMap::from([("shop.web".to_string(), text.to_string())]);
            let error = Inventory::default().decode("inventory-0", &data).unwrap_err();
            assert_eq!(error.line, line, "{text:?}");
        }
    }

    #[test]
    fn an_owner_without_objects_is_forgotten() {
        let (mut inventory, owner) = (Inventory::default(), Owner::new("shop", "web"));
        inventory.put(&owner, &deployment("web"), record(None), 1);
        inventory.remove(&owner, &deployment("web"));
        assert!(inventory.is_empty());
    }
}
