//! All components of a small plan at once: single ones, pairs and groups go elsewhere in the [`Model`], at first also where
//! they add more or break something, and less and less of that.
//!
//! What is tried is counted, and what looks like chance follows from a fixed seed.

use super::super::state::State;
use super::dice::Dice;
use super::model::{Cost, Layout, Model};
use super::neighbourhood::{lost, sum};
use super::place;

/// How many changes are tried for each component: some milliseconds for all of a small plan. And at leisure.
pub(super) const STEPS_EACH: usize = 4_000;
pub(super) const STEPS_OF_LONG: usize = 100 * STEPS_EACH;

/// How much worse a step may be at first, in what a component adds on the mean.
const SLACK: i64 = 4;

/// How many components go to one cluster in one step.
const GROUP_MAX: usize = 8;

/// Looks for a better placement of components that all of them may change; true if one was found.
pub(super) fn all(state: &mut State<'_>, free: &[usize], steps_each: usize, dice: &mut Dice) -> bool {
    let moves = state.solution.moves();
    let (before, lost_before) = (sum(state, free), lost(state, free));
    let start: Vec<Option<usize>> = free.iter().map(|item| state.place(*item)).collect();
    free.iter().for_each(|item| state.put(*item, None));
    let found = Model::new(state, free).and_then(|model| {
        let start = model.choosers.iter().zip(&start).map(|(chooser, start)| chooser.like(*start)).collect();
        anneal(&model, start, model.choosers.len() * steps_each, dice)
    });
    if let Some(found) = found {
        let mut left = Vec::new();
        for (item, member) in free.iter().zip(found) {
            match state.can(*item, member as usize) {
                true => state.put(*item, Some(member as usize)),
                false => left.push(*item),
            }
        }
        left.into_iter().for_each(|item| place::one(state, item));
        let now = lost(state, free);
        if now < lost_before || (now == lost_before && sum(state, free) < before) {
            return true;
        }
    }
    state.back_to(moves);
    false
}

/// The best possible placement that was come by.
fn anneal(model: &Model, start: Vec<u32>, steps: usize, dice: &mut Dice) -> Option<Vec<u32>> {
    let count = model.choosers.len();
    let mut layout = Layout::new(model, start);
    let usual = layout.cost.adds / count.max(1) as i64;
    let mut harm = Harm::new(usual);
    let mut best = (layout.cost.breaks == 0).then(|| (layout.cost.adds, layout.at.clone()));
    for step in 0..steps {
        let part = (steps - step) as f64 / steps as f64;
        let slack = (usual * SLACK) as f64 * part * part * part * part;
        let within = dice.roll(slack as usize + 1) as i64;
        let worse = |change: Cost| harm.of(change) > within;
        let number = dice.roll(count);
        let chooser = &model.choosers[number];
        let anywhere = |dice: &mut Dice| chooser.members[dice.roll(chooser.members.len())];
        match dice.roll(8) {
            0..4 => one(&mut layout, (number, anywhere(dice)), worse),
            4 | 5 if !chooser.pairs.is_empty() => {
                let to = layout.at[chooser.pairs[dice.roll(chooser.pairs.len())].other];
                one(&mut layout, (number, to), worse);
            }
            6 => {
                let other = dice.roll(count);
                let (here, there) = (layout.at[number], layout.at[other]);
                several(&mut layout, &[(number, there), (other, here)], worse);
            }
            _ => {
                let to = anywhere(dice);
                let group = group(model, &layout, number, 2 + dice.roll(GROUP_MAX - 1), dice);
                let moves: Vec<_> = group.into_iter().map(|number| (number, to)).collect();
                several(&mut layout, &moves, worse);
            }
        }
        harm.season(layout.cost.breaks == 0);
        let better = best.as_ref().is_none_or(|(least, _)| layout.cost.adds < *least);
        if layout.cost.breaks == 0 && better {
            best = Some((layout.cost.adds, layout.at.clone()));
        }
    }
    best.map(|(_, at)| at)
}

/// What it counts to break something: so much that about half of the steps end on either side of what is possible.
struct Harm {
    /// As much as a component adds on the mean, for a thousand.
    usual: i64,
    now: i64,
    possible: usize,
    steps: usize,
}

impl Harm {
    /// How many steps it is looked at before it changes, by which part, and by how much altogether.
    const SEASON: usize = 256;
    const PART: i64 = 16;
    const LESS_MAX: i64 = 8;
    const MORE_MAX: i64 = 16;

    fn new(mean: i64) -> Self {
        let usual = mean / 1000 + 1;
        Self { usual, now: usual, possible: 0, steps: 0 }
    }

    fn of(&self, change: Cost) -> i64 {
        change.adds.saturating_add(change.breaks.saturating_mul(self.now))
    }

    fn season(&mut self, possible: bool) {
        (self.steps, self.possible) = (self.steps + 1, self.possible + usize::from(possible));
        if self.steps == Self::SEASON {
            let part = self.now / Self::PART + 1;
            let next = if self.possible > Self::SEASON / 2 { self.now - part } else { self.now + part };
            self.now = next.clamp(self.usual / Self::LESS_MAX, self.usual * Self::MORE_MAX);
            (self.steps, self.possible) = (0, 0);
        }
    }
}

fn one(layout: &mut Layout<'_>, (number, to): (usize, u32), worse: impl Fn(Cost) -> bool) {
    if layout.at[number] == to || !layout.admits(number, to) {
        return;
    }
    let change = layout.weigh(number, to);
    if !worse(change) {
        layout.put(number, to, change);
    }
}

/// All of them or none.
fn several(layout: &mut Layout<'_>, moves: &[(usize, u32)], worse: impl Fn(Cost) -> bool) {
    if moves.iter().any(|(number, to)| !layout.admits(*number, *to)) {
        return;
    }
    let mut sum = Cost::default();
    let mut back = Vec::with_capacity(moves.len());
    for (number, to) in moves {
        let change = layout.weigh(*number, *to);
        back.push((*number, layout.at[*number], change));
        sum = sum.plus(change);
        layout.put(*number, *to, change);
    }
    if worse(sum) {
        for (number, from, change) in back.into_iter().rev() {
            layout.put(number, from, Cost::default().minus(change));
        }
    }
}

/// A component and neighbours that are on the same cluster.
fn group(model: &Model, layout: &Layout<'_>, first: usize, most: usize, dice: &mut Dice) -> Vec<usize> {
    let mut group = vec![first];
    let mut next = 0;
    while let Some(number) = group.get(next).copied().filter(|_| group.len() < most) {
        let pairs = &model.choosers[number].pairs;
        let start = dice.roll(pairs.len());
        for at in 0..pairs.len() {
            let other = pairs[(start + at) % pairs.len()].other;
            if group.len() < most && layout.at[other] == layout.at[first] && !group.contains(&other) {
                group.push(other);
            }
        }
        next += 1;
    }
    group
}
