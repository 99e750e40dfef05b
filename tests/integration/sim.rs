//! Simulated clusters: the same answers as a real API server gives, and workloads that come up.

mod calls;
mod contract;
mod workloads;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use qonnect::sim::Member;

/// A client that knows of a simulated cluster only what its kubeconfig says.
async fn client(member: &Member) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&member.kubeconfig()).expect("the kubeconfig is sound");
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("the kubeconfig names a server")).expect("a client needs nothing else")
}
