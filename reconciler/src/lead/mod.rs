//! A lead agent: watches the spec branch, decides, commits back.
//!
//! ```text
//! spec thread ─▶ ┐                       ┌ ─▶ deploy thread (read, write, push)
//! consensus   ─▶ ├ events ─▶ core ─▶ effects ┼ ─▶ proposals, in order
//! clocks      ─▶ ┘  (thread `lead`)      └ ─▶ the revision that the API shows
//! ```

mod run;
pub use run::{Lead, start};

pub mod config;
pub use config::Config;

mod effects;

mod trace;

mod shown;
mod spec;

mod deploy;

mod review;

pub mod relay;

mod propose;

mod watch;

pub mod liveness;

mod notes;
