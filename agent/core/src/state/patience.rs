//! How long an object may be on its way to Ready before that counts as a failure.

use std::collections::BTreeMap;
use std::sync::Arc;

use qonnect_schema::documents::snapshot::Health;
use qonnect_schema::layout::READY_WITHIN;
use qonnect_schema::manifest::ObjectId;
use qonnect_schema::units::Span;

use super::State;
use crate::health::Assessment;
use crate::release::Desired;

/// The reason of what is not Ready in time.
pub(super) const LATE: &str = "NotReadyInTime";

/// What an object says of its time, and how much of it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patience {
    /// Of the object that says so: another one begins anew.
    hash: Arc<str>,
    limit: Span,
    /// Since when it has been on its way; absent while it is not.
    since: Option<u64>,
    late: bool,
}

impl State {
    /// Tells what time it is, by which objects may be late, and returns when the next one will be.
    ///
    /// Time counts while an object is applied and not Ready; after a restart of the agent it counts anew.
    pub fn look_at_clock(&mut self, now: u64) -> Option<u64> {
        let mut all = std::mem::take(&mut self.patience);
        for (id, patience) in &mut all {
            patience.since = self.is_on_its_way(id).then(|| patience.since.unwrap_or(now));
            patience.late = patience.end().is_some_and(|end| end <= now);
        }
        self.patience = all;
        self.patience.values().filter(|patience| !patience.late).filter_map(Patience::end).min()
    }

    fn is_on_its_way(&self, id: &ObjectId) -> bool {
        let Some(desired) = self.desired(id) else { return false };
        let live = self.live.get(id).filter(|live| live.assessment.health == Health::Reconciling);
        live.is_some()
            && self.is_applied(desired)
            && !self.troubles.contains_key(id)
            && !self.is_left_alone(id)
    }

    /// What the objects of a release say of their time.
    pub(super) fn patience_of(&self, objects: &[Desired]) -> BTreeMap<ObjectId, Patience> {
        let said = objects.iter().filter_map(|desired| {
            let before = self.patience.get(&desired.id).filter(|before| before.hash == desired.hash);
            let patience = match before {
                Some(before) => before.clone(),
                None => {
                    Patience { hash: desired.hash.clone(), limit: said(desired)?, since: None, late: false }
                }
            };
            Some((desired.id.clone(), patience))
        });
        said.collect()
    }

    /// The same, or that it takes too long.
    pub(super) fn in_time(&self, id: &ObjectId, assessment: &Assessment) -> Assessment {
        let late = self.patience.get(id).filter(|patience| patience.late);
        match late {
            Some(Patience { limit, .. }) if assessment.health == Health::Reconciling => {
                let message = format!("it was not Ready within {limit}: {}", assessment.message);
                Assessment::stalled(LATE, message)
            }
            _ => assessment.clone(),
        }
    }
}

impl Patience {
    fn end(&self) -> Option<u64> {
        self.since.map(|since| since.saturating_add(self.limit.0))
    }
}

/// Leads have refused what cannot be read; it counts as nothing here.
fn said(desired: &Desired) -> Option<Span> {
    // Most objects say nothing of the kind: they are not parsed.
    let says = desired.body.windows(READY_WITHIN.len()).any(|bytes| bytes == READY_WITHIN.as_bytes());
    if !says {
        return None;
    }
    desired.object()["metadata"]["annotations"][READY_WITHIN].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use qonnect_schema::documents::release::ReleaseSpec;
    use serde_json::{Value, json};

    use super::*;
    use crate::release::{Owner, Verified};
    use crate::state::PodTroubles;

    fn lamp(limit: &str, hash: &str) -> Desired {
        let object = json!({"apiVersion": "example.com/v1", "kind": "Lamp",
            "metadata": {"name": "hall", "namespace": "shop", "annotations": {READY_WITHIN: limit}}});
        Desired {
            id: ObjectId::of(&object).unwrap(),
            owner: Owner::new("shop", "light"),
            api_version: "example.com/v1".into(),
            body: serde_json::to_vec(&object).unwrap().into(),
            hash: hash.into(),
        }
    }

    fn adopt(state: &mut State, generation: u64, object: Desired) {
        let spec = ReleaseSpec {
            generation,
            epoch: Default::default(),
            revision: String::new(),
            order: Vec::new(),
            removals: Vec::new(),
            digest: String::new(),
            decommissioned: false,
        };
        state.adopt(Verified { spec, objects: vec![object] });
    }

    /// Applies what is due and shows it with a condition.
    fn show(state: &mut State, ready: &str, now: u64) {
        let shown = |object: Value| {
            let mut object = object;
            object["status"]["conditions"] =
                json!([{"type": "Ready", "status": ready, "reason": "Bulb", "message": "it is dark"}]);
            object
        };
        for apply in state.to_apply(now).iter().flatten() {
            state.register(&[vec![apply.clone()]]);
            state.applied(apply, &shown(apply.desired.object()), now);
        }
        let desired = state.release().unwrap().objects[0].clone();
        state.observe(&desired.id, &shown(desired.object()));
    }

    fn said(state: &State) -> (Health, String, String) {
        let status = state.components(&PodTroubles::new()).remove(0);
        (status.health, status.reason, status.message)
    }

    #[test]
    fn an_object_that_takes_longer_than_it_says_counts_as_stalled_until_it_is_ready() {
        let mut state = State::default();
        adopt(&mut state, 1, lamp("5s", "1"));
        assert_eq!(state.look_at_clock(0), None, "it is not even applied");
        show(&mut state, "False", 1_000);
        assert_eq!(state.look_at_clock(1_000), Some(6_000));
        assert_eq!(state.look_at_clock(5_999), Some(6_000));
        assert_eq!(said(&state).0, Health::Reconciling);
        assert_eq!(state.look_at_clock(6_000), None);
        let message = "Lamp.example.com shop/hall: it was not Ready within 5s: it is dark".to_string();
        assert_eq!(said(&state), (Health::Stalled, LATE.into(), message));

        show(&mut state, "True", 7_000);
        state.look_at_clock(7_000);
        assert_eq!(said(&state).0, Health::Ready);
        show(&mut state, "False", 8_000);
        assert_eq!(state.look_at_clock(8_000), Some(13_000), "it begins anew");
    }

    #[test]
    fn another_object_begins_anew_and_the_same_one_does_not() {
        let mut state = State::default();
        adopt(&mut state, 1, lamp("5s", "1"));
        show(&mut state, "False", 0);
        state.look_at_clock(0);
        adopt(&mut state, 2, lamp("5s", "1"));
        assert_eq!(state.look_at_clock(4_000), Some(5_000));
        adopt(&mut state, 3, lamp("9s", "2"));
        show(&mut state, "False", 4_500);
        assert_eq!(state.look_at_clock(4_500), Some(13_500));
    }

    #[test]
    fn the_pods_of_what_is_late_tell_why() {
        let mut state = State::default();
        adopt(&mut state, 1, lamp("5s", "1"));
        show(&mut state, "False", 0);
        state.look_at_clock(0);
        state.look_at_clock(5_000);
        let pods =
            PodTroubles::from([(Owner::new("shop", "light"), ("Image".into(), "no such image".into()))]);
        let status = state.components(&pods).remove(0);
        assert_eq!((status.health, status.reason.as_str()), (Health::Stalled, LATE));
        assert!(status.message.ends_with("it is dark; Image: no such image"), "{}", status.message);
    }

    #[test]
    fn what_cannot_be_read_counts_as_nothing() {
        let mut state = State::default();
        adopt(&mut state, 1, lamp("soon", "1"));
        show(&mut state, "False", 0);
        assert_eq!(state.look_at_clock(0), None);
    }
}
