//! Some of all clusters, in their order, each of which is found at once.

use std::ops::Deref;

/// Positions of clusters, the least first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Roster {
    members: Vec<u32>,
    /// By 64 clusters: which of them are in it, and how many come before.
    blocks: Vec<(u64, u32)>,
}

impl Roster {
    /// *Assumptions:* they come in their order, each once.
    pub(super) fn new(members: Vec<u32>) -> Self {
        let mut roster = Self { members, blocks: Vec::new() };
        roster.count();
        roster
    }

    /// Where a cluster stands in it.
    #[inline]
    pub(super) fn position(&self, member: usize) -> Option<usize> {
        let (those, before) = *self.blocks.get(member / 64)?;
        let bit = 1u64 << (member % 64);
        (those & bit != 0).then(|| before as usize + (those & (bit - 1)).count_ones() as usize)
    }

    /// Where a cluster stands in it now.
    pub(super) fn enter(&mut self, member: usize) -> usize {
        let member = member as u32;
        let at = self.members.partition_point(|known| *known < member);
        if self.members.get(at) != Some(&member) {
            self.members.insert(at, member);
            self.count();
        }
        at
    }

    /// Where a cluster stood in it.
    pub(super) fn leave(&mut self, member: usize) -> Option<usize> {
        let at = self.position(member)?;
        self.members.remove(at);
        self.count();
        Some(at)
    }

    fn count(&mut self) {
        self.blocks.clear();
        self.blocks.resize(self.members.last().map_or(0, |last| *last as usize / 64 + 1), (0, 0));
        for member in &self.members {
            self.blocks[*member as usize / 64].0 |= 1 << (member % 64);
        }
        let mut before = 0;
        for (those, at) in &mut self.blocks {
            *at = before;
            before += those.count_ones();
        }
    }
}

impl Deref for Roster {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_where_it_stands() {
        let mut roster = Roster::new(vec![0, 3, 63, 64, 200]);
        let all = |roster: &Roster| (0..300).filter_map(|at| roster.position(at)).collect::<Vec<_>>();
        assert_eq!(all(&roster), [0, 1, 2, 3, 4]);
        assert_eq!(roster.position(64), Some(3));
        assert_eq!((roster.position(65), roster.position(1000)), (None, None));
        assert_eq!((roster.enter(250), roster.enter(3), roster.enter(1)), (5, 1, 1));
        assert_eq!(*roster, [0, 1, 3, 63, 64, 200, 250]);
        assert_eq!((roster.leave(250), roster.leave(64), roster.leave(65)), (Some(6), Some(4), None));
        assert_eq!(*roster, [0, 1, 3, 63, 200]);
        assert_eq!(all(&roster), [0, 1, 2, 3, 4]);
    }
}
