//! What always holds.

#![expect(clippy::unwrap_used, reason = "a case that panics has failed")]

mod agent;
mod fencing;
mod placement;
mod validate;
mod yaml;
