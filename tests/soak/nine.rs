//! The example on nine real control planes: each of them dies, with its agent, and comes back.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use qonnect_schema::layout::label;
use qonnect_tests::member::Member;
use qonnect_tests::simulated::{PATIENCE, SHORT_LEASE, clusters};
use qonnect_tests::wait::wait_for;
use qonnect_tests::world::World;

struct Nine {
    world: World,
    members: BTreeMap<String, Member>,
    /// To those that are alive.
    clients: BTreeMap<String, Client>,
}

/// By component, the clusters that hold it, and whether all of it is Ready there.
type Places = BTreeMap<String, BTreeMap<String, bool>>;

impl Nine {
    async fn start() -> Self {
        let mut world = World::new("nine");
        world.checkout.copy("example-repo");
        world.checkout.edit("fleet.yaml", "spec:\n", &format!("spec:\n  {SHORT_LEASE}\n"));
        world.checkout.push("the fleet");
        world.start_lead().await;
        let clusters = clusters(&world.checkout);
        let members = join_all(clusters.iter().map(Member::start)).await;
        let mut nine = Self { world, members: BTreeMap::new(), clients: BTreeMap::new() };
        for member in members {
            let name = member.plane.name().to_owned();
            nine.members.insert(name.clone(), member);
            nine.connect(&name).await;
        }
        nine
    }

    async fn connect(&mut self, cluster: &str) {
        let plane = &self.members[cluster].plane;
        self.world.start_agent(cluster, &plane.kubeconfig_path());
        self.clients.insert(cluster.into(), plane.client().await);
    }

    fn kill(&mut self, cluster: &str) {
        self.clients.remove(cluster);
        self.members.get_mut(cluster).expect("one of the nine").plane.stop();
        self.world.kill_agent(cluster);
    }

    async fn revive(&mut self, cluster: &str) {
        self.members.get_mut(cluster).expect("one of the nine").plane.resume().await;
        self.connect(cluster).await;
    }

    async fn places(&self) -> Result<Places, String> {
        let mut places = Places::new();
        for (cluster, client) in &self.clients {
            let ours = ListParams::default().labels(&format!("{}={}", label::MANAGED_BY, label::QONNECT));
            let deployments: Api<Deployment> = Api::all(client.clone());
            for one in deployments.list(&ours).await.map_err(|error| error.to_string())? {
                let ready = one.status.as_ref().and_then(|status| status.ready_replicas) == Some(1);
                let component = one.labels()[label::COMPONENT].clone();
                let all = places.entry(component).or_default().entry(cluster.clone()).or_insert(true);
                *all &= ready;
            }
        }
        Ok(places)
    }

    /// Waits until every component is Ready on one living cluster and, of those, nowhere else.
    async fn settles(&self, what: &str, components: &BTreeSet<String>) {
        wait_for(what, PATIENCE, async || {
            let places = self.places().await?;
            let settled = |on: &BTreeMap<String, bool>| on.len() == 1 && on.values().all(|ready| *ready);
            let all = places.keys().eq(components) && places.values().all(settled);
            if all { Ok(()) } else { Err(format!("{places:?}\n{}", self.world.tails())) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_nine_control_planes_dies_and_returns() {
    let mut nine = Nine::start().await;
    let components: BTreeSet<String> =
        ["details", "productpage", "ratings", "reviews"].map(String::from).into();
    nine.settles("the example", &components).await;
    let names: Vec<String> = nine.members.keys().cloned().collect();
    assert_eq!(names.len(), 9);
    for dead in names {
        nine.kill(&dead);
        nine.settles(&format!("everything without {dead}"), &components).await;
        nine.revive(&dead).await;
        nine.settles(&format!("everything once, with {dead}"), &components).await;
        nine.world.settled(PATIENCE).await;
    }
}
