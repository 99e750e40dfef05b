//! Simulated clusters behind the Kubernetes API: objects, owners of fields, watches, controllers and nodes, in memory.
//!
//! An agent meets a simulated cluster through a kubeconfig and cannot tell it from a real one, as far as it uses the
//! API. No container runs: pods are bound to nodes that have room and become Ready after a while.
//!
//! ```text
//!  http ──▶ objects ──▶ state ──▶ store ──▶ watch ──▶ http
//!           (fields)      │  ▲
//!                         ▼  │
//!                      controllers
//! ```

mod fleet;

mod config;

mod control;

mod kubeconfig;

mod cluster;

mod http;

mod objects;

mod fields;

mod kinds;

mod selector;

mod status;

mod state;

mod store;

mod ports;

mod controllers;

pub use config::{ClusterConfig, Error as ConfigError, FleetConfig};
pub use control::serve as serve_control;
pub use fleet::{Error, Fleet, Member};

/// The version of Kubernetes whose behaviour is played.
const VERSION: &str = "v1.33.0";
