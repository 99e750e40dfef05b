//! Extended resources such as GPUs: counted like CPU and memory once a component asks for them.

use qonnect_schema::documents::snapshot::Resources;

use super::member::{Amounts, NATIVE, RESOURCES};

/// How many kinds all components of a fleet together may ask for: room for so many is kept with each pod and node,
/// and few fleets have more than GPUs of two makers.
const KINDS_MAX: usize = RESOURCES - NATIVE;

/// More than any node has: what asks for a kind too many fits nowhere, and says so.
pub(super) const NEVER: u64 = u64::MAX;

/// The kinds that are asked for, in the order in which they were met.
#[derive(Debug, Clone, Default)]
pub(super) struct Extended {
    names: Vec<String>,
}

impl Extended {
    /// Takes in what pods ask for; true if a kind is new and counts from now on.
    pub(super) fn meet(&mut self, asked: &Resources) -> bool {
        let known = self.names.len();
        for name in asked.extended.keys() {
            if self.names.len() < KINDS_MAX && !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        self.names.len() > known
    }

    /// Whether a node has some of what was met last.
    pub(super) fn is_offered(&self, offered: &Resources) -> bool {
        self.names.iter().any(|name| offered.extended.contains_key(name))
    }

    /// What a node has or others take of it.
    pub(super) fn offered(&self, resources: &Resources) -> Amounts {
        let mut amounts = [0; RESOURCES];
        amounts[0] = resources.cpu.0;
        amounts[1] = resources.memory.0;
        amounts[2] = resources.storage.0;
        amounts[3] = u64::from(resources.pods);
        for (at, name) in self.names.iter().enumerate() {
            amounts[NATIVE + at] = resources.extended.get(name).copied().unwrap_or(0);
        }
        amounts
    }

    /// What a pod asks for.
    pub(super) fn asked(&self, resources: &Resources) -> Amounts {
        let mut amounts = self.offered(resources);
        if resources.extended.keys().any(|name| !self.names.contains(name)) {
            amounts[RESOURCES - 1] = NEVER;
        }
        amounts
    }

    /// What people call a resource.
    pub(super) fn name(&self, resource: usize) -> &str {
        match resource {
            0 => "CPU",
            1 => "memory",
            2 => "storage",
            3 => "pod",
            _ => self.names.get(resource - NATIVE).map_or("of another kind", String::as_str),
        }
    }
}

/// Said of a component that asks for one kind too many.
pub(super) fn too_many() -> String {
    format!(
        "all components together may ask for {KINDS_MAX} kinds of extended resources, this asks for another"
    )
}
