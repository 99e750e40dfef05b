//! The first contact with the cluster.

use std::sync::Arc;

use qonnect_agent_core::inventory::Inventory;
use qonnect_agent_core::state::State;
use qonnect_schema::documents::release::Mark;
use tracing::warn;

use super::{RETRY_FIRST, RETRY_MAX};
use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::probes::Probes;
use crate::uplink::Uplink;

/// Tries until the cluster answers and its inventory can be read: nothing is done without either.
pub(super) async fn connect(
    config: &Config,
    uplink: &Uplink,
    probes: &Probes,
) -> (Arc<Cluster>, State, Mark) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
    loop {
        let attempt = async {
            let cluster = Cluster::connect(config.kubeconfig.as_deref(), config.context.as_deref()).await?;
            uplink.cluster_is(&cluster.version().await?);
            let (inventory, mark) = cluster.load_inventory().await?;
            Ok::<_, crate::cluster::Error>((Arc::new(cluster), state(config, inventory), mark))
        };
        match attempt.await {
            Ok(connected) => return connected,
            Err(error) => {
                warn!(%error, "cluster not ready, will retry");
                probes.waits_for(format!("the cluster: {error}"));
            }
        }
        tokio::time::sleep(backoff.failed()).await;
    }
}

fn state(config: &Config, inventory: Inventory) -> State {
    let state = State::new(inventory, config.prune).within(config.allow.clone());
    state.acting_as(config.impersonate.clone())
}
