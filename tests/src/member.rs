//! A cluster of the fleet as a real control plane, with the nodes that its document declares.

use qonnect_schema::Cluster;

use crate::control_plane::ControlPlane;
use crate::kubelet::{Kubelets, NodeSpec};

pub struct Member {
    pub plane: ControlPlane,
    _kubelets: Kubelets,
}

impl Member {
    pub async fn start(cluster: &Cluster) -> Self {
        let plane = ControlPlane::start(cluster.name()).await;
        let nodes = cluster.spec.nodes.iter().flat_map(|declared| declared.nodes());
        let nodes = nodes.map(|node| {
            let all = &node.allocatable;
            NodeSpec::new(&node.name, &all.cpu.to_string(), &all.memory.to_string())
        });
        let kubelets = Kubelets::start(&plane.kubeconfig_path(), nodes.collect()).await;
        Self { plane, _kubelets: kubelets }
    }
}
