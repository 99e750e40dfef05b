//! What the Knowledge Base says of planned commits, and what it is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use qonnect_schema::Origin;
use qonnect_schema::api::ReleaseHint;

use super::Effect;
use crate::decision::{self, Draft};
use crate::knowledge::{Change, Intent, Knowledge, Outcome};

pub(super) fn outcome(intent: &str, outcome: Outcome) -> Effect {
    Effect::Propose(Change::Outcome { intent: intent.into(), outcome })
}

pub(super) fn open_intents(knowledge: &Knowledge) -> Vec<&Intent> {
    let intents = knowledge.intents.iter().map(|intent| &**intent);
    intents.filter(|intent| intent.outcome == Outcome::Unknown).collect()
}

pub(super) fn last_published(knowledge: &Knowledge) -> Option<&str> {
    let published = knowledge.intents.iter().rev().find(|intent| intent.outcome == Outcome::Published);
    published.map(|intent| intent.commit.as_str())
}

pub(super) fn blocked(origin: Option<&Origin>) -> Effect {
    Effect::Propose(Change::Blocked { origin: origin.cloned() })
}

/// A Knowledge Base that has never published begins with what the branch says.
pub(super) fn knows_nothing(knowledge: &Knowledge) -> bool {
    knowledge.intents.is_empty() && knowledge.placements.is_empty()
}

pub(super) fn to_intent(draft: &Draft, commit: &str) -> Intent {
    let text = |bytes: &Arc<[u8]>| String::from_utf8_lossy(bytes).into_owned();
    let files = draft.files.iter().map(|(path, bytes)| (path.clone(), bytes.as_ref().map(text)));
    let hint = |release: &decision::NewRelease| ReleaseHint {
        commit: commit.into(),
        generation: release.generation,
        digest: release.digest.clone(),
    };
    let releases: BTreeMap<_, _> =
        draft.releases.iter().map(|(cluster, release)| (cluster.clone(), hint(release))).collect();
    Intent {
        id: draft.intent.clone(),
        epoch: draft.epoch,
        base: draft.base.clone(),
        commit: commit.into(),
        revision: draft.revision.clone(),
        kb_index: draft.kb_index,
        files: files.collect(),
        message: draft.message.clone(),
        time: draft.time,
        placements: draft.placements.clone(),
        releases,
        notes: draft.notes.clone(),
        completes: draft.completes.clone(),
        outcome: Outcome::Unknown,
    }
}
