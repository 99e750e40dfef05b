//! One simulated cluster while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};

use super::config::ClusterConfig;
use super::controllers::{self, Pace};
use super::state::State;

/// Watches that one cluster serves at a time.
const WATCHES_MAX: usize = 1024;

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) name: String,
    state: Mutex<State>,
    running: watch::Sender<bool>,
    pace: Pace,
    /// Room for watches.
    pub(super) watches: Arc<Semaphore>,
}

impl Cluster {
    pub(super) fn new(config: &ClusterConfig, pace: Pace) -> Arc<Self> {
        let mut state = State::new();
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            controllers::make_namespace(&mut state, name);
        }
        controllers::register(&mut state, &config.spec);
        Arc::new(Self {
            name: config.name.clone(),
            state: Mutex::new(state),
            running: watch::Sender::new(true),
            pace,
            watches: Arc::new(Semaphore::new(WATCHES_MAX)),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// Freezes the cluster: nothing is answered and nothing happens until it is resumed.
    pub(super) fn pause(&self) {
        self.running.send_replace(false);
    }

    pub(super) fn resume(&self) {
        self.running.send_replace(true);
    }

    pub(super) fn is_running(&self) -> bool {
        *self.running.borrow()
    }

    /// Waits while the cluster is paused.
    pub(super) async fn running(&self) {
        let mut running = self.running.subscribe();
        // The sender lives as long as `self`, so the wait cannot fail.
        running.wait_for(|running| *running).await.ok();
    }
}
