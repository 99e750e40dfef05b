//! Leases that begin and end.

use std::time::Duration;

use qonnect_schema::api::EventSeverity;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Agent;

impl Agent {
    /// For some seconds after the start nobody knows whether a lead vouches: nothing is changed before that.
    pub(super) fn knows_leases(&self) -> bool {
        !self.leased || self.lease.borrow().is_some()
    }

    pub(super) fn lease_changed(&mut self) {
        let Some(held) = *self.lease.borrow_and_update() else { return };
        let changed = self.shared.state().lease(held);
        match held {
            true if changed => info!("a lead vouches for what must not run twice: it runs"),
            false if self.leased => {
                let message = "no lead has vouched for what must not run twice: it is scaled to zero";
                warn!(message);
                let regarding = format!("cluster/{}", self.config.cluster);
                self.event(EventSeverity::Warning, "LeaseEnded", regarding, message.into());
            }
            _ => {}
        }
        if changed {
            // Whatever is under way gives way.
            self.syncing = None;
            self.sync_at = Some(Instant::now());
            self.report_within(Duration::ZERO);
        }
    }
}
