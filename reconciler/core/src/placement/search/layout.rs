//! Where all components of a [`Model`] are, and what it would add to have some of them elsewhere.
//!
//! What each would add on each cluster is kept up to date with every move, of which there are few, so that to weigh one,
//! of which there are millions, is to look it up.

use super::super::member::RESOURCES;
use super::super::state::NOWHERE;
use super::model::{BROKEN, Chooser, Cost, Model};

/// How much any excess counts beside its size: a little too much is not possible either.
const FULL: i64 = 300;

#[derive(Debug)]
pub(super) struct Layout<'m> {
    model: &'m Model,
    pub(super) at: Vec<u32>,
    pub(super) cost: Cost,
    /// By component and cluster: what it adds there with all others where they are, room apart.
    field: Vec<Cost>,
    /// By cluster.
    guests: Vec<Vec<usize>>,
    load: Vec<[i64; RESOURCES]>,
    excess: Vec<i64>,
    /// By cluster and resource: what it counts to be above its room by one.
    rates: Vec<[f64; RESOURCES]>,
    /// Where those go that are being weighed.
    going: Vec<Option<u32>>,
}

impl<'m> Layout<'m> {
    /// Each where it is told to be.
    pub(super) fn new(model: &'m Model, at: Vec<u32>) -> Self {
        let (count, clusters) = (at.len(), model.clusters);
        let rates = |room: &[i64; RESOURCES]| room.map(|room| BROKEN as f64 / room.max(1) as f64);
        let mut layout = Self {
            model,
            at,
            cost: Cost::default(),
            field: Vec::with_capacity(count * clusters),
            guests: vec![Vec::new(); clusters],
            load: vec![[0; RESOURCES]; clusters],
            excess: vec![0; clusters],
            rates: model.room.iter().map(rates).collect(),
            going: vec![None; count],
        };
        for (number, chooser) in model.choosers.iter().enumerate() {
            let here = layout.at[number];
            let start = layout.field.len();
            layout.field.extend(chooser.own.iter().map(|adds| Cost { adds: *adds, breaks: 0 }));
            layout.cost.adds += chooser.own[here as usize];
            for pair in &chooser.pairs {
                let there = layout.at[pair.other];
                for (member, sum) in layout.field[start..].iter_mut().enumerate() {
                    *sum = sum.plus(model.pair(pair, member as u32, there));
                }
                if pair.first {
                    layout.cost = layout.cost.plus(model.pair(pair, here, there));
                }
            }
            layout.guests[here as usize].push(number);
            add(model, chooser, here, &mut layout.load[here as usize], 1);
        }
        for member in 0..clusters {
            layout.excess[member] = layout.excess_of(member as u32, &layout.load[member]);
            layout.cost.breaks += layout.excess[member];
        }
        layout
    }

    /// Whether it may choose that cluster.
    pub(super) fn admits(&self, number: usize, to: u32) -> bool {
        self.model.choosers[number].own[to as usize] < NOWHERE
    }

    /// What it adds there with all others where they are, room apart.
    pub(super) fn alone(&self, number: usize, to: u32) -> Cost {
        self.field[number * self.model.clusters + to as usize]
    }

    pub(super) fn guests(&self, member: u32) -> &[usize] {
        &self.guests[member as usize]
    }

    /// What it would change to have some that are on one of two clusters on the other.
    pub(super) fn weigh(&mut self, ends: [u32; 2], moves: &[(usize, u32)]) -> Cost {
        let model = self.model;
        let mut change = Cost::default();
        let mut loads = ends.map(|end| self.load[end as usize]);
        for &(number, to) in moves {
            let (chooser, from) = (&model.choosers[number], self.at[number]);
            change = change.plus(self.alone(number, to)).minus(self.alone(number, from));
            for (end, load) in ends.iter().zip(&mut loads) {
                add(model, chooser, *end, load, if to == *end { 1 } else { -1 });
            }
        }
        if moves.len() > 1 {
            change = change.plus(self.between(moves));
        }
        for (end, load) in ends.iter().zip(&loads) {
            change.breaks += self.excess_of(*end, load) - self.excess[*end as usize];
        }
        change
    }

    /// What the pairs of those who go add beside what each adds that goes alone.
    fn between(&mut self, moves: &[(usize, u32)]) -> Cost {
        let model = self.model;
        let mut sum = Cost::default();
        moves.iter().for_each(|(number, to)| self.going[*number] = Some(*to));
        for &(number, to) in moves {
            let from = self.at[number];
            for pair in model.choosers[number].pairs.iter().filter(|pair| pair.first) {
                let Some(others_to) = self.going[pair.other] else { continue };
                let others_from = self.at[pair.other];
                let (both, none) = (model.pair(pair, to, others_to), model.pair(pair, from, others_from));
                let (one, other) = (model.pair(pair, to, others_from), model.pair(pair, from, others_to));
                sum = sum.plus(both).plus(none).minus(one).minus(other);
            }
        }
        moves.iter().for_each(|(number, _)| self.going[*number] = None);
        sum
    }

    pub(super) fn put(&mut self, moves: &[(usize, u32)], change: Cost) {
        let (model, clusters) = (self.model, self.model.clusters);
        for &(number, to) in moves {
            let chooser = &model.choosers[number];
            let from = std::mem::replace(&mut self.at[number], to);
            for (member, sign) in [(from, -1), (to, 1)] {
                add(model, chooser, member, &mut self.load[member as usize], sign);
                self.excess[member as usize] = self.excess_of(member, &self.load[member as usize]);
            }
            self.guests[from as usize].retain(|guest| *guest != number);
            self.guests[to as usize].push(number);
            for pair in &chooser.pairs {
                let field = &mut self.field[pair.other * clusters..][..clusters];
                for ((sum, now), before) in
                    field.iter_mut().zip(model.row(pair, to)).zip(model.row(pair, from))
                {
                    *sum = sum.plus(now).minus(before);
                }
            }
        }
        self.cost = self.cost.plus(change);
    }

    /// By how much a cluster with that load is above its room.
    fn excess_of(&self, member: u32, load: &[i64; RESOURCES]) -> i64 {
        let (room, rates) = (&self.model.room[member as usize], &self.rates[member as usize]);
        let over = |i: &usize| match load[*i] - room[*i] {
            over if over > 0 => (over as f64 * rates[*i]) as i64 + FULL,
            _ => 0,
        };
        self.model.asked.iter().map(over).sum()
    }
}

/// What a component asks of a cluster, unless its pods are there anyway.
#[inline]
fn add(model: &Model, chooser: &Chooser, member: u32, load: &mut [i64; RESOURCES], sign: i64) {
    if !chooser.sits.contains(&member) {
        model.asked.iter().for_each(|i| load[*i] += sign * chooser.asks[*i]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::dice::Dice;
    use super::*;

    /// Five components in a ring on three clusters, where the neighbours of the first must not be with it.
    fn ring() -> Model {
        let chooser = |number: usize| Chooser {
            members: vec![0, 1, 2],
            own: vec![10, 20 + number as i64, 30],
            asks: std::array::from_fn(|i| if i < 2 { 3 + number as i64 } else { 0 }),
            sits: if number == 1 { vec![2] } else { Vec::new() },
            pairs: Vec::new(),
        };
        let room = vec![[9; RESOURCES]; 3];
        let choosers = (0..5).map(chooser).collect();
        let mut model = Model { choosers, clusters: 3, tables: Vec::new(), room, asked: vec![0, 1] };
        for first in 0..5 {
            model.tie([first, (first + 1) % 5], |here, there| match here == there {
                true if first == 0 => !7,
                true => 0,
                false => 5 + (here * 3 + there) as i64,
            });
        }
        model
    }

    #[test]
    fn what_exchanges_weigh_is_what_they_make_of_the_cost() {
        let (model, mut dice) = (ring(), Dice(1));
        let mut layout = Layout::new(&model, vec![0; 5]);
        assert!(layout.cost.breaks > 0);
        let (mut several, mut both_ways) = (0, 0);
        for _ in 0..1000 {
            let here = dice.roll(3) as u32;
            let there = (here + 1 + dice.roll(2) as u32) % 3;
            let goes = |number: &usize| layout.at[*number] == here || layout.at[*number] == there;
            let mut moves: Vec<_> = (0..5).filter(goes).filter(|_| dice.roll(2) == 0).collect();
            dice.shuffle(&mut moves);
            let other = |number: usize| if layout.at[number] == here { there } else { here };
            let moves: Vec<_> = moves.into_iter().map(|number| (number, other(number))).collect();
            several += usize::from(moves.len() > 1);
            both_ways += usize::from(moves.iter().any(|(_, to)| *to != moves[0].1));
            let change = layout.weigh([here, there], &moves);
            layout.put(&moves, change);
            let anew = Layout::new(&model, layout.at.clone());
            assert_eq!((layout.cost, &layout.field), (anew.cost, &anew.field));
            assert_eq!((&layout.load, &layout.excess), (&anew.load, &anew.excess));
        }
        assert!(several > 100 && both_ways > 50, "{several} and {both_ways}");
    }
}
