//! Decisions: a scenario in, a readable plan out.

mod borda;
mod filters;
mod moves;
mod objective;
mod rollout_bookinfo;
mod scenario;
