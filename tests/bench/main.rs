//! The figures: what the parts and the whole loop take, measured on this machine.
//!
//! `ONLY=pattern` measures the figures whose names contain the pattern.

mod agents;
mod applies;
mod crowd;
mod elections;
mod failover;
mod figures;
mod fleet;
mod gaps;
mod knowledge;
mod loops;
mod nine;
mod noise;
mod planning;
mod pushes;
mod scale;
mod validation;

use figures::Figures;

fn main() {
    let mut figures = Figures::new();
    validation::measure(&mut figures);
    planning::measure(&mut figures);
    gaps::measure(&mut figures);
    pushes::measure(&mut figures);
    agents::measure(&mut figures);
    applies::measure(&mut figures);
    nine::measure(&mut figures);
    knowledge::measure(&mut figures);
    crowd::measure(&mut figures);
    elections::measure(&mut figures);
    failover::measure(&mut figures);
    noise::measure(&mut figures);
    figures.print();
}
