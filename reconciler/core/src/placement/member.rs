//! A cluster as planning sees it: its nodes, what they have left, and what they cost, burn and deliver.
//!
//! A rate comes from the first that knows it: a valid signal, the node itself (its label, or its entry in the
//! `Cluster` document until an agent has reported), the cluster's defaults, the fleet's.

use jiff::Timestamp;
use qonnect_schema::Cluster;
use qonnect_schema::documents::cluster::DeclaredNode;
use qonnect_schema::documents::fleet::FleetDefaults;
use qonnect_schema::documents::snapshot::{ClusterState, ClusterStatus, Node};

use super::communication::Egress;
use super::extended::Extended;
use super::maintenance::UnderWay;
use super::signals::{Current, PowerModel};

/// CPU in thousandths, bytes of memory, bytes of storage, pods, and a few extended resources.
pub(super) type Amounts = [u64; RESOURCES];

/// How many resources every node has, and with the extended ones.
pub(super) const NATIVE: usize = 4;
pub(super) const RESOURCES: usize = 8;

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) cluster: Cluster,
    pub(super) status: ClusterStatus,
    /// It is worked on until then.
    pub(super) maintenance: Option<Timestamp>,
    /// The nodes that take pods, by name.
    pub(super) nodes: Vec<Space>,
    /// Why other nodes take none, by name of the node.
    pub(super) unusable: Vec<(String, String)>,
    /// All nodes, alike ones together: what is charged must not change when a node falls ill.
    pub(super) profiles: Vec<Profile>,
    /// Of each node, and of each vCPU where nobody knows the nodes.
    pub(super) power: Option<PowerModel>,
    pub(super) processor: Option<PowerModel>,
    pub(super) pue: f64,
    /// gCO₂e per kWh.
    pub(super) intensity: f64,
    /// What a GB takes that leaves it.
    pub(super) egress: Egress,
    /// Of each resource, the most that one node has free, and what all have together.
    pub(super) largest: Amounts,
    pub(super) sum: Amounts,
}

/// What foreign pods leave of a node.
#[derive(Debug, Clone)]
pub(super) struct Space {
    pub(super) name: String,
    pub(super) free: Amounts,
    /// Which of the profiles it has.
    pub(super) profile: usize,
}

/// Nodes that are alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Profile {
    pub(super) count: u32,
    pub(super) allocatable: Amounts,
    /// Currency per node-hour.
    pub(super) price: f64,
    /// kWh per vCPU-hour.
    pub(super) energy: f64,
    /// Bits per second.
    pub(super) bandwidth: u64,
}

impl Member {
    pub(super) fn new(
        cluster: &Cluster,
        signals: &Current<'_>,
        defaults: &FleetDefaults,
        state: Option<&ClusterState>,
        maintenance: &UnderWay<'_>,
        extended: &Extended,
    ) -> Self {
        let name = cluster.name();
        let region = cluster.spec.region.as_deref();
        let intensity = region
            .and_then(|region| signals.intensity.get(region).copied())
            .unwrap_or(defaults.grid_intensity);
        let (price, energy) = signals.egress(cluster, defaults);
        let egress = Egress { price, energy, carbon: energy * intensity };
        let mut member = Self {
            name: name.to_owned(),
            cluster: cluster.clone(),
            status: state.map_or(ClusterStatus::Unknown, |state| state.status),
            maintenance: maintenance.until(cluster),
            nodes: Vec::new(),
            unusable: Vec::new(),
            profiles: Vec::new(),
            power: signals.power.get(name).copied(),
            processor: signals.processor(cluster),
            pue: signals.pue.get(name).copied().unwrap_or(defaults.pue),
            intensity,
            egress,
            largest: [0; RESOURCES],
            sum: [0; RESOURCES],
        };
        let price = signals.prices.get(name).copied();
        let mut nodes = match state.and_then(|state| state.nodes.clone()) {
            Some(nodes) => nodes,
            None => cluster.spec.nodes.iter().flat_map(DeclaredNode::nodes).collect(),
        };
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        for node in nodes {
            let rates = &cluster.spec.defaults;
            member.take(
                &node,
                extended,
                Profile {
                    count: 1,
                    allocatable: extended.offered(&node.allocatable),
                    price: price.unwrap_or_else(|| node.price.or(rates.price).unwrap_or(defaults.price).0),
                    energy: node.energy.or(rates.energy).unwrap_or(defaults.energy).0,
                    bandwidth: node.bandwidth.or(rates.bandwidth).unwrap_or(defaults.bandwidth).0,
                },
            );
        }
        for node in &member.nodes {
            for i in 0..RESOURCES {
                member.largest[i] = member.largest[i].max(node.free[i]);
                member.sum[i] = member.sum[i].saturating_add(node.free[i]);
            }
        }
        member
    }

    /// What pods are charged here, bit by bit: clusters that agree in it charge the same.
    pub(super) fn rates(&self) -> Vec<u64> {
        let bits = |power: Option<PowerModel>| {
            power.map_or([u64::MAX; 2], |power| [power.idle_watts.to_bits(), power.max_watts.to_bits()])
        };
        let mut rates = vec![self.pue.to_bits(), self.intensity.to_bits()];
        rates.extend([bits(self.power), bits(self.processor)].as_flattened());
        for profile in &self.profiles {
            rates.extend([
                u64::from(profile.count),
                profile.price.to_bits(),
                profile.energy.to_bits(),
                profile.bandwidth,
            ]);
            rates.extend(profile.allocatable);
        }
        rates
    }

    /// What one of its nodes draws, by a model for all of them or by its vCPUs.
    pub(super) fn power_of(&self, profile: &Profile) -> Option<PowerModel> {
        let vcpus = profile.allocatable[0] as f64 / 1000.0;
        let all = |each: PowerModel| PowerModel {
            idle_watts: each.idle_watts * vcpus,
            max_watts: each.max_watts * vcpus,
        };
        self.power.or(self.processor.map(all))
    }

    fn take(&mut self, node: &Node, extended: &Extended, profile: Profile) {
        let alike = |known: &Profile| Profile { count: 1, ..*known } == profile;
        let index = self.profiles.iter().position(alike).unwrap_or(self.profiles.len());
        match self.profiles.get_mut(index) {
            Some(known) => known.count += 1,
            None => self.profiles.push(profile),
        }
        let reason = if !node.ready {
            "is not ready".to_owned()
        } else if node.unschedulable {
            "is unschedulable".to_owned()
        } else if !node.pressures.is_empty() {
            format!("has {}", node.pressures.join(", "))
        } else {
            let foreign = extended.offered(&node.foreign);
            let free = std::array::from_fn(|i| profile.allocatable[i].saturating_sub(foreign[i]));
            self.nodes.push(Space { name: node.name.clone(), free, profile: index });
            return;
        };
        self.unusable.push((node.name.clone(), reason));
    }
}
