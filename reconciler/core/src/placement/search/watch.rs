//! What is different since a component was tried last, so that nobody asks the same question twice.

use super::super::state::State;

/// Where a component has to look.
#[derive(Debug)]
pub(super) enum Look {
    Everywhere,
    /// Only these clusters have more room than when it looked last.
    At(Vec<usize>),
}

/// From so many clusters on, looking at all of them in a row is faster.
const FEW_MAX: usize = 32;

/// For each component, how many moves there had been when it looked and found nothing.
#[derive(Debug)]
pub(super) struct Watch {
    tried: Vec<Option<usize>>,
}

impl Watch {
    pub(super) fn new(state: &State<'_>) -> Self {
        Self { tried: vec![None; state.problem.items.len()] }
    }

    /// Where there may be something new for a component; `None` if nowhere.
    pub(super) fn look(&self, state: &State<'_>, item: usize) -> Option<Look> {
        let Some(tried) = self.tried[item] else { return Some(Look::Everywhere) };
        let mut left: Vec<usize> = state.solution.left_since(tried).take(FEW_MAX + 1).collect();
        if left.len() > FEW_MAX {
            return Some(Look::Everywhere);
        }
        left.sort_unstable();
        left.dedup();
        (!left.is_empty()).then_some(Look::At(left))
    }

    /// It looked, after so many moves; what came later it may not have seen.
    pub(super) fn looked(&mut self, item: usize, moves: usize) {
        self.tried[item] = Some(moves);
    }

    /// Who moved since then, and their neighbours, look everywhere again.
    pub(super) fn stir(&mut self, state: &State<'_>, moves: usize) {
        for item in state.solution.moved_since(moves) {
            let facts = &state.problem.items[item];
            self.tried[item] = None;
            facts.calls.iter().for_each(|call| self.tried[call.other] = None);
            facts.bonds.iter().for_each(|bond| self.tried[bond.other] = None);
        }
    }
}
