//! The shell around the pure core: leads, the command line, simulated clusters, the demo.

pub mod cli;

pub mod files;

pub mod lead;

pub mod consensus;

pub mod api;

mod tls;

pub mod sim;

pub mod forge;
pub mod git_server;

pub mod demo;
