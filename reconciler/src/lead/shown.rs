//! What the forge says: to the core what people did, to people what keeps it from showing more.

use qonnect_core::knowledge::Change;
use qonnect_core::lead::{Event, Told};
use qonnect_schema::api::EventSeverity;
use tokio::sync::mpsc;

use super::propose;
use super::run::Events;
use crate::consensus::Consensus;
use crate::forge::Word;

/// Goes on until the forge is gone.
pub(super) async fn run(mut said: mpsc::UnboundedReceiver<Word>, consensus: Consensus, events: Events) {
    while let Some(word) = said.recv().await {
        let (reason, message) = match word {
            Word::Closed(commit) => {
                events.send(Event::Review(Told::Closed { commit }));
                continue;
            }
            Word::Trouble(reason, message) => (reason, message),
        };
        let leadership = *consensus.leadership().borrow();
        // Whoever leads next will see for itself.
        let Some(leadership) = leadership else { continue };
        let (severity, reason, regarding) = (EventSeverity::Warning, reason.into(), "forge".into());
        let change = Change::Event { severity, reason, regarding, message };
        propose::propose(&consensus, leadership, change).await;
    }
}
