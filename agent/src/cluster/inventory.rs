//! The inventory and the mark of the last release, kept in ConfigMaps of the cluster itself.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use qonnect_agent_core::inventory::{Inventory, NAMESPACE, RELEASE, shard_name};
use qonnect_agent_core::state::{FIELD_MANAGER, Problem};
use qonnect_schema::documents::release::Mark;

use super::Error;
use super::client::{Cluster, within};
use super::problem::problem;

/// Marks the ConfigMaps, so that one list finds them.
const LABEL: &str = "qonnect.io/inventory";
const MARK: &str = "mark";

impl Cluster {
    /// What the cluster remembers. Anything but a whole answer is an error: an inventory is never taken for empty.
    pub(crate) async fn load_inventory(&self) -> Result<(Inventory, Mark), Error> {
        let list = self.maps().list(&ListParams::default().labels(LABEL)).await?;
        if !list.items.is_empty() {
            self.home.set(()).ok();
        }
        let mut inventory = Inventory::default();
        let mut mark = Mark::default();
        for map in list.items {
            let name = map.metadata.name.unwrap_or_default();
            let data = map.data.unwrap_or_default();
            if name != RELEASE {
                inventory.decode(&name, &data)?;
            } else if let Some(found) = data.get(MARK).and_then(|text| serde_json::from_str(text).ok()) {
                mark = found;
            }
        }
        Ok((inventory, mark))
    }

    pub(crate) async fn save_shard(&self, shard: u8, data: BTreeMap<String, String>) -> Result<(), Problem> {
        self.save(&shard_name(shard), data).await
    }

    pub(crate) async fn save_mark(&self, mark: &Mark) -> Result<(), Problem> {
        let text = serde_json::to_string(mark).expect("a mark is always JSON");
        self.save(RELEASE, BTreeMap::from([(MARK.into(), text)])).await
    }

    async fn save(&self, name: &str, data: BTreeMap<String, String>) -> Result<(), Problem> {
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: Some(NAMESPACE.into()),
                labels: Some(BTreeMap::from([(LABEL.into(), "true".into())])),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..ConfigMap::default()
        };
        let params = PatchParams::apply(FIELD_MANAGER).force();
        within(async {
            // Each write into a namespace that is missing waits in the server for it. Where the agent may not make
            // one, the write says what is wrong.
            self.home.get_or_init(async || drop(self.make_namespace().await)).await;
            let save = async || self.maps().patch(name, &params, &Patch::Apply(&map)).await;
            match save().await {
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    self.make_namespace().await.map_err(|error| problem(&error))?;
                    save().await
                }
                answer => answer,
            }
            .map(drop)
            .map_err(|error| problem(&error))
        })
        .await
    }

    async fn make_namespace(&self) -> Result<(), kube::Error> {
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(NAMESPACE.into()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        match Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            answer => answer.map(drop),
        }
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }
}
