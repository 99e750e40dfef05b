//! Which clusters to simulate.

use std::time::Duration;

use qonnect_schema::documents::cluster::DeclaredNode;
use qonnect_schema::units::{Bytes, Cpu};
use qonnect_schema::{Cluster, ClusterSpec};

/// A simulated cluster: its name, and the nodes, rates and region that it declares.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    pub name: String,
    pub spec: ClusterSpec,
}

/// A simulated fleet.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    pub clusters: Vec<ClusterConfig>,
    /// How long a pod takes from its node to Ready.
    pub ready_after: Duration,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    #[error(
        "`{0}` is not NAME or NAME:KEY=VALUE,... with the keys cpu, memory, storage, pods, energy, price, \
        bandwidth, region and nodes"
    )]
    Form(String),
    #[error("{0}")]
    Unit(#[from] qonnect_schema::units::UnitError),
}

impl FleetConfig {
    pub fn new(clusters: impl IntoIterator<Item = ClusterConfig>) -> Self {
        Self { clusters: clusters.into_iter().collect(), ready_after: Duration::from_millis(500) }
    }
}

impl From<&Cluster> for ClusterConfig {
    /// A cluster that declares no nodes gets one.
    fn from(cluster: &Cluster) -> Self {
        let mut spec = cluster.spec.clone();
        if spec.nodes.is_empty() {
            spec.nodes.push(default_node(cluster.name()));
        }
        Self { name: cluster.name().into(), spec }
    }
}

fn default_node(cluster: &str) -> DeclaredNode {
    DeclaredNode {
        name: format!("{cluster}-worker"),
        count: 1,
        cpu: Cpu(6000),
        memory: Bytes(8 << 30),
        storage: Bytes(16 << 30),
        pods: 110,
        extended: Default::default(),
        energy: None,
        price: None,
        bandwidth: None,
    }
}

/// `edge-1` or `edge-1:cpu=6,memory=8Gi,nodes=2`.
impl std::str::FromStr for ClusterConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::Form(text.chars().take(200).collect());
        let (name, facts) = text.split_once(':').unwrap_or((text, ""));
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if name.is_empty()
            || name.len() > 63
            || !name.bytes().all(fits)
            || name.starts_with('-')
            || name.ends_with('-')
        {
            return Err(wrong());
        }
        let mut node = default_node(name);
        let mut region = None;
        for fact in facts.split(',').filter(|fact| !fact.is_empty()) {
            let (key, value) = fact.split_once('=').ok_or_else(wrong)?;
            match key {
                "cpu" => node.cpu = value.parse()?,
                "memory" => node.memory = value.parse()?,
                "storage" => node.storage = value.parse()?,
                "pods" => node.pods = value.parse().map_err(|_| wrong())?,
                "nodes" => node.count = value.parse().map_err(|_| wrong())?,
                "energy" => node.energy = Some(value.parse()?),
                "price" => node.price = Some(value.parse()?),
                "bandwidth" => node.bandwidth = Some(value.parse()?),
                "region" => region = Some(value.to_owned()),
                _ => return Err(wrong()),
            }
        }
        Ok(Self {
            name: name.into(),
            spec: ClusterSpec { region, nodes: vec![node], ..ClusterSpec::default() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_with_what_its_node_has() {
        let cluster: ClusterConfig = "edge-1:cpu=2,memory=512Mi,nodes=3,region=berlin".parse().unwrap();
        let node = &cluster.spec.nodes[0];
        assert_eq!(
            (cluster.name.as_str(), node.cpu, node.memory, node.count),
            ("edge-1", Cpu(2000), Bytes(512 << 20), 3)
        );
        assert_eq!(cluster.spec.region.as_deref(), Some("berlin"));
        for text in ["", "Edge", "a:cpu", "a:cpu=x", "a:gpu=1", "-a", "a:nodes=-1"] {
            assert!(text.parse::<ClusterConfig>().is_err(), "{text}");
        }
    }
}
