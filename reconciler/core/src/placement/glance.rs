//! Room at a glance: so few numbers that those of a thousand clusters stay close to the processor, and enough to tell of
//! most that they are full. Who may have room is asked for it.

use super::item::Item;
use super::member::Amounts;

/// CPU in thousandths and memory in MiB, of all nodes or pods together and the most of one: two numbers of 31 bits to a
/// word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Glance([u64; 2]);

const MIB: u64 = 1 << 20;
/// Above each of the two numbers of a word. What is left has them set, so that taking away what is asked for needs one
/// subtraction for both, and the bit of a number that is too small is gone.
const GUARDS: u64 = 1 << 63 | 1 << 31;

impl Glance {
    /// What nodes have left, rounded up.
    pub(super) fn left(together: &Amounts, widest: &Amounts) -> Self {
        let of = |amounts: &Amounts| GUARDS | word(amounts[0], amounts[1].div_ceil(MIB));
        Self([of(together), of(widest)])
    }

    /// What a component asks for, rounded down.
    pub(super) fn asked(item: &Item) -> Self {
        Self([&item.total, &item.largest].map(|amounts| word(amounts[0], amounts[1] / MIB)))
    }

    /// What two ask for.
    pub(super) fn asked_by_both(a: &Item, b: &Item) -> Self {
        let both = |add: fn(u64, u64) -> u64, a: &Amounts, b: &Amounts| {
            word(add(a[0], b[0]), add(a[1] / MIB, b[1] / MIB))
        };
        Self([both(u64::saturating_add, &a.total, &b.total), both(u64::max, &a.largest, &b.largest)])
    }

    /// Whether so much seems to be left; true wherever it is.
    #[inline]
    pub(super) fn holds(&self, asked: &Self) -> bool {
        (self.0[0] - asked.0[0]) & (self.0[1] - asked.0[1]) & GUARDS == GUARDS
    }
}

fn word(cpu: u64, memory: u64) -> u64 {
    const MOST: u64 = (1 << 31) - 1;
    cpu.min(MOST) << 32 | memory.min(MOST)
}

#[cfg(test)]
mod tests {
    use super::super::extended::Extended;
    use super::super::member::RESOURCES;
    use super::*;

    fn amounts(cpu: u64, memory: u64) -> Amounts {
        let mut amounts = [0; RESOURCES];
        (amounts[0], amounts[1]) = (cpu, memory);
        amounts
    }

    fn asks(cpu: u64, memory: u64) -> Item {
        let pods = amounts(cpu, memory);
        Item { total: pods, largest: pods, ..Item::new(0, 0, 0, &[], &Extended::default()) }
    }

    fn holds(cpu: u64, memory: u64, item: &Item) -> bool {
        Glance::left(&amounts(cpu, memory), &amounts(cpu, memory)).holds(&Glance::asked(item))
    }

    #[test]
    fn what_has_room_never_looks_full() {
        let some = [0, 1, MIB - 1, MIB, MIB + 7, 1 << 31, 1 << 52, u64::MAX];
        for (cpu, memory) in some.iter().flat_map(|cpu| some.map(|memory| (*cpu, memory))) {
            assert!(holds(cpu, memory, &asks(cpu, memory)), "{cpu} {memory}");
            assert!(holds(cpu, u64::MAX, &asks(cpu, memory)), "{cpu} {memory}");
        }
        let both = Glance::asked_by_both(&asks(1000, 3 * MIB + 1), &asks(500, 2 * MIB));
        assert!(Glance::left(&amounts(1500, 5 * MIB + 1), &amounts(1000, 3 * MIB + 1)).holds(&both));
    }

    #[test]
    fn what_is_full_looks_full() {
        assert!(!holds(999, 4 * MIB, &asks(1000, 0)));
        assert!(!holds(4000, MIB + 1, &asks(0, 3 * MIB)));
        assert!(!holds(0, 0, &asks(1, MIB)));
        let both = Glance::asked_by_both(&asks(1000, 0), &asks(500, 0));
        assert!(!Glance::left(&amounts(1499, 0), &amounts(1499, 0)).holds(&both));
    }
}
