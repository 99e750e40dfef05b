//! The small process in each cluster: pulls its release, applies it, keeps it in place, reports.
//!
//! A shell around `qonnect-agent-core`: [`run()`] turns watches, hints and timers into calls of the core, and carries
//! out what the core says is due.

mod run;
pub use run::run;

mod sync;

mod cluster;
mod facts;

mod repository;

mod disk;

mod outbox;
mod uplink;

mod backoff;

mod config;
pub use config::{Config, Error as ConfigError, Overrides, Repository, load};
