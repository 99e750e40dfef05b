//! Every commit of this group on the branch was recorded first; what counts as published was there, and what
//! counts as lost was not.

use std::collections::BTreeMap;

use qonnect_core::knowledge::{Answer, Change, Outcome};

use crate::world::World;

pub(crate) fn check(world: &World) -> Result<(), String> {
    let ever = world.git.ever();
    let mut recorded = BTreeMap::new();
    let mut outcomes = BTreeMap::new();
    for entry in &world.group.log {
        match &entry.command.change {
            Change::Intent(intent) if entry.answer == Answer::Done => {
                recorded.insert(intent.id.clone(), (entry.at, intent.commit.clone()));
            }
            Change::Outcome { intent, outcome } if entry.answer == Answer::Done => {
                outcomes.insert(intent.clone(), outcome.clone());
            }
            _ => {}
        }
    }
    for id in &ever {
        let Some(trailers) = world.git.commits[*id].trailers() else { continue };
        if trailers.group != world.group.knowledge.group {
            continue;
        }
        let Some((at, commit)) = recorded.get(&trailers.intent) else {
            return Err(format!("{id} is on the branch, and its intent {} nowhere", trailers.intent));
        };
        let landed = world.git.landings.iter().find(|landing| landing.commit.as_deref() == Some(*id));
        if commit != id || landed.is_some_and(|landing| landing.at < *at) {
            return Err(format!("{id} was published before its intent was recorded for {commit}"));
        }
    }
    for (id, (_, commit)) in &recorded {
        match outcomes.get(id) {
            Some(Outcome::Published) if !ever.contains(commit.as_str()) => {
                return Err(format!("{commit} counts as published and never was"));
            }
            Some(Outcome::Lost | Outcome::Refused(_))
                if ever.contains(commit.as_str()) && !went_back(world) =>
            {
                return Err(format!("{commit} counts as lost or refused, and is on the branch"));
            }
            None => return Err(format!("nobody knows what became of {commit}")),
            _ => {}
        }
    }
    Ok(())
}

/// A server that went back can take a push twice, or late; the branch is restored then.
fn went_back(world: &World) -> bool {
    world.git.landings.iter().any(|landing| landing.meddled)
}
