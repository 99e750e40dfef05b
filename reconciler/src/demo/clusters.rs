//! A person's hands in a simulated cluster: plain calls to its Kubernetes API.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

/// The clusters by name, as their kubeconfigs name them.
#[derive(Debug)]
pub(super) struct Clusters {
    servers: BTreeMap<String, String>,
    /// Where the simulation is told what befalls them.
    control: u16,
    http: reqwest::Client,
}

impl Clusters {
    pub(super) fn read(kubeconfigs: &Path, names: &[String], control: u16) -> anyhow::Result<Self> {
        let mut servers = BTreeMap::new();
        for name in names {
            let path = kubeconfigs.join(format!("{name}.kubeconfig"));
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let config: Value = qonnect_schema::yaml::from_str(&text)?;
            let server = config.pointer("/clusters/0/cluster/server").and_then(Value::as_str);
            servers.insert(name.clone(), server.context("a kubeconfig without a server")?.to_owned());
        }
        Ok(Self { servers, control, http: reqwest::Client::new() })
    }

    /// The object, or `None` if it is not there.
    pub(super) async fn get(&self, cluster: &str, path: &str) -> anyhow::Result<Option<Value>> {
        let answer = self.http.get(self.url(cluster, path)?).send().await?;
        match answer.status() {
            reqwest::StatusCode::NOT_FOUND => Ok(None),
            _ => Ok(Some(answer.error_for_status()?.json().await?)),
        }
    }

    pub(super) async fn delete(&self, cluster: &str, path: &str) -> anyhow::Result<()> {
        self.http.delete(self.url(cluster, path)?).send().await?.error_for_status()?;
        Ok(())
    }

    /// The API server is gone, and nothing happens in the cluster.
    pub(super) async fn kill(&self, cluster: &str) -> anyhow::Result<()> {
        self.command("kill", cluster).await
    }

    /// It is back with all objects as they were.
    pub(super) async fn resume(&self, cluster: &str) -> anyhow::Result<()> {
        self.command("resume", cluster).await
    }

    async fn command(&self, verb: &str, cluster: &str) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{}/sim/{verb}?cluster={cluster}", self.control);
        self.http.post(url).send().await?.error_for_status()?;
        Ok(())
    }

    /// How many objects of QONNECT each cluster holds, of the kinds that Bookinfo has.
    pub(super) async fn owned(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        for cluster in self.servers.keys() {
            counts.insert(cluster.clone(), self.owned_by(cluster).await?);
        }
        Ok(counts)
    }

    pub(super) async fn owned_by(&self, cluster: &str) -> anyhow::Result<usize> {
        const OWNED: &str = "?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dqonnect";
        let mut count = 0;
        for path in
            ["/api/v1/namespaces", "/api/v1/services", "/api/v1/serviceaccounts", "/apis/apps/v1/deployments"]
        {
            let list =
                self.get(cluster, &format!("{path}{OWNED}")).await?.context("a list is always there")?;
            count += list["items"].as_array().map_or(0, Vec::len);
        }
        Ok(count)
    }

    fn url(&self, cluster: &str, path: &str) -> anyhow::Result<String> {
        let server = self.servers.get(cluster).with_context(|| format!("no cluster {cluster}"))?;
        Ok(format!("{server}{path}"))
    }
}
