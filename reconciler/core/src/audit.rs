//! The decisions that the Knowledge Base remembers, held against the deploy branch.

use std::collections::{BTreeMap, BTreeSet};

use qonnect_schema::api::{Decision, DecisionOutcome};

use crate::decision::Trailers;
use crate::knowledge::{Intent, Knowledge, Outcome};

/// A commit of the deploy branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub id: String,
    pub message: String,
}

/// Something on which the Knowledge Base and the branch disagree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    #[error("{commit} counts as published and is not on the branch: it was rewound, or is another one")]
    Missing { commit: String },
    #[error("{commit} counts as {outcome:?} and is on the branch")]
    Unexpected { commit: String, outcome: DecisionOutcome },
    #[error("{commit} is on the branch and its intent {intent} was recorded for {recorded}")]
    OtherCommit { commit: String, intent: String, recorded: String },
    #[error("{commit} is on the branch and its intent {intent} is not known")]
    Unrecorded { commit: String, intent: String },
    #[error("{commit} is on the branch and no lead wrote it")]
    Foreign { commit: String },
    #[error("{commit} has epoch {epoch}, and {below} below it has {higher}")]
    EpochFell { commit: String, epoch: String, below: String, higher: String },
}

/// What readers are shown of each intent, the newest last.
pub fn decisions(knowledge: &Knowledge) -> Vec<Decision> {
    let view = |intent: &Intent| Decision {
        intent: intent.id.clone(),
        epoch: intent.epoch,
        revision: intent.revision.clone(),
        kb_index: intent.kb_index,
        base: intent.base.clone(),
        commit: intent.commit.clone(),
        subject: intent.message.lines().next().unwrap_or_default().into(),
        outcome: match &intent.outcome {
            Outcome::Unknown => DecisionOutcome::Unknown,
            Outcome::Published => DecisionOutcome::Published,
            Outcome::Lost => DecisionOutcome::Lost,
            Outcome::Refused(why) => DecisionOutcome::Refused(why.clone()),
        },
    };
    knowledge.intents.iter().map(|intent| view(intent)).collect()
}

/// Compares; `history` begins with the tip. What is older than the oldest decision is judged by its epochs alone.
pub fn audit(decisions: &[Decision], history: &[Commit]) -> Vec<Finding> {
    let on_branch: BTreeSet<&str> = history.iter().map(|commit| commit.id.as_str()).collect();
    let known: BTreeMap<&str, &Decision> =
        decisions.iter().map(|decision| (decision.intent.as_str(), decision)).collect();
    let mut findings = Vec::new();
    for Decision { commit, outcome, .. } in decisions {
        match (outcome, on_branch.contains(commit.as_str())) {
            (DecisionOutcome::Published, false) => findings.push(Finding::Missing { commit: commit.clone() }),
            (DecisionOutcome::Lost | DecisionOutcome::Refused(_), true) => {
                findings.push(Finding::Unexpected { commit: commit.clone(), outcome: outcome.clone() });
            }
            _ => {}
        }
    }
    let remembered: BTreeSet<&str> = decisions.iter().map(|decision| decision.commit.as_str()).collect();
    let oldest = history.iter().rposition(|commit| remembered.contains(commit.id.as_str()));
    for (at, commit) in history.iter().enumerate() {
        let id = commit.id.clone();
        let recent = oldest.is_some_and(|oldest| at <= oldest);
        match Trailers::parse(&commit.message) {
            None if recent => findings.push(Finding::Foreign { commit: id }),
            Some(Trailers { intent, .. }) if recent => match known.get(intent.as_str()) {
                None => findings.push(Finding::Unrecorded { commit: id, intent }),
                Some(decision) if decision.commit != id => {
                    let recorded = decision.commit.clone();
                    findings.push(Finding::OtherCommit { commit: id, intent, recorded });
                }
                Some(_) => {}
            },
            _ => {}
        }
    }
    let epochs: Vec<_> = history
        .iter()
        .filter_map(|commit| Some((&commit.id, Trailers::parse(&commit.message)?.epoch)))
        .collect();
    findings.extend(epochs.windows(2).filter(|pair| pair[0].1 < pair[1].1).map(|pair| Finding::EpochFell {
        commit: pair[0].0.clone(),
        epoch: pair[0].1.to_string(),
        below: pair[1].0.clone(),
        higher: pair[1].1.to_string(),
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use qonnect_schema::Epoch;

    fn decision(number: u64, term: u64, outcome: DecisionOutcome) -> Decision {
        Decision {
            intent: format!("i{number}"),
            epoch: Epoch { era: 0, term, node: 1 },
            revision: "r".into(),
            kb_index: number,
            base: None,
            commit: format!("c{number}"),
            subject: "place".into(),
            outcome,
        }
    }

    fn commit(id: &str, intent: &str, term: u64) -> Commit {
        let epoch = Epoch { era: 0, term, node: 1 };
        let (group, revision, intent) = ("g".into(), String::new(), intent.into());
        let trailers = Trailers { epoch, group, revision, kb_index: 1, intent };
        Commit { id: id.into(), message: format!("place\n\n{trailers}") }
    }

    #[test]
    fn a_branch_that_holds_what_was_published_is_in_order() {
        use DecisionOutcome::{Lost, Published};
        let decisions = [decision(2, 1, Published), decision(3, 1, Lost), decision(4, 2, Published)];
        // Older than what the Knowledge Base remembers: nothing to compare with.
        let forgotten = Commit { id: "c0".into(), message: "by hand".into() };
        let history = [commit("c4", "i4", 2), commit("c2", "i2", 1), commit("c1", "i1", 1), forgotten];
        assert_eq!(audit(&decisions, &history), []);
    }

    #[test]
    fn every_disagreement_is_named() {
        use DecisionOutcome::{Lost, Published};
        let decisions = [decision(1, 1, Published), decision(2, 2, Published), decision(3, 2, Lost)];
        let foreign = Commit { id: "x".into(), message: "by hand".into() };
        let history = [
            commit("c9", "i9", 1),
            foreign,
            commit("c3", "i3", 2),
            commit("other", "i2", 2),
            commit("c1", "i1", 1),
        ];
        let findings = audit(&decisions, &history);
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        for part in [
            "c2 counts as published",
            "c3 counts as Lost",
            "c9 is on the branch and its intent i9",
            "x is on the branch and no lead",
            "recorded for c2",
            "c9 has epoch 0.1.1, and c3 below it has 0.2.1",
        ] {
            assert!(text.iter().any(|line| line.contains(part)), "{part} is missing in {text:#?}");
        }
        assert_eq!(findings.len(), 6);
    }
}
