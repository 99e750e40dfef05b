//! What the watches tell, and which there are.

use qonnect_agent_core::state::{RECONCILE, SUSPEND};
use qonnect_schema::api::EventSeverity;
use tracing::info;

use super::{Agent, FACTS_AFTER, PROGRESS_AFTER, REPORT_AFTER};
use crate::cluster::{Seen, Watched};

impl Agent {
    pub(super) fn observe(&mut self, first: Seen) {
        let mut news = false;
        {
            let mut state = self.shared.state();
            let mut next = Some(first);
            while let Some(seen) = next {
                news |= match seen {
                    Seen::Object(id, object) => state.observe(&id, &object),
                    Seen::Gone(id) => state.gone(&id),
                    Seen::ListBegins { group, kind } => {
                        state.list_begins(&group, &kind);
                        false
                    }
                    Seen::ListEnds { group, kind } => {
                        self.unlisted.remove(&kind);
                        self.unwatched.remove(&kind);
                        state.list_ends(&group, &kind)
                    }
                    Seen::Denied { kind, message } => {
                        // What cannot be seen is applied all the same; only its drift and health stay unknown.
                        self.unlisted.remove(&kind);
                        self.unwatched.insert(kind, message.clone()) != Some(message)
                    }
                };
                next = self.owned_inbox.try_recv().ok();
            }
        }
        if news {
            self.sync_if_due();
            self.report_within(if self.syncing.is_some() { PROGRESS_AFTER } else { REPORT_AFTER });
        }
    }

    pub(super) fn observe_facts(&mut self, seen: Seen) {
        let missing = self.facts.missing();
        if self.facts.observe(seen) {
            self.report_within(FACTS_AFTER);
        }
        for why in self.facts.missing().difference(&missing) {
            let regarding = format!("cluster/{}", self.config.cluster);
            self.event(EventSeverity::Warning, "FactsMissing", regarding, why.clone());
            self.report_within(FACTS_AFTER);
        }
    }

    /// The agent's own namespace carries what people ask of it.
    pub(super) fn observe_home(&mut self, seen: Seen) {
        let Seen::Object(_, object) = seen else { return };
        let annotation = |name: &str| object["metadata"]["annotations"][name].as_str();
        let asked = annotation(RECONCILE).map(String::from);
        let suspended = annotation(SUSPEND) == Some("enabled");
        let changed = self.shared.state().suspend(suspended);
        if changed {
            info!(suspended, "the agent's namespace says whether to apply and delete");
            let regarding = format!("cluster/{}", self.config.cluster);
            let (reason, message) = match suspended {
                true => (
                    "Suspended",
                    format!("{SUSPEND} is enabled on the agent's namespace: nothing is applied or deleted"),
                ),
                false => ("Resumed", "the release is applied again".to_string()),
            };
            self.event(EventSeverity::Normal, reason, regarding, message);
        }
        let first = self.asked.is_none() && self.seq == 0;
        if asked.is_some() && asked != self.asked && !first {
            self.reconcile_now();
        }
        self.asked = asked;
        self.sync_if_due();
        self.report_within(REPORT_AFTER);
    }

    /// Somebody wants no more waiting.
    pub(super) fn reconcile_now(&mut self) {
        info!("asked to reconcile now");
        self.shared.state().retry_now();
        self.fetch(None);
        self.sync_if_due();
    }

    /// Watches every kind that is wanted or owned, and no other.
    pub(super) fn follow(&mut self) {
        let kinds = self.shared.state().kinds();
        self.watches.retain(|kind, watch| {
            let stays = kinds.contains(kind);
            if !stays {
                watch.abort();
            }
            stays
        });
        for (api_version, kind) in kinds {
            self.watches.entry((api_version.clone(), kind.clone())).or_insert_with(|| {
                let cluster = self.cluster.clone();
                tokio::spawn(cluster.watch(api_version, kind, Watched::Owned, self.owned.clone()))
                    .abort_handle()
            });
        }
    }
}
