//! Where else a component could be, and what it would add there.

use super::field::Field;
use super::glance::Glance;
use super::search::{self, Look};
use super::state::State;

impl State<'_> {
    /// Tells the clusters where it would add less than `below`, as far as filters and dependencies go, in no
    /// order; with `room`, only those that may have some.
    pub(super) fn scan(
        &self,
        item: usize,
        field: &Field,
        below: i64,
        room: bool,
        mut tell: impl FnMut(i64, u32),
    ) {
        self.scan_at(item, field, below, (room, Look::Everywhere), |score, member| {
            tell(score, member);
            below
        });
    }

    /// The same of the clusters that somebody has to look at; who is told says below what he wants to hear more.
    fn scan_at(
        &self,
        item: usize,
        field: &Field,
        mut below: i64,
        (room, look): (bool, Look<'_>),
        mut tell: impl FnMut(i64, u32) -> i64,
    ) {
        let problem = self.problem;
        let facts = &problem.items[item];
        // Where it runs, and where its neighbours are, its score is not that of its site.
        let mut apart = |member: usize| {
            // Asking for room costs less than looking its value up.
            if room && !self.may_take(item, member) {
                return None;
            }
            let score = self.own(item, member)?.saturating_add(field.at(problem, member));
            if score < below {
                below = tell(score, member as u32);
            }
            Some(())
        };
        if let Look::At(members) = look {
            members.iter().for_each(|member| _ = apart(*member as usize));
            return;
        }
        let here = facts.home.into_iter().chain(facts.leaving);
        let mut known: Vec<usize> = here.chain(field.near()).collect();
        known.sort_unstable();
        known.dedup();
        known.iter().filter(|member| look.sees(**member)).for_each(|member| _ = apart(*member));
        if facts.pinned {
            return;
        }
        let moving = self.moving(item);
        let asked = if room { Glance::asked(facts) } else { Glance::default() };
        // Its dependencies take at least so much of what it may add.
        let least = field.least_away();
        let seems_worth = |below: i64| below.saturating_sub(least);
        let mut below = below - moving;
        let room_for = (self.solution.loads.glances(), asked);
        problem.menus.of(facts.menu).tell(seems_worth(below), room_for, look, |member, own| {
            let score = own.saturating_add(field.away(problem, member));
            if score < below {
                let may_fit = || !room || self.may_take(item, member);
                let barred = || problem.barred(item, member) || field.bars(problem, member);
                if may_fit() && known.binary_search(&member).is_err() && !barred() {
                    below = tell(score + moving, member as u32) - moving;
                }
            }
            seems_worth(below)
        });
    }

    /// What [`Self::scan`] tells.
    pub(super) fn candidates(&self, item: usize, field: &Field, below: i64, room: bool) -> Vec<(i64, u32)> {
        let menu = self.problem.menus.of(self.problem.items[item].menu);
        let mut found = Vec::with_capacity(menu.members.len());
        self.scan(item, field, below, room, |score, member| found.push((score, member)));
        found
    }

    /// The first of what [`Self::scan`] tells of those that may have room, the best first.
    pub(super) fn few(
        &self,
        item: usize,
        field: &Field,
        below: i64,
        look: Look<'_>,
        most: usize,
    ) -> Vec<(i64, u32)> {
        let mut few: Vec<(i64, u32)> = Vec::with_capacity(most + 1);
        self.scan_at(item, field, below, (true, look), |score, member| {
            let found = (score, member);
            if few.len() < most || few.last().is_some_and(|last| found < *last) {
                few.insert(few.partition_point(|known| *known < found), found);
                few.truncate(most);
            }
            // Of those that tie the first counts, which may come later.
            few.get(most - 1).map_or(below, |last| below.min(last.0.saturating_add(1)))
        });
        few
    }

    /// The best cluster to look at that can take the component now, where it would add less than `below`.
    pub(super) fn best(&mut self, item: usize, field: &Field, below: i64, look: Look<'_>) -> Option<usize> {
        // Most often one of the first will do.
        const LOOKS_MAX: usize = 4;
        let few = self.few(item, field, below, look, LOOKS_MAX);
        for (_, member) in &few {
            if self.can(item, *member as usize) {
                return Some(*member as usize);
            }
        }
        let last = few.get(LOOKS_MAX - 1)?;
        let mut rest = Vec::new();
        self.scan_at(item, field, below, (true, look), |score, member| {
            if (score, member) > *last {
                rest.push((score, member));
            }
            below
        });
        search::best_first(rest).map(|(_, member)| member).find(|member| self.can(item, *member))
    }
}
