//! The language of QONNECT: every document that crosses git, the wire or a disk.
//!
//! People write [`Application`], [`Cluster`], [`Fleet`] and [`Signals`]; leads write [`Placement`] and
//! [`Release`]; [`Snapshot`] carries the Knowledge Base; [`api`] is what agents and readers exchange with leads.

pub mod api;
pub mod claims;
pub mod documents;
pub mod epoch;
pub mod json_schema;
pub mod layout;
pub mod manifest;
pub mod revision;
pub mod substitution;
pub mod tree;
pub mod units;
pub mod yaml;

pub mod diagnostic;
#[cfg(feature = "validate")]
pub mod validate;

pub use documents::{
    application::{Application, ApplicationSpec},
    cluster::{Cluster, ClusterSpec},
    fleet::{Fleet, FleetSpec},
    placement::{Placement, PlacementSpec},
    release::{Release, ReleaseSpec},
    signals::{Signals, SignalsSpec},
    snapshot::{Snapshot, SnapshotSpec},
};
pub use epoch::{Epoch, Origin};
