//! What the followers tell the leader.

use std::sync::Arc;

use tokio::sync::Notify;

use super::liveness::Liveness;
use crate::consensus::{Consensus, Note};

/// Takes in what they say. It never ends by itself.
pub(super) async fn run(
    consensus: Consensus,
    liveness: Arc<Liveness>,
    fetch: Arc<Notify>,
    review: Arc<Notify>,
) {
    while let Some(note) = consensus.noted().await {
        match note {
            Note::Heard(clusters) => liveness.told(&clusters),
            Note::SpecMoved => fetch.notify_one(),
            Note::ReviewMoved => review.notify_one(),
        }
    }
    // A lead that is alone has no followers; whoever waits for the end of a lead hears of it from others.
    std::future::pending::<()>().await;
}
