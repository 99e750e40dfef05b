//! What readers saw fits one order of reads and reports that respects when each began and ended.
//!
//! The check is Wing and Gong's, with Lowe's memory of states that were tried: of the calls that no other has
//! preceded, one is taken as the next, and tried on a register for each cluster.

use std::collections::HashSet;

use crate::world::World;
use crate::world::reads::{Operation, Outcome};

/// Calls still to be ordered, as bits, and the value of the register.
type Tried = HashSet<(Vec<u64>, u64)>;

pub(crate) fn check(world: &World) -> Result<(), String> {
    for (cluster, operations) in &world.reads.operations {
        let mut left = vec![true; operations.len()];
        if !fits(operations, &mut left, 0, &mut Tried::new()) {
            return Err(format!("no order explains what was read of {cluster}: {operations:?}"));
        }
    }
    Ok(())
}

fn fits(operations: &[Operation], left: &mut [bool], value: u64, tried: &mut Tried) -> bool {
    let waiting = || operations.iter().enumerate().filter(|(at, _)| left[*at]);
    // Those whose outcome nobody knows need not have happened.
    if waiting().all(|(_, operation)| operation.ended.is_none()) {
        return true;
    }
    let first_end = waiting().filter_map(|(_, operation)| operation.ended).min().unwrap_or(u64::MAX);
    let next: Vec<usize> =
        waiting().filter(|(_, operation)| operation.began <= first_end).map(|(at, _)| at).collect();
    for at in next {
        let Some(after) = operations[at].outcome.apply(value) else { continue };
        left[at] = false;
        let key = (bits(left), after);
        if tried.insert(key) && fits(operations, left, after, tried) {
            return true;
        }
        left[at] = true;
    }
    false
}

fn bits(left: &[bool]) -> Vec<u64> {
    left.chunks(64).map(|chunk| chunk.iter().fold(0, |bits, left| bits << 1 | u64::from(*left))).collect()
}

impl Outcome {
    /// The register after the call, if it can have happened at this value.
    fn apply(&self, value: u64) -> Option<u64> {
        match self {
            // A report replaces what is older, and changes nothing otherwise.
            Self::Wrote(number) => Some(value.max(*number)),
            Self::Read(found) => (*found == value).then_some(value),
        }
    }
}

#[test]
fn a_stale_read_fits_no_order() {
    let operation = |began, ended, outcome| Operation { began, ended: Some(ended), outcome };
    let wrote = |began, ended, number| operation(began, ended, Outcome::Wrote(number));
    let read = |began, ended, number| operation(began, ended, Outcome::Read(number));
    let ok =
        |operations: &[Operation]| fits(operations, &mut vec![true; operations.len()], 0, &mut Tried::new());
    assert!(ok(&[wrote(0, 10, 1), read(5, 8, 0), read(6, 12, 1)]));
    assert!(!ok(&[wrote(0, 10, 1), read(11, 12, 0)]), "the report had ended");
    assert!(!ok(&[wrote(0, 10, 1), read(2, 4, 1), read(5, 6, 0)]), "time goes back");
    let unknown = Operation { began: 0, ended: None, outcome: Outcome::Wrote(2) };
    assert!(ok(&[unknown, read(1, 2, 0), read(3, 4, 2)]));
}
