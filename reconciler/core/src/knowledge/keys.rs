//! The keys of the newest commands: a command that is proposed again, because its proposer did not hear the
//! answer, changes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Answer;

/// Keys in one chunk: what a change copies while readers hold the state.
const CHUNK_KEYS_MAX: usize = 256;

/// 4,096 keys: proposers give up after seconds, in which a fleet of thousands sends some hundred commands.
const CHUNKS_MAX: usize = 16;

/// The newest chunk last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Keys(VecDeque<Arc<BTreeMap<String, Answer>>>);

impl Keys {
    pub(super) fn answer(&self, key: &str) -> Option<&Answer> {
        self.0.iter().rev().find_map(|chunk| chunk.get(key))
    }

    pub(super) fn remember(&mut self, key: &str, answer: &Answer) {
        if self.0.back().is_none_or(|chunk| chunk.len() >= CHUNK_KEYS_MAX) {
            self.0.push_back(Arc::default());
        }
        if self.0.len() > CHUNKS_MAX {
            self.0.pop_front();
        }
        let newest = self.0.back_mut().expect("one was pushed if none was there");
        Arc::make_mut(newest).insert(key.into(), answer.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_keys_are_known_and_their_number_is_bounded() {
        let mut keys = Keys::default();
        for number in 0..20_000 {
            keys.remember(&number.to_string(), &Answer::Done);
        }
        assert_eq!(keys.answer("19999"), Some(&Answer::Done));
        assert_eq!(keys.answer("16200"), Some(&Answer::Done));
        assert_eq!(keys.answer("0"), None);
        assert!(keys.0.iter().map(|chunk| chunk.len()).sum::<usize>() <= CHUNK_KEYS_MAX * CHUNKS_MAX);
    }
}
