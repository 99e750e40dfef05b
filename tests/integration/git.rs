//! The clone and the publisher against every kind of server that git knows.

mod commits;
mod contract;
mod faults;
mod secrets;
mod server;
mod servers;
mod signatures;
