//! What always holds.

mod placement;
