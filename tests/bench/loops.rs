//! The whole loop for measuring: real lead and agents, nine simulated clusters looked into from this process.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use qonnect::sim::{ClusterConfig, Fleet, FleetConfig};
use qonnect_schema::Cluster;
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::yaml;
use qonnect_tests::world::World;

use crate::fleet::Files;

/// More than any step of a sound loop takes; beyond it something is broken, not slow.
const PATIENCE: Duration = Duration::from_secs(180);
/// Fine enough for milliseconds, and cheap.
const LOOK: Duration = Duration::from_millis(1);

pub(crate) struct Loop {
    pub(crate) world: World,
    pub(crate) fleet: Fleet,
}

impl Loop {
    /// Starts everything, with `files` pushed, and waits until every agent has reported.
    pub(crate) async fn start(name: &str, files: &Files) -> Self {
        let mut world = World::new(name);
        for (path, text) in files {
            world.checkout.write(path, text);
        }
        let clusters = files.iter().filter(|(path, _)| path.starts_with("clusters/"));
        let clusters: Vec<Cluster> =
            clusters.map(|(_, text)| yaml::from_str(text).expect("a cluster")).collect();
        let fleet = Fleet::start(FleetConfig::new(clusters.iter().map(ClusterConfig::from)))
            .await
            .expect("simulated clusters start");
        let kubeconfigs: Vec<PathBuf> =
            fleet.write_kubeconfigs(&qonnect_tests::folder::fresh(name)).expect("kubeconfigs can be written");
        world.checkout.push("the fleet");
        world.start_lead().await;
        for (cluster, kubeconfig) in fleet.members().iter().zip(kubeconfigs) {
            world.start_agent(cluster.name(), &kubeconfig);
        }
        let start = Instant::now();
        loop {
            let reported = world.clusters().await.unwrap_or_default();
            let ready = reported.iter().filter(|cluster| cluster.status == ClusterStatus::Ready).count();
            if ready == fleet.members().len() {
                return Self { world, fleet };
            }
            assert!(start.elapsed() < PATIENCE, "{ready} agents have reported\n{}", world.tails());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Looks until `seen` holds, and returns the time since `start`.
    pub(crate) async fn until(
        &self,
        what: &str,
        start: Instant,
        mut seen: impl FnMut(&Fleet) -> bool,
    ) -> Duration {
        while !seen(&self.fleet) {
            assert!(start.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}\n{}", self.world.tails());
            tokio::time::sleep(LOOK).await;
        }
        start.elapsed()
    }

    /// Commits what the checkout holds, and begins to push it.
    pub(crate) fn push(&self) -> Push {
        self.world.checkout.git(&["add", "--all"]);
        self.world.checkout.git(&["commit", "--quiet", "--message", "a change"]);
        let checkout = self.world.checkout.clone();
        let start = Instant::now();
        let task =
            tokio::task::spawn_blocking(move || drop(checkout.git(&["push", "--quiet", "origin", "main"])));
        Push { start, task }
    }
}

/// A push under way.
pub(crate) struct Push {
    pub(crate) start: Instant,
    task: tokio::task::JoinHandle<()>,
}

impl Push {
    pub(crate) async fn ended(self) {
        self.task.await.expect("git pushes");
    }
}
