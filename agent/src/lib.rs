//! The small process in each cluster: pulls its release, applies it, keeps it in place, reports.
//!
//! A shell around `qonnect-agent-core`: [`run()`] turns watches, hints and timers into calls of the core, and carries
//! out what the core says is due.

mod run;
pub use run::run;

mod sync;

mod ask;
pub use ask::{check, diff};

mod cluster;
mod facts;
mod measuring;

mod repository;

mod disk;

mod connection;
mod lease;
mod uplink;

mod metrics;
mod probes;

mod backoff;

mod memory;
pub use memory::tune as tune_memory;

mod config;
pub use config::{Config, Error as ConfigError, Measure, Overrides, Repository, load};
pub use measuring::Power;
