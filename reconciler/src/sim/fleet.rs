//! A fleet of simulated clusters, each on a port of its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use qonnect_schema::manifest::ObjectId;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::cluster::Cluster;
use super::config::FleetConfig;
use super::controllers::{self, Pace};
use super::{http, kubeconfig};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not listen on loopback; free the port or let the system choose one")]
    Listen(#[source] std::io::Error),
    #[error("could not write the kubeconfig of {cluster}; check that the folder can be written")]
    Kubeconfig { cluster: String, source: std::io::Error },
}

/// Simulated clusters that run until the fleet is dropped.
#[derive(Debug)]
pub struct Fleet {
    members: Vec<Member>,
}

/// One cluster of the fleet.
///
/// *Guarantees*: objects outlive [`Self::kill`]; after [`Self::resume`] the same URL serves them again.
#[derive(Debug)]
pub struct Member {
    cluster: Arc<Cluster>,
    address: SocketAddr,
    /// Of the server, while its port answers.
    serving: Mutex<Option<Handle<SocketAddr>>>,
    controllers: JoinHandle<()>,
}

impl Fleet {
    /// Starts all clusters; must be called within a Tokio runtime.
    pub async fn start(config: FleetConfig) -> Result<Self, Error> {
        let pace = Pace { ready_after: config.ready_after };
        let start = |cluster| Member::start(Cluster::new(cluster, pace));
        Ok(Self { members: config.clusters.iter().map(start).collect::<Result<_, _>>()? })
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name() == name)
    }

    /// Writes one kubeconfig for each cluster.
    pub fn write_kubeconfigs(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let write = |member: &Member| {
            let written = kubeconfig::write(folder, member.name(), &member.kubeconfig());
            written.map_err(|source| Error::Kubeconfig { cluster: member.name().into(), source })
        };
        self.members.iter().map(write).collect()
    }
}

impl Member {
    fn start(cluster: Arc<Cluster>) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Listen)?;
        let address = listener.local_addr().map_err(Error::Listen)?;
        let controllers = tokio::spawn(controllers::run(cluster.clone()));
        let member = Self { cluster, address, serving: Mutex::new(None), controllers };
        member.listen(listener)?;
        Ok(member)
    }

    fn listen(&self, listener: TcpListener) -> Result<(), Error> {
        listener.set_nonblocking(true).map_err(Error::Listen)?;
        let handle = Handle::new();
        let server = axum_server::from_tcp(listener).map_err(Error::Listen)?;
        let server = server.acceptor(NoDelayAcceptor::new()).handle(handle.clone());
        let router = http::router(self.cluster.clone());
        tokio::spawn(server.serve(router.into_make_service()));
        *self.serving() = Some(handle);
        Ok(())
    }

    fn serving(&self) -> std::sync::MutexGuard<'_, Option<Handle<SocketAddr>>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn name(&self) -> &str {
        &self.cluster.name
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn kubeconfig(&self) -> String {
        kubeconfig::render(self.name(), &self.url())
    }

    /// Freezes the cluster: connections stay open, but nothing is answered and nothing happens in it.
    pub fn pause(&self) {
        self.cluster.pause();
    }

    /// The port stops answering and every connection breaks; nothing happens inside until it is resumed.
    pub fn kill(&self) {
        self.cluster.pause();
        if let Some(handle) = self.serving().take() {
            handle.shutdown();
        }
    }

    /// Ends a pause or a kill, with all objects as they were.
    pub async fn resume(&self) -> Result<(), Error> {
        if self.serving().is_none() {
            self.listen(self.rebind().await?)?;
        }
        self.cluster.resume();
        Ok(())
    }

    /// Takes the old port again, as soon as the server that held it has let go.
    async fn rebind(&self) -> Result<TcpListener, Error> {
        const TRIES: u32 = 50;
        let mut tries = 0;
        loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => return Ok(listener),
                Err(error) if tries == TRIES => return Err(Error::Listen(error)),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
            tries += 1;
        }
    }

    pub fn state(&self) -> &'static str {
        match (self.serving().is_some(), self.cluster.is_running()) {
            (false, _) => "killed",
            (true, false) => "paused",
            (true, true) => "running",
        }
    }

    /// Takes this share (0 to 1) of what is free on every node, for pods that are nobody's.
    pub fn fill(&self, share: f64) {
        controllers::fill(&mut self.cluster.state(), share);
    }

    /// An object as it is stored; the group and kind choose the resource.
    pub fn object(&self, id: &ObjectId) -> Option<Value> {
        let state = self.cluster.state();
        let (kind, _) = state.kinds.iter().find(|(_, kind)| kind.is(&id.group, &id.kind))?;
        state.get(kind, &id.namespace, &id.name).map(|object| object.value.clone())
    }

    /// All objects of a resource such as `deployments.apps`, in all namespaces.
    pub fn objects(&self, resource: &str) -> Vec<Value> {
        self.cluster.state().store.list(resource, "").map(|object| object.value.clone()).collect()
    }

    /// Forgets the history of changes, so that watches from before now are told to list again.
    pub fn compact(&self) {
        self.cluster.state().store.compact();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.controllers.abort();
        if let Some(handle) = self.serving().take() {
            handle.shutdown();
        }
    }
}
