//! A lead agent: watches the spec branch, decides, commits back.

pub mod liveness;
