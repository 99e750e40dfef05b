//! What a cluster agent decides, free of I/O and clocks.
//!
//! A folder of the deploy branch becomes a [`release::Verified`] or a refusal; [`state::State`] holds it against
//! what the cluster shows and says what to apply, what to delete, and what to report.

pub mod order;
pub mod release;

pub mod account;
pub mod allow;
pub mod conflict;
pub mod drift;
pub mod immutable;
pub mod inventory;
pub mod prune;
pub mod state;

pub mod facts;
pub mod health;
pub mod measured;

pub mod outbox;
