//! The cluster: kube and its types stay in this folder; what leaves it are values and [`Problem`]s.

mod client;
mod connection;
mod delete;
mod inventory;
mod kinds;
mod namespace;
mod problem;
mod rights;
mod usage;
mod watch;

pub(crate) use client::{Cluster, Outcome};
pub(crate) use rights::{Right, Run, Trial};
pub(crate) use watch::{Seen, Watched};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(String),
    #[error("the API server does not answer as expected: {0}")]
    Api(String),
    #[error(transparent)]
    Inventory(#[from] qonnect_agent_core::inventory::DecodeError),
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(problem::message(&error))
    }
}
