//! What always holds.

mod placement;
mod validate;
mod yaml;
