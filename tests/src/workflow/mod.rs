//! What our action does in a job of GitHub: its steps, and the pull request that it comments.

mod comments;
mod runner;

pub use comments::{Forge, TOKEN};
pub use runner::{Job, Runner};
