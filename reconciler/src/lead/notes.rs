//! What the followers tell the leader.

use std::sync::Arc;

use tokio::sync::Notify;

use super::liveness::Liveness;
use crate::consensus::{Consensus, Note};

/// Goes on until the consensus has ended.
pub(super) async fn run(consensus: Consensus, liveness: Arc<Liveness>, fetch: Arc<Notify>) {
    while let Some(note) = consensus.noted().await {
        match note {
            Note::Heard(clusters) => liveness.told(&clusters),
            Note::SpecMoved => fetch.notify_one(),
        }
    }
}
