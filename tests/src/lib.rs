//! The machinery that the classes of tests share: real processes, real API servers, nodes that are played.

pub mod leads;
pub mod network;
pub mod speakers;
pub mod world;

pub mod collector;
pub mod control_plane;
pub mod front;
pub mod kubelet;
pub mod member;

pub mod git;
pub mod github;
pub mod workflow;

pub mod dice;
pub mod metrics;
pub mod optima;
pub mod workload;

pub mod programs;
pub mod proxy;

pub mod folder;
pub mod ports;
pub mod process;
pub mod simulated;
pub mod wait;
