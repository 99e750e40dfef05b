//! One adapter against the real library or program.

mod agent;
mod api;
mod consensus;
mod control_plane;
mod git;
mod kind_clusters;
mod lead;
mod sim;
