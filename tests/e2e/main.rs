//! The wiring: real processes, real API servers, pushes by ordinary git.

#![expect(clippy::unwrap_used, reason = "a case that panics has failed")]

mod bookinfo;
mod guards;
mod moves;
mod refusals;
mod story;

mod failover;
mod faults;
mod fleet;
