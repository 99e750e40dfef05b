//! All components of a small plan at once: single ones, pairs and groups go elsewhere in the [`Model`], at first also where
//! they add more or break something, and less and less of that.
//!
//! What is tried is counted, and what looks like chance follows from a fixed seed.

use super::super::state::State;
use super::dice::Dice;
use super::layout::Layout;
use super::model::{Cost, Model};
use super::neighbourhood::{lost, sum};
use super::place;

/// How many changes are tried for each component: some milliseconds for all of a small plan. And at leisure.
pub(super) const STEPS_EACH: usize = 3_000;
pub(super) const STEPS_OF_LONG: usize = 400_000;

/// How often it halves how much worse a step may be, which at first is as much as a component adds on the mean.
const HALVINGS: usize = 10;

/// How many components go to one cluster in one step.
const GROUP_MAX: usize = 8;

/// Of so many steps one goes to where a neighbour is, two go alone, in four others come back, and the rest are groups.
const WAYS: usize = 11;

const THOUSAND: i64 = 1000;

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
    let (mut most, mut moves) = (0, Vec::new());
    for step in 0..steps {
        if step % Harm::SEASON == 0 {
            most = slack(usual, step, steps);
        }
        let within = most.saturating_mul(seldom_many(dice)) / THOUSAND;
        moves.clear();
        if let Some(ends) = propose(model, &layout, &harm, dice, &mut moves) {
            let change = layout.weigh(ends, &moves);
            if harm.of(change) <= within {
                layout.put(&moves, change);
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

/// How much worse a step may be: it halves at even intervals, and falls evenly in between.
fn slack(usual: i64, step: usize, steps: usize) -> i64 {
    let interval = steps / HALVINGS + 1;
    let at_first = usual >> (step / interval);
    let part = (step % interval) as f64 / interval as f64;
    (at_first as f64 * (1.0 - part / 2.0)) as i64
}

/// In thousandths: half of them are below one, half of the rest below two, and so on.
fn seldom_many(dice: &mut Dice) -> i64 {
    let draw = dice.roll(1 << 32) as u32;
    i64::from(draw.leading_zeros()) * THOUSAND + i64::from(draw & 0xffff) * THOUSAND / 0x10000
}

/// Who goes from one cluster to another, and who from there comes back; the two clusters.
fn propose(
    model: &Model,
    layout: &Layout<'_>,
    harm: &Harm,
    dice: &mut Dice,
    moves: &mut Vec<(usize, u32)>,
) -> Option<[u32; 2]> {
    let number = dice.roll(model.choosers.len());
    let (chooser, from) = (&model.choosers[number], layout.at[number]);
    let way = dice.roll(WAYS);
    let to = match chooser.pairs.as_slice() {
        pairs @ [_, ..] if way == 0 => layout.at[pairs[dice.roll(pairs.len())].other],
        _ => {
            let [one, other] = [(); 2].map(|()| chooser.members[dice.roll(chooser.members.len())]);
            let adds = |member| harm.of(layout.alone(number, member));
            let other_is_less = one == from || (other != from && adds(other) < adds(one));
            if other_is_less { other } else { one }
        }
    };
    if to == from || !layout.admits(number, to) {
        return None;
    }
    moves.push((number, to));
    let back = match way {
        0..3 => 0,
        3..7 => 1 + dice.roll(2),
        _ => {
            join(model, layout, to, 2 + dice.roll(GROUP_MAX - 1), dice, moves);
            dice.roll(moves.len() + 1)
        }
    };
    let guests = layout.guests(to);
    let start = dice.roll(guests.len());
    let ring = (0..guests.len()).map(|at| guests[(start + at) % guests.len()]);
    moves.extend(ring.take(back).filter(|guest| layout.admits(*guest, from)).map(|guest| (guest, from)));
    Some([from, to])
}

/// Neighbours that are on the same cluster go as well.
fn join(
    model: &Model,
    layout: &Layout<'_>,
    to: u32,
    most: usize,
    dice: &mut Dice,
    moves: &mut Vec<(usize, u32)>,
) {
    let from = layout.at[moves[0].0];
    let mut next = 0;
    while let Some((number, _)) = moves.get(next).copied().filter(|_| moves.len() < most) {
        let pairs = &model.choosers[number].pairs;
        let start = dice.roll(pairs.len());
        for at in 0..pairs.len() {
            let other = pairs[(start + at) % pairs.len()].other;
            let may_go = layout.at[other] == from && layout.admits(other, to);
            if may_go && moves.len() < most && moves.iter().all(|(number, _)| *number != other) {
                moves.push((other, to));
            }
        }
        next += 1;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slack_only_falls_and_is_little_at_the_end() {
        const STEPS: usize = 1234;
        let slacks: Vec<i64> = (0..STEPS).map(|step| slack(1_000_000, step, STEPS)).collect();
        assert!(slacks.is_sorted_by(|a, b| a >= b));
        assert_eq!(slacks[0], 1_000_000);
        assert!((1..2000).contains(&slacks[STEPS - 1]), "{}", slacks[STEPS - 1]);
    }

    #[test]
    fn each_further_thousand_is_half_as_frequent() {
        let mut dice = Dice(0);
        let draws: Vec<i64> = (0..10_000).map(|_| seldom_many(&mut dice)).collect();
        for (most, expected) in [(1000, 5000), (2000, 7500), (3000, 8750)] {
            let below = draws.iter().filter(|draw| **draw < most).count() as i64;
            assert!((below - expected).abs() < 200, "{below} below {most}");
        }
    }
}
