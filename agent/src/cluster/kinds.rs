//! Which resource of the API serves a kind: asked once for each API version, and again when a kind is unknown or does
//! not answer any more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
use kube::Client;
use kube::core::ApiResource;

/// Where objects of a kind are read and written, and as whom.
#[derive(Debug, Clone)]
pub(super) struct Served {
    pub resource: ApiResource,
    pub namespaced: bool,
    pub verbs: Vec<String>,
    /// The agent itself, if absent.
    pub user: Option<Arc<str>>,
}

impl Served {
    pub(super) fn by(self, user: &Option<Arc<str>>) -> Self {
        Self { user: user.clone(), ..self }
    }
}

#[derive(Default)]
pub(super) struct Kinds {
    /// By API version.
    known: Mutex<BTreeMap<String, Vec<Served>>>,
}

impl Kinds {
    /// `None` where the cluster does not serve it, asked just now.
    pub(super) async fn find(
        &self,
        client: &Client,
        api_version: &str,
        kind: &str,
    ) -> Result<Option<Served>, kube::Error> {
        let find = |served: &Vec<Served>| served.iter().find(|served| served.resource.kind == kind).cloned();
        if let Some(found) = self.known().get(api_version).and_then(find) {
            return Ok(Some(found));
        }
        let served = resources(client, api_version).await?;
        let found = find(&served);
        self.known().insert(api_version.into(), served);
        Ok(found)
    }

    /// After a definition or an API service has changed.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    /// What was known of one API version has turned out to be wrong.
    pub(super) fn doubt(&self, api_version: &str) {
        self.known().remove(api_version);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Served>>> {
        self.known.lock().expect("no thread panics while it holds this lock")
    }
}

/// Every kind of an API version; none where the version is not served.
pub(super) async fn resources(client: &Client, api_version: &str) -> Result<Vec<Served>, kube::Error> {
    let list = match api_version.contains('/') {
        true => client.list_api_group_resources(api_version).await,
        false => client.list_core_api_resources(api_version).await,
    };
    match list {
        // Subresources have a slash in their names.
        Ok(list) => Ok(list
            .resources
            .into_iter()
            .filter(|resource| !resource.name.contains('/'))
            .map(|resource| served(api_version, resource))
            .collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn served(api_version: &str, resource: APIResource) -> Served {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Served {
        resource: ApiResource {
            group: group.into(),
            version: version.into(),
            api_version: api_version.into(),
            kind: resource.kind,
            plural: resource.name,
        },
        namespaced: resource.namespaced,
        verbs: resource.verbs,
        user: None,
    }
}
