//! One adapter against the real library or program.

#![expect(clippy::unwrap_used, reason = "a case that panics has failed")]

mod agent;
mod api;
mod approval;
mod consensus;
mod control_plane;
mod failover;
mod git;
mod group;
mod hanging;
mod kind_clusters;
mod lead;
mod leaders;
mod leases;
mod multicluster;
mod partitions;
mod recovery;
mod sim;
mod traces;
mod trust;
mod workflow;
