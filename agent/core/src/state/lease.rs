//! What runs by a lease: at zero while no lead vouches that it runs nowhere else.

use std::sync::Arc;

use qonnect_schema::layout::LEASED;
use qonnect_schema::manifest::ObjectId;
use serde_json::{Value, json};

use super::State;
use crate::release::{Desired, Verified};

impl State {
    /// Whether anything of the release runs by a lease.
    pub fn is_leased(&self) -> bool {
        let mut wanted = self.release.iter().flat_map(|release| &release.objects);
        !self.stopped.is_empty() || wanted.any(|desired| at_zero(desired).is_some())
    }

    /// A lease begins or ends. True if something has to be applied for that.
    pub fn lease(&mut self, held: bool) -> bool {
        if std::mem::replace(&mut self.vouched, held) == held {
            return false;
        }
        let Some(mut release) = self.release.take() else { return false };
        let mut changed = Vec::new();
        for desired in &mut release.objects {
            let other = match held {
                true => self.stopped.remove(&desired.id),
                false => at_zero(desired),
            };
            if let Some(other) = other {
                let before = std::mem::replace(desired, other);
                changed.push(desired.id.clone());
                self.previous.insert(before.id.clone(), before.body.clone());
                if !held {
                    self.stopped.insert(before.id.clone(), before);
                }
            }
        }
        self.release = Some(release);
        for id in &changed {
            self.troubles.remove(id);
            self.settled.remove(id);
            self.repairs.remove(id);
        }
        !changed.is_empty()
    }

    /// A release as it is to be carried out now.
    pub(super) fn within_leases(&mut self, mut release: Verified) -> Verified {
        self.stopped.clear();
        if !self.vouched {
            for desired in &mut release.objects {
                if let Some(stopped) = at_zero(desired) {
                    let running = std::mem::replace(desired, stopped);
                    self.stopped.insert(running.id.clone(), running);
                }
            }
        }
        release
    }

    pub(super) fn may_run(&self, desired: &Desired) -> bool {
        self.live.contains_key(&desired.id) || self.applied_hash(desired).is_some()
    }

    pub(super) fn is_stopped(&self, id: &ObjectId) -> bool {
        self.stopped.contains_key(id)
    }
}

/// The same at zero, if it runs by a lease and can be scaled.
fn at_zero(desired: &Desired) -> Option<Desired> {
    // Most objects say nothing of the kind: they are not parsed.
    let says = desired.body.windows(LEASED.0.len()).any(|bytes| bytes == LEASED.0.as_bytes());
    if !says || !desired.id.has_replicas() {
        return None;
    }
    let mut object: Value = desired.object();
    let annotation = &object["metadata"]["annotations"][LEASED.0];
    if annotation != LEASED.1 {
        return None;
    }
    object["spec"]["replicas"] = json!(0);
    let body: Arc<[u8]> = serde_json::to_vec(&object).expect("it was JSON before").into();
    Some(Desired { body, hash: format!("{}-stopped", desired.hash).into(), ..desired.clone() })
}
