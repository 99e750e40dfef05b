//! What nodes use, by `metrics.k8s.io`, which not every cluster serves.

use std::collections::BTreeMap;

use kube::api::ListParams;
use qonnect_agent_core::measured;
use qonnect_schema::documents::measured::Usage;

use super::client::{Cluster, within};
use super::problem::problem;

const API_VERSION: &str = "metrics.k8s.io/v1beta1";
const KIND: &str = "NodeMetrics";

impl Cluster {
    /// By node; nothing where the cluster does not measure, which is asked anew each time.
    pub(crate) async fn usage(&self) -> Result<BTreeMap<String, Usage>, String> {
        let found = self.kinds.find(&self.client, API_VERSION, KIND).await;
        let Some(served) = found.map_err(|error| problem(&error).message)? else {
            return Ok(BTreeMap::new());
        };
        let api = self.api(&served, "");
        let list = within(async {
            match api.list(&ListParams::default()).await {
                Ok(list) => Ok(list.items),
                // It was served, and is not any more.
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    self.kinds.forget();
                    Ok(Vec::new())
                }
                Err(error) => Err(problem(&error)),
            }
        });
        let items = list.await.map_err(|problem| problem.message)?;
        let objects = items.into_iter().filter_map(|item| serde_json::to_value(item).ok());
        Ok(objects.filter_map(|object| measured::usage(&object)).collect())
    }
}
