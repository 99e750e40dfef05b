//! Instances that are like others: the same under other names, or with one thing otherwise.

use super::{Instance, Site};
use crate::dice::Dice;

impl Instance {
    /// The same with clusters and applications in another order, which changes no sum but the way of a search.
    pub fn renamed(&self, dice: &mut Dice) -> Self {
        let (clusters, apps) = (dice.shuffled(self.clusters.len()), dice.shuffled(self.apps.len()));
        let mut renamed = self.clone();
        renamed.clusters = clusters.iter().map(|at| self.clusters[*at].clone()).collect();
        renamed.apps = apps.iter().map(|at| self.apps[*at].clone()).collect();
        for part in renamed.apps.iter_mut().flat_map(|app| &mut app.components) {
            part.home = part.home.and_then(|home| clusters.iter().position(|at| *at == home));
        }
        renamed
    }

    /// One thing otherwise: the room, the price or the energy of a cluster, a weight, a size, a limit, or where
    /// something runs.
    pub fn mutated(&self, dice: &mut Dice) -> Self {
        let mut mutated = self.clone();
        // Between half and twice as much.
        let mut scale = |number: u64| (number * (50 + dice.roll(150)) / 100).max(1);
        let factor = scale(100);
        let by = |number: u64| (number * factor / 100).max(1);
        let at = dice.pick(self.clusters.len());
        let Site { milli, mebi, price_milli, energy_micro, .. } = &mut mutated.clusters[at];
        let app_at = dice.pick(self.apps.len());
        let app = &mut mutated.apps[app_at];
        let part_at = dice.pick(app.components.len());
        let part = &mut app.components[part_at];
        match dice.pick(8) {
            0 => *milli = by(*milli),
            1 => *mebi = by(*mebi),
            2 => *price_milli = by(*price_milli),
            3 => *energy_micro = by(*energy_micro),
            4 => app.weights[dice.pick(3)] = 1 + dice.roll(10) as u32,
            5 => part.milli = by(part.milli),
            6 => part.mebi = by(part.mebi),
            _ => part.home = None,
        }
        mutated
    }
}
