//! The pure core of the leads: what they decide, free of I/O, clocks, randomness and `HashMap`.
//!
//! ```text
//! Revision + Snapshot ─▶ placement::plan ─▶ rollout ─▶ render ─▶ decision::decide ─▶ a draft of a commit
//! Command ─▶ knowledge::Knowledge::apply                     Event ─▶ lead::Lead::step ─▶ Effects
//! ```

pub mod forge;
pub mod hold;

pub mod placement;

pub mod rollout;

pub mod render;

pub mod decision;

pub mod knowledge;

pub mod review;

pub mod lead;

pub mod audit;
