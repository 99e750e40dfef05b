//! Whether a namespace still holds something that somebody put there.

use futures::StreamExt;
use futures::stream;
use kube::api::ListParams;
use qonnect_agent_core::prune;
use qonnect_agent_core::state::Problem;
use qonnect_schema::manifest::ObjectId;

use super::client::Cluster;
use super::kinds::{self, Served};
use super::problem::{lasting, problem};

/// A page is enough: one occupant keeps the namespace, and what Kubernetes makes by itself is few.
const PAGE: u32 = 500;
const PARALLEL: usize = 4;

impl Cluster {
    /// One object that keeps the namespace alive. Where the agent may not look, it keeps the namespace too.
    pub(super) async fn occupant(&self, namespace: &str) -> Result<Option<String>, Problem> {
        let kinds = self.listable().await?;
        let mut looks = stream::iter(kinds)
            .map(|served| async move { self.occupant_of_kind(&served, namespace).await })
            .buffer_unordered(PARALLEL);
        while let Some(found) = looks.next().await {
            if let Some(occupant) = found? {
                return Ok(Some(occupant));
            }
        }
        Ok(None)
    }

    async fn occupant_of_kind(&self, served: &Served, namespace: &str) -> Result<Option<String>, Problem> {
        let kind = &served.resource.kind;
        let list = match self.api(served, namespace).list_metadata(&ListParams::default().limit(PAGE)).await {
            Ok(list) => list,
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 405) => return Ok(None),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let message = format!(
                    "cannot see whether {namespace} holds objects of kind {kind}: {}",
                    status.message
                );
                return Err(lasting("Forbidden", message));
            }
            Err(error) => return Err(problem(&error)),
        };
        let foreign = list.items.iter().find_map(|item| {
            let id = ObjectId {
                group: served.resource.group.clone(),
                kind: kind.clone(),
                namespace: namespace.into(),
                name: item.metadata.name.clone().unwrap_or_default(),
            };
            let metadata = serde_json::to_value(&item.metadata).expect("metadata is always JSON");
            prune::is_foreign(&id, &metadata).then(|| id.to_string())
        });
        let more = list.metadata.continue_.is_some_and(|token| !token.is_empty());
        Ok(foreign.or_else(|| more.then(|| format!("more than {PAGE} objects of kind {kind}"))))
    }

    /// Every kind that people can put into a namespace, each in the version that its group prefers.
    async fn listable(&self) -> Result<Vec<Served>, Problem> {
        let groups = self.client.list_api_groups().await.map_err(|error| problem(&error))?;
        let versions = groups.groups.into_iter().filter_map(|group| {
            let preferred = group.preferred_version.map(|version| version.group_version);
            preferred.or_else(|| group.versions.first().map(|version| version.group_version.clone()))
        });
        let mut all = Vec::new();
        for version in std::iter::once("v1".to_string()).chain(versions) {
            all.extend(kinds::resources(&self.client, &version).await.map_err(|error| problem(&error))?);
        }
        let can = |served: &Served, verb: &str| served.verbs.iter().any(|found| found == verb);
        all.retain(|served| served.namespaced && can(served, "list") && can(served, "create"));
        Ok(all)
    }
}
