//! As whom objects are written: the agent itself, or a service account with the rights of its application alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use qonnect_schema::manifest::ObjectId;
use serde::Deserialize;

use crate::release::{Owner, Verified};

/// The agent's own configuration says so. No release can change it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Accounts {
    /// Of each application that is not named below, in its own namespace; absent: the agent itself writes.
    pub service_account_name: Option<String>,
    pub applications: BTreeMap<String, Account>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    pub service_account_name: String,
}

impl Accounts {
    /// The name of the user that writes an object; `None` where the agent itself does, as all namespaces of
    /// applications.
    pub fn user(&self, owner: &Owner, id: &ObjectId, release: Option<&Verified>) -> Option<Arc<str>> {
        if owner.is_namespace() {
            return None;
        }
        let own = self.applications.get(&*owner.application).map(|account| &account.service_account_name);
        let name = own.or(self.service_account_name.as_ref())?;
        // What an application brings for another namespace is written by its own account all the same.
        let said = release.and_then(|release| namespace(release, owner));
        // One that is gone is in no release: all that it left lies where it was.
        let left = || if id.namespace.is_empty() { &*owner.application } else { &*id.namespace };
        let namespace = said.unwrap_or_else(left);
        Some(format!("system:serviceaccount:{namespace}:{name}").into())
    }
}

fn namespace<'a>(release: &'a Verified, owner: &Owner) -> Option<&'a str> {
    let mut order = release.spec.order.iter();
    let found = order.find(|released| released.application == *owner.application)?;
    Some(&found.namespace)
}

#[cfg(test)]
mod tests {
    use qonnect_schema::Epoch;
    use qonnect_schema::documents::release::{ReleaseSpec, ReleasedApplication};

    use super::*;

    fn id(kind: &str, namespace: &str) -> ObjectId {
        ObjectId { group: String::new(), kind: kind.into(), namespace: namespace.into(), name: "a".into() }
    }

    #[test]
    fn the_account_of_an_application_writes_all_but_its_namespace() {
        let nobody = Accounts::default();
        let accounts = Accounts {
            service_account_name: Some("deployer".into()),
            applications: [("shop".into(), Account { service_account_name: "seller".into() })].into(),
        };
        let shop = Owner::new("shop", "web");
        let map = id("ConfigMap", "shop-live");
        assert_eq!(nobody.user(&shop, &map, None), None);
        assert_eq!(
            accounts.user(&shop, &map, None).as_deref(),
            Some("system:serviceaccount:shop-live:seller")
        );
        let mail = Owner::new("mail", "web");
        assert_eq!(
            accounts.user(&mail, &id("PersistentVolume", ""), None).as_deref(),
            Some("system:serviceaccount:mail:deployer")
        );
        assert_eq!(accounts.user(&Owner::new("mail", ""), &id("Namespace", ""), None), None);
    }

    #[test]
    fn no_object_chooses_its_account_by_its_namespace() {
        let accounts = Accounts { service_account_name: Some("deployer".into()), ..Accounts::default() };
        let order = ReleasedApplication {
            application: "shop".into(),
            namespace: "shop-live".into(),
            components: vec!["web".into()],
            depends_on: Default::default(),
        };
        let spec = ReleaseSpec {
            generation: 1,
            epoch: Epoch::default(),
            revision: String::new(),
            order: vec![order],
            removals: Vec::new(),
            digest: String::new(),
            decommissioned: false,
        };
        let release = Verified { spec, objects: Vec::new() };
        let user = accounts.user(&Owner::new("shop", "web"), &id("Secret", "kube-system"), Some(&release));
        assert_eq!(user.as_deref(), Some("system:serviceaccount:shop-live:deployer"));
    }
}
