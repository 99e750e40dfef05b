//! What in the Knowledge Base is a reason to plan again.

use std::sync::Arc;

use qonnect_schema::documents::snapshot::ClusterState;

use crate::knowledge::Knowledge;

/// Whether planning, or a move that is under way, would see something new.
pub(super) fn changed(planned_on: &Knowledge, now: &Knowledge) -> bool {
    if planned_on.brake != now.brake
        || planned_on.approved != now.approved
        || planned_on.proposal != now.proposal
    {
        return true;
    }
    let (old, new) = (&planned_on.clusters, &now.clusters);
    if Arc::ptr_eq(old, new) {
        return false;
    }
    let moving = moving(now);
    let same = |a: &ClusterState, b: &ClusterState| {
        a.status == b.status
            && a.expired == b.expired
            && a.nodes == b.nodes
            && a.measured.round_trips == b.measured.round_trips
            && a.failing == b.failing
            && (!moving || (a.components == b.components && a.release == b.release))
    };
    // An agent that remembers more than we do needs a release above that.
    let outruns = |name: &String, state: &ClusterState| {
        let known = now.releases.get(name).map_or((0, ""), |release| (release.generation, &*release.digest));
        state.mark.outruns(known.0, known.1)
    };
    old.len() != new.len()
        || old
            .iter()
            .zip(&**new)
            .any(|(a, b)| a.0 != b.0 || !(Arc::ptr_eq(a.1, b.1) || (same(a.1, b.1) && !outruns(b.0, b.1))))
}

/// Whether a component moves: then it counts what is Ready, and what is gone.
pub(super) fn moving(knowledge: &Knowledge) -> bool {
    let components = knowledge.placements.values().flat_map(|placement| placement.spec.components.values());
    components.into_iter().any(|component| component.moving.is_some())
}

/// Whether something waits for people.
pub(super) fn waiting(knowledge: &Knowledge) -> bool {
    knowledge.approved.is_some() || knowledge.proposal.is_some()
}

#[cfg(test)]
mod tests {
    use qonnect_schema::documents::measured::Usage;
    use qonnect_schema::units::{Cpu, Latency};

    use super::*;

    #[test]
    fn round_trips_are_a_reason_and_what_nodes_use_is_none() {
        let with = |change: &dyn Fn(&mut ClusterState)| {
            let mut state = ClusterState::default();
            change(&mut state);
            let mut knowledge = Knowledge::default();
            Arc::make_mut(&mut knowledge.clusters).insert("fog".into(), Arc::new(state));
            knowledge
        };
        let before = with(&|_| {});
        let used = with(&|state| {
            let usage = Usage { cpu: Some(Cpu(250)), ..Usage::default() };
            state.measured.usage.insert("worker".into(), usage);
        });
        let farther = with(&|state| {
            state.measured.round_trips.insert("edge".into(), Latency::from_ms(9));
        });
        assert!(!changed(&before, &used));
        assert!(changed(&before, &farther));
    }
}
