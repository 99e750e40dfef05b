//! Decisions: a scenario in, a readable plan out.

#![expect(clippy::unwrap_used, reason = "a case that panics has failed")]

mod borda;
mod filters;
mod moves;
mod objective;
mod optima;
mod rollout_bookinfo;
mod scenario;
