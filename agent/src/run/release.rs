//! Where the release comes from: the copy on the disk, then the deploy branch.

use std::time::Duration;

use anyhow::Context;
use qonnect_agent_core::release::{Verified, verify};
use qonnect_schema::api::{EventSeverity, ReleaseFolder};
use qonnect_schema::documents::release::Mark;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Agent;
use crate::backoff::jittered;
use crate::repository::{self, Fetched};

impl Agent {
    /// Goes on with the copy on the disk: neither git nor a lead is needed for that.
    pub(super) async fn restore(&mut self, held: Mark) -> anyhow::Result<()> {
        self.held = held;
        if let Some(before) = self.disk.copy_before().context("the copy of the release before the last")? {
            self.remember(&before);
        }
        if let Some(copy) = self.disk.copy().context("the copy of the last release")? {
            match verify(&copy.tree(), &self.config.cluster, &self.held, &[]) {
                Ok(release) => {
                    self.repository.found(release.mark()).await;
                    self.adopt(release, copy.commit);
                }
                Err(refusal) => {
                    warn!(%refusal, "the copy on the disk is not used");
                    self.remember(&copy);
                }
            }
        }
        if self.shared.state().release().is_none() {
            // Whatever the mark says: a lead is to name it again.
            self.uplink.saw(Mark::default());
        }
        self.follow();
        self.unlisted = self.watches.keys().map(|(_, kind)| kind.clone()).collect();
        Ok(())
    }

    /// Whatever became of it: what it holds was ours.
    fn remember(&self, older: &ReleaseFolder) {
        if let Ok(older) = verify(&older.tree(), &self.config.cluster, &Mark::default(), &[]) {
            self.shared.state().remember(older);
        }
    }

    pub(super) fn fetch(&mut self, commit: Option<String>) {
        if self.fetching.is_some() {
            self.fetch_next = Some(commit);
            return;
        }
        // What a lead hands on carries no signature.
        let signed = self.config.repository.signers.is_some();
        let (repository, uplink, held) = (self.repository.clone(), self.uplink.clone(), self.held.clone());
        self.fetching = Some(Box::pin(async move {
            // The lead that named a commit has read it: asking there costs the git host nothing.
            if let Some(commit) = commit.as_ref().filter(|_| !signed)
                && let Some(folder) = uplink.release(commit).await
            {
                match repository.take(folder, held.clone()).await {
                    Ok(fetched) => return Ok(fetched),
                    Err(error) => warn!(%error, "what the lead hands on is not used; asking git"),
                }
            }
            repository.fetch(commit, held).await
        }));
    }

    pub(super) fn fetched(&mut self, fetched: Result<Fetched, repository::Error>) {
        self.fetching = None;
        self.fetch_at = Instant::now() + jittered(self.config.poll.as_duration());
        match fetched {
            Ok(fetched) => {
                self.fetch_backoff.succeeded();
                self.shared.metrics.fetched.inc();
                if self.refused.take().is_some() {
                    self.report_within(Duration::ZERO);
                }
                let mark = fetched.release.mark();
                if mark != self.shared.state().mark() {
                    self.adopt(fetched.release, fetched.commit);
                }
            }
            Err(error) => self.not_fetched(error),
        }
        if let Some(commit) = self.fetch_next.take() {
            self.fetch(commit);
        }
    }

    fn not_fetched(&mut self, error: repository::Error) {
        let text = error.to_string();
        self.fetch_at = Instant::now() + self.fetch_backoff.failed();
        // Before the first release there is nothing to miss.
        if error.means_nothing_published() && self.held == Mark::default() {
            return;
        }
        self.shared.metrics.not_fetched.inc();
        if self.refused.as_deref() == Some(&text) {
            return;
        }
        warn!(error = text, "release not taken over, will retry");
        if error.is_refusal() {
            self.event(
                EventSeverity::Warning,
                "ReleaseRefused",
                format!("cluster/{}", self.config.cluster),
                text.clone(),
            );
        }
        self.refused = Some(text);
        self.report_within(Duration::ZERO);
    }

    /// Whatever is under way gives way to the newest release.
    fn adopt(&mut self, release: Verified, commit: String) {
        info!(generation = release.spec.generation, epoch = %release.spec.epoch, commit, objects = release.objects.len(), "release accepted");
        self.held = self.held.clone().stricter(release.mark());
        self.uplink.saw(release.mark());
        self.commit = commit;
        self.syncing = None;
        self.blocked = None;
        self.sync_backoff.succeeded();
        let leased = {
            let mut state = self.shared.state();
            state.adopt(release);
            state.is_leased()
        };
        self.leased = leased;
        self.uplink.needs_lease(leased);
        self.sync_at = Some(Instant::now());
    }
}
