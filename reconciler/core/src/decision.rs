//! From a plan and the deployed tree to the draft of a commit, or to nothing.
