//! The wiring: real processes, real API servers, pushes by ordinary git.

mod bookinfo;
mod guards;
mod refusals;

mod faults;
mod fleet;
