//! Whether the leads agree: their hashes of the Knowledge Base at the newest index that all of them can tell.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use qonnect_schema::api::{LeadView, StateHash};

use super::super::leads::Leads;
use super::super::output;

/// Leads keep the hashes of their newest commands only: under load, two that are asked one after the other may have
/// none in common.
const TRIES_MAX: usize = 5;

/// A lead that hangs must not keep the others' answers from a person.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What each lead that answers says, by name.
type Told = BTreeMap<String, Vec<StateHash>>;

pub(super) struct Agreement {
    told: Told,
    /// Leads that did not answer, and why.
    silent: BTreeMap<String, String>,
}

impl Agreement {
    /// Asks every lead of the group itself, all at the same time.
    pub(super) async fn ask(group: &[LeadView], leads: &Leads) -> Self {
        let mut agreement = Self { told: Told::new(), silent: BTreeMap::new() };
        // A lead that is alone has nobody to agree with.
        let tries = if group.len() > 1 { TRIES_MAX } else { 0 };
        for _ in 0..tries {
            let answers = futures::future::join_all(group.iter().map(async |lead| {
                let hashes = hashes(leads.at(&lead.api)).await;
                (lead.name.clone(), hashes.map_err(|error| format!("{error:#}")))
            }));
            agreement = Self { told: Told::new(), silent: BTreeMap::new() };
            for (name, answer) in answers.await {
                match answer {
                    Ok(hashes) => drop(agreement.told.insert(name, hashes)),
                    Err(why) => drop(agreement.silent.insert(name, why)),
                }
            }
            if agreement.index().is_some() {
                break;
            }
        }
        agreement
    }

    /// The newest index that every lead that answered has a hash of.
    fn index(&self) -> Option<u64> {
        let mut lists = self.told.values();
        let common = lists.next()?.iter().rev().map(|hash| hash.index);
        let others: Vec<_> = lists.collect();
        common.into_iter().find(|index| others.iter().all(|hashes| at(hashes, *index).is_some()))
    }

    /// The hash of a lead there.
    pub(super) fn hash(&self, lead: &str) -> Option<&str> {
        at(self.told.get(lead)?, self.index()?)
    }

    /// Two leads have applied the same log and know different things.
    pub(super) fn is_broken(&self) -> bool {
        let hashes: Vec<_> = self.told.keys().filter_map(|lead| self.hash(lead)).collect();
        hashes.windows(2).any(|pair| pair[0] != pair[1])
    }

    /// What a person should know about it.
    pub(super) fn verdict(&self) -> String {
        let mut lines = match (self.index(), self.is_broken()) {
            (Some(index), true) => {
                let known = self.told.keys().filter_map(|lead| Some((lead, self.hash(lead)?)));
                let each: Vec<_> =
                    known.map(|(lead, hash)| format!("{lead} {}", output::commit(hash))).collect();
                format!(
                    "THE STATES DIFFER at index {index}: {}. Stop the leads that stand alone, move their data folders \
                     away and start them again: they learn from the others. Please report it\n",
                    each.join(", ")
                )
            }
            (Some(index), false) if self.told.len() > 1 => {
                format!("the states of {} agree at index {index}\n", self.names())
            }
            (Some(_), false) => "only one lead answers: there is nothing to compare\n".to_owned(),
            (None, _) if self.told.len() > 1 => format!(
                "the states of {} cannot be compared: one of them is far behind; ask again in a moment\n",
                self.names()
            ),
            (None, _) => String::new(),
        };
        for (name, why) in &self.silent {
            lines += &format!("{name} does not answer: {why}\n");
        }
        lines
    }

    fn names(&self) -> String {
        self.told.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

async fn hashes(lead: Leads) -> anyhow::Result<Vec<StateHash>> {
    let client = lead.client()?;
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, client.list::<StateHash>()).await;
    Ok(answer.context("nothing came within five seconds")??.items)
}

fn at(hashes: &[StateHash], index: u64) -> Option<&str> {
    hashes.iter().rev().find(|hash| hash.index == index).map(|hash| hash.hash.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(leads: &[(&str, &[(u64, &str)])]) -> Agreement {
        let hashes = |list: &[(u64, &str)]| {
            list.iter().map(|(index, hash)| StateHash { index: *index, hash: (*hash).into() }).collect()
        };
        let told = leads.iter().map(|(name, list)| ((*name).to_owned(), hashes(list))).collect();
        Agreement { told, silent: BTreeMap::new() }
    }

    #[test]
    fn leads_are_compared_at_the_newest_index_that_all_have() {
        let agreement = told(&[
            ("a", &[(4, "four"), (5, "five"), (7, "seven")]),
            ("b", &[(4, "four"), (5, "five")]),
            ("c", &[(5, "five"), (7, "seven"), (8, "eight")]),
        ]);
        assert_eq!((agreement.index(), agreement.hash("b")), (Some(5), Some("five")));
        assert!(!agreement.is_broken());
        assert_eq!(agreement.verdict(), "the states of a, b, c agree at index 5\n");
    }

    #[test]
    fn a_lead_that_knows_something_else_is_named() {
        let agreement = told(&[("a", &[(5, "five")]), ("b", &[(5, "other")]), ("c", &[(5, "five")])]);
        assert!(agreement.is_broken());
        let verdict = agreement.verdict();
        assert!(verdict.contains("DIFFER at index 5: a five, b other, c five"), "{verdict}");
    }

    #[test]
    fn nothing_is_said_to_agree_that_was_not_compared() {
        let far = told(&[("a", &[(5, "five")]), ("b", &[(900, "other")])]);
        assert!(far.verdict().contains("cannot be compared"));
        let mut alone = told(&[("a", &[(5, "five")])]);
        alone.silent.insert("b".into(), "it is down".into());
        assert!(alone.verdict().contains("nothing to compare\nb does not answer: it is down\n"));
    }
}
