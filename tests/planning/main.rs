//! Decisions: a scenario in, a readable plan out.

#![expect(clippy::unwrap_used, reason = "a case that panics has failed")]

mod bad_cases;
mod bonds;
mod borda;
mod capacity;
mod differences;
mod filters;
mod limits;
mod maintenance;
mod moves;
mod objective;
mod optima;
mod parts;
mod priority;
mod reserve;
mod rollout_bookinfo;
mod scenario;
mod sources;
mod traffic;
mod what_if;
