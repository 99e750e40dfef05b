//! What must not run twice on a cluster that is cut off: it ends there before it begins elsewhere, by looking into the
//! clusters all the time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use qonnect_schema::documents::snapshot::ClusterStatus;
use qonnect_tests::folder;
use qonnect_tests::network::{Network, Traffic};
use qonnect_tests::proxy::Proxy;
use qonnect_tests::simulated::{PATIENCE, Simulated};
use qonnect_tests::wait::wait_for;
use serde_json::Value;
use url::Url;

/// Where the cheapest energy is.
const CUT_OFF: &str = "edge-energy";

/// Between two looks into all clusters.
const LOOK: Duration = Duration::from_millis(20);

/// A cluster is lost after six seconds here, and leases have ended forty-five later.
const LEASES_END: Duration = Duration::from_secs(51);

/// The agent of one cluster in a network of its own, and the only ways out of it.
struct Apart {
    network: Network,
    lead: Proxy,
    git: Proxy,
    _api: Proxy,
}

impl Apart {
    async fn start(fleet: &mut Simulated) -> Self {
        let network = Network::new(&[CUT_OFF.to_owned()]);
        let here = network.here();
        let to = |url: &str| Url::parse(url).unwrap().socket_addrs(|| None).unwrap()[0];
        let member = fleet.fleet.member(CUT_OFF).unwrap();
        let (lead, git) = (to(&fleet.world.url()), to(fleet.world.repository()));
        let lead = Proxy::start_at(here, lead).await;
        let git = Proxy::start_at(here, git).await;
        let api = Proxy::start_at(here, to(&member.url())).await;
        let kubeconfig = folder::fresh("leases-apart").join("kubeconfig");
        let url = format!("http://{}", api.address);
        std::fs::write(&kubeconfig, member.kubeconfig().replace(&member.url(), &url)).unwrap();
        let repository = at(fleet.world.repository(), git.address);
        let command =
            fleet.world.agent(CUT_OFF, &kubeconfig, &at(&fleet.world.url(), lead.address), &repository);
        fleet.world.kill_agent(CUT_OFF);
        fleet.world.launch_agent(CUT_OFF, network.enter(CUT_OFF, &command));
        Self { network, lead, git, _api: api }
    }

    /// From the leads and from Git, but not from its cluster.
    fn cut_off(&self) {
        for way in [&self.lead, &self.git] {
            let (own, here) = (self.network.address(CUT_OFF), self.network.here());
            self.network.cut(own, here, Traffic::To(way.address.port()));
        }
    }
}

/// The same path at another address.
fn at(url: &str, address: SocketAddr) -> String {
    let mut url = Url::parse(url).unwrap();
    url.set_ip_host(address.ip()).unwrap();
    url.set_port(Some(address.port())).unwrap();
    url.to_string()
}

/// Each cluster that holds the component, and how many replicas it wants.
fn ratings(fleet: &Simulated) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for member in fleet.fleet.members() {
        for object in member.objects("deployments.apps") {
            if object.pointer("/metadata/labels/qonnect.io~1component").and_then(Value::as_str)
                == Some("ratings")
            {
                found.push((member.name().into(), object["spec"]["replicas"].as_u64().unwrap()));
            }
        }
    }
    found
}

/// Looks until it is so, and sees it never run twice.
async fn never_twice(fleet: &Simulated, what: &str, is_so: impl Fn(&[(String, u64)]) -> bool) {
    let start = Instant::now();
    loop {
        let found = ratings(fleet);
        let running = found.iter().filter(|(_, replicas)| *replicas > 0).count();
        assert!(running <= 1, "it runs twice: {found:?}\n{}", fleet.world.tails());
        if is_so(&found) {
            return;
        }
        let patience = LEASES_END + PATIENCE;
        assert!(start.elapsed() < patience, "no {what}: {found:?}\n{}", fleet.world.tails());
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_by_a_lease_ends_on_a_cluster_that_is_cut_off_before_it_begins_elsewhere() {
    let mut fleet = Simulated::start("leases", |checkout| {
        let leased = "- name: ratings\n      strategy: recreate\n      onLost: afterLease\n";
        checkout.edit("apps/bookinfo/application.yaml", "- name: ratings\n", leased);
        let grace = "      terminationGracePeriodSeconds: 0\n      containers:\n        - name: ratings\n";
        let containers = "      containers:\n        - name: ratings\n";
        checkout.edit("apps/bookinfo/ratings.yaml", containers, grace);
    })
    .await;
    never_twice(&fleet, "first placement", |found| found == [(CUT_OFF.into(), 1)]).await;
    fleet.world.settled(PATIENCE).await;
    let apart = Apart::start(&mut fleet).await;
    never_twice(&fleet, "word of the agent", |_| apart.lead.received() > 0).await;
    fleet.world.settled(PATIENCE).await;

    apart.cut_off();
    let cut = Instant::now();
    never_twice(&fleet, "end of the lease", |found| found == [(CUT_OFF.into(), 0)]).await;
    never_twice(&fleet, "new place", |found| {
        found.iter().any(|(cluster, running)| cluster != CUT_OFF && *running == 1)
    })
    .await;
    assert!(cut.elapsed() > LEASES_END, "it is placed before every lease has ended");

    apart.network.heal();
    never_twice(&fleet, "clean-up", |found| found.len() == 1 && found[0].0 != CUT_OFF).await;
    fleet
        .statuses("all clusters to be Ready", |seen| seen.values().all(|one| *one == ClusterStatus::Ready))
        .await;
    fleet.world.settled(PATIENCE).await;
    wait_for("the whole story", PATIENCE, async || {
        let events = fleet.world.events().await?;
        let told = |reason: &&str| events.iter().any(|event| event.reason == *reason);
        let missing: Vec<_> = ["LeaseExpired", "LeaseEnded", "LeaseRenewed"]
            .into_iter()
            .filter(|reason| !told(reason))
            .collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("no {missing:?} among {events:#?}")) }
    })
    .await;
}
