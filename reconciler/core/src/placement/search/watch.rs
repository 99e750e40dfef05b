//! What is different since a component was tried last, so that nobody asks the same question twice.

use super::super::state::State;

/// Where a component has to look.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Look<'w> {
    Everywhere,
    /// Only these clusters have more room than when it looked last, in their order.
    At(&'w [u32]),
    /// Only clusters have more room that something has left after so many moves.
    Since(&'w [usize], usize),
}

impl Look<'_> {
    /// Whether there may be something new on a cluster.
    #[inline]
    pub(in super::super) fn sees(&self, member: usize) -> bool {
        match self {
            Look::Everywhere => true,
            Look::At(members) => members.binary_search(&(member as u32)).is_ok(),
            Look::Since(left, tried) => left[member] > *tried,
        }
    }
}

/// From so many clusters on, looking at all of them in a row is faster.
const FEW_MAX: usize = 32;

#[derive(Debug)]
pub(super) struct Watch {
    /// For each component, how many moves there had been when it looked and found nothing.
    tried: Vec<Option<usize>>,
    /// For each cluster, after how many moves something had left it for the last time.
    left: Vec<usize>,
    /// How many moves have been looked at for that.
    seen: usize,
    few: Vec<u32>,
}

impl Watch {
    pub(super) fn new(state: &State<'_>) -> Self {
        let (items, members) = (state.problem.items.len(), state.problem.members.len());
        let seen = state.solution.moves();
        Self { tried: vec![None; items], left: vec![0; members], seen, few: Vec::new() }
    }

    /// Where there may be something new for a component, which looks there now; `None` if nowhere. Whatever moves
    /// from now on it may not have seen.
    pub(super) fn look(&mut self, state: &State<'_>, item: usize) -> Option<Look<'_>> {
        // Nobody takes back what was there before he looked, so that what has been seen stays.
        let moves = state.solution.moves();
        for (at, from) in (self.seen..).zip(state.solution.sources_since(self.seen)) {
            if let Some(from) = from {
                self.left[from] = at + 1;
            }
        }
        self.seen = moves;
        let Some(tried) = self.tried[item].replace(moves) else { return Some(Look::Everywhere) };
        self.few.clear();
        self.few
            .extend(state.solution.sources_since(tried).flatten().take(FEW_MAX + 1).map(|from| from as u32));
        if self.few.len() > FEW_MAX {
            return Some(Look::Since(&self.left, tried));
        }
        self.few.sort_unstable();
        self.few.dedup();
        (!self.few.is_empty()).then_some(Look::At(&self.few))
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
