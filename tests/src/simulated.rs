//! The whole loop on simulated clusters: real Git, a real lead, real agents; the clusters can be looked into and killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use qonnect::sim::{ClusterConfig, Fleet, FleetConfig, Member};
use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_schema::{Cluster, yaml};

use crate::folder;
use crate::git::Checkout;
use crate::process::run_command;
use crate::wait::wait_for;
use crate::world::World;

/// For whatever a loop of lead and agents does on a busy machine; measured are some seconds.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// So short that a test can wait for it, and long beside the pauses of a busy machine.
pub const SHORT_LEASE: &str = "lease: {heartbeat: 500ms, suspectAfter: 3s, lostAfter: 6s}";

pub struct Simulated {
    pub world: World,
    pub fleet: Fleet,
    kubeconfigs: BTreeMap<String, PathBuf>,
}

impl Simulated {
    /// The example with short leases, changed by `edit`, running; every agent has reported.
    pub async fn start(name: &str, edit: impl FnOnce(&Checkout)) -> Self {
        Self::start_in(World::new(name), name, edit).await
    }

    /// The same in this world.
    pub async fn start_in(mut world: World, name: &str, edit: impl FnOnce(&Checkout)) -> Self {
        world.checkout.copy("example-repo");
        world.checkout.edit("fleet.yaml", "spec:\n", &format!("spec:\n  {SHORT_LEASE}\n"));
        edit(&world.checkout);
        let clusters = clusters(&world.checkout);
        let config = FleetConfig::new(clusters.iter().map(ClusterConfig::from));
        let fleet = Fleet::start(config).await.expect("simulated clusters start");
        let files = fleet.write_kubeconfigs(&folder::fresh(name)).expect("kubeconfigs can be written");
        let names = fleet.members().iter().map(|member| member.name().to_owned());
        let kubeconfigs: BTreeMap<_, _> = names.zip(files).collect();
        world.checkout.push("the fleet");
        world.start_lead().await;
        for (cluster, kubeconfig) in &kubeconfigs {
            world.start_agent(cluster, kubeconfig);
        }
        let simulated = Self { world, fleet, kubeconfigs };
        simulated
            .statuses("all clusters to report", |statuses| {
                statuses.values().all(|status| *status == ClusterStatus::Ready)
            })
            .await;
        simulated
    }

    /// The cluster and its agent are gone, as after a power cut.
    pub fn kill(&mut self, cluster: &str) {
        self.member(cluster).kill();
        self.world.kill_agent(cluster);
    }

    /// Both come back, with all that they held.
    pub async fn revive(&mut self, cluster: &str) {
        self.member(cluster).resume().await.expect("its port is free again");
        self.world.start_agent(cluster, &self.kubeconfigs[cluster]);
    }

    /// `STOP` makes the agent hang, `CONT` lets it go on.
    pub fn signal_agent(&self, cluster: &str, signal: &str) {
        let mut kill = Command::new("kill");
        kill.arg(format!("-{signal}")).arg(self.world.agent_id(cluster).to_string());
        run_command(kill);
    }

    /// Where Deployments of QONNECT are, by looking into the clusters.
    pub fn deployments(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for member in self.fleet.members() {
            for object in member.objects("deployments.apps") {
                let label = "/metadata/labels/qonnect.io~1component";
                if let Some(component) = object.pointer(label).and_then(|label| label.as_str()) {
                    found.entry(component.into()).or_default().insert(member.name().into());
                }
            }
        }
        found
    }

    /// Waits until the leads see the clusters like this.
    pub async fn statuses(&self, what: &str, holds: impl Fn(&BTreeMap<String, ClusterStatus>) -> bool) {
        wait_for(what, PATIENCE, async || {
            let clusters = self.world.clusters().await?;
            let seen: BTreeMap<_, _> = clusters.into_iter().map(|one| (one.name, one.status)).collect();
            match holds(&seen) {
                true => Ok(()),
                false => Err(format!("{seen:?}\n{}", self.world.tails())),
            }
        })
        .await;
    }

    /// The subjects of the commits on the deploy branch, the newest first.
    pub fn commits(&self) -> Vec<String> {
        let branch = crate::world::DEPLOY;
        let fetched = format!("+refs/heads/{branch}:refs/remotes/origin/{branch}");
        self.world.checkout.git(&["fetch", "--quiet", "origin", &fetched]);
        let log = self.world.checkout.git(&["log", "--format=%s", &format!("origin/{branch}")]);
        log.lines().map(str::to_owned).collect()
    }

    fn member(&self, cluster: &str) -> &Member {
        self.fleet.member(cluster).expect("that cluster is simulated")
    }
}

/// The clusters whose documents a checkout holds.
pub fn clusters(checkout: &Checkout) -> Vec<Cluster> {
    let folder = checkout.folder().join("clusters");
    let entries = std::fs::read_dir(folder).expect("the example has clusters");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    let read = |path: PathBuf| std::fs::read_to_string(path).expect("the example is text");
    paths.into_iter().map(|path| yaml::from_str(&read(path)).expect("a cluster")).collect()
}
