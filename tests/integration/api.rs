//! The HTTP API of a lead, over real sockets: agents and readers on one side, a Knowledge Base on a disk on the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use jiff::Timestamp;
use qonnect::api::client::{Client, Error, Options};
use qonnect::api::{self, Config, Parts, Server};
use qonnect::consensus::{self, Consensus};
use qonnect::lead::liveness::Liveness;
use qonnect::lead::relay::Relay;
use qonnect_core::knowledge::Change;
use qonnect_schema::api::{
    ClusterView, Event, EventSeverity, Grant, Heartbeat, NodeView, Registration, ReleaseHint, Report,
};
use qonnect_schema::documents::fleet::Lease;
use qonnect_schema::documents::snapshot::{ClusterStatus, Node};
use qonnect_schema::revision::{ApplicationSource, Revision};
use qonnect_schema::units::Span;
use qonnect_schema::{Application, Cluster, ClusterSpec, FleetSpec, yaml};
use qonnect_tests::folder::fresh;
use qonnect_tests::wait::wait_for;
use reqwest::Method;
use tokio::sync::{Notify, watch};

mod access;
mod description;
mod hooks;
mod metrics;

const PATIENCE: Duration = Duration::from_secs(30);

/// A lead without its git half.
struct Lead {
    consensus: Consensus,
    server: Server,
    client: Client,
    fetch: Arc<Notify>,
    review: Arc<Notify>,
    _revision: watch::Sender<Option<Arc<Revision>>>,
}

impl Lead {
    async fn start() -> Self {
        Self::listen(open(), &Options::default(), Lease::default()).await
    }

    async fn listen(config: Config, options: &Options, lease: Lease) -> Self {
        let consensus = Consensus::start(consensus::Config { data: fresh("api"), node: 1 }).await.unwrap();
        let mut leadership = consensus.leadership();
        tokio::time::timeout(PATIENCE, leadership.wait_for(Option::is_some)).await.unwrap().unwrap();
        let (keep, revision) = watch::channel(Some(Arc::new(fleet(lease))));
        let (fetch, review) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let liveness = Arc::new(Liveness::default());
        let (counter, counted, seen) = (liveness.clone(), consensus.clone(), revision.clone());
        tokio::spawn(async move { counter.run(counted, seen).await });
        let parts = Parts {
            consensus: consensus.clone(),
            revision,
            fetch: fetch.clone(),
            review: review.clone(),
            liveness,
            relay: Relay::default(),
        };
        let server = api::serve(&config, parts).await.unwrap();
        let client = Client::new(&Options { leads: vec![server.url()], ..options.clone() }).unwrap();
        Self { consensus, server, client, fetch, review, _revision: keep }
    }

    async fn register(&self, cluster: &str, incarnation: u64) -> Result<Grant, Error> {
        let registration =
            Registration { incarnation, agent_version: "0.1.0".into(), kubernetes_version: "1.33".into() };
        let path = format!("/v1alpha1/clusters/{cluster}/registration");
        self.client.call(Method::PUT, &path, &registration).await
    }

    async fn heartbeat(&self, cluster: &str, generation: u64, wait: &str) -> Result<Grant, Error> {
        let digest = (generation > 0).then(|| format!("sha256:{generation}"));
        let heartbeat = Heartbeat { incarnation: 1, digest, generation, leased: false };
        let path = format!("/v1alpha1/clusters/{cluster}/heartbeat?wait={wait}");
        self.client.call(Method::POST, &path, &heartbeat).await
    }

    async fn report(&self, cluster: &str, report: &Report) -> Result<Grant, Error> {
        self.client.call(Method::PUT, &format!("/v1alpha1/clusters/{cluster}/report"), report).await
    }

    async fn release(&self, generation: u64) {
        let hint = ReleaseHint { commit: "c".into(), generation, digest: format!("sha256:{generation}") };
        let releases = BTreeMap::from([("fog".to_owned(), hint)]);
        let change = Change::Deployed { placements: BTreeMap::new(), releases };
        self.consensus.propose(self.consensus.command(change)).await.unwrap();
    }

    async fn tell(&self, message: &str) {
        let change = Change::Event {
            severity: EventSeverity::Normal,
            reason: "Test".into(),
            regarding: "test".into(),
            message: message.into(),
        };
        self.consensus.propose(self.consensus.command(change)).await.unwrap();
    }
}

fn open() -> Config {
    Config { listen: "127.0.0.1:0".parse().unwrap(), tls: None, tokens: None, github: None }
}

fn fleet(lease: Lease) -> Revision {
    let cluster = |name: &str| Cluster::new(name, ClusterSpec { tier: name.into(), ..Default::default() });
    let application: Application = yaml::from_str(
        "{apiVersion: qonnect.io/v1alpha1, kind: Application, metadata: {name: shop}, \
          spec: {objectives: {cost: 1}, components: [{name: web, manifests: [web.yaml]}]}}",
    )
    .unwrap();
    let source = ApplicationSource {
        commit: "r1".into(),
        application,
        manifests: BTreeMap::from([("web".into(), vec![])]).into(),
    };
    Revision {
        commit: "r1".into(),
        time: Timestamp::UNIX_EPOCH,
        fleet: FleetSpec { lease, ..Default::default() },
        clusters: ["fog", "edge"].map(|name| (name.to_owned(), cluster(name))).into(),
        signals: BTreeMap::new(),
        applications: BTreeMap::from([("shop".into(), Arc::new(source))]),
    }
}

fn report(seq: u64) -> Report {
    let node = Node { name: format!("worker-{seq}"), ready: true, ..Default::default() };
    Report { incarnation: 1, seq, nodes: Some(vec![node]), ..Default::default() }
}

fn refusal(result: Result<Grant, Error>) -> (u16, String, String) {
    match result {
        Err(Error::Refused { status, reason, message }) => (status, reason, message),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn an_agent_registers_and_reports_and_readers_see_it() {
    let lead = Lead::start().await;
    assert!(lead.heartbeat("fog", 0, "0s").await.unwrap().register, "a stranger is asked to register");
    assert!(!lead.register("fog", 1).await.unwrap().register);
    assert!(!lead.heartbeat("fog", 0, "0s").await.unwrap().register);
    lead.report("fog", &report(1)).await.unwrap();

    let clusters = lead.client.list::<ClusterView>().await.unwrap().items;
    let seen: Vec<_> = clusters.iter().map(|view| (&*view.name, view.status, view.nodes)).collect();
    assert_eq!(seen, [("edge", ClusterStatus::Unknown, 0), ("fog", ClusterStatus::Ready, 1)]);
    let nodes = lead.client.list::<NodeView>().await.unwrap().items;
    assert_eq!(nodes[0].node.name, "worker-1");
    let snapshot = lead.client.snapshot().await.unwrap();
    assert_eq!(snapshot.spec.clusters["fog"].seq, 1);
}

#[tokio::test]
async fn a_report_that_says_nothing_new_is_not_logged() {
    let lead = Lead::start().await;
    lead.register("fog", 1).await.unwrap();
    lead.report("fog", &report(1)).await.unwrap();
    let index = lead.consensus.knowledge().index;
    lead.report("fog", &Report { seq: 2, ..report(1) }).await.unwrap();
    lead.heartbeat("fog", 0, "0s").await.unwrap();
    assert_eq!(lead.consensus.knowledge().index, index);
}

#[tokio::test]
async fn who_wants_a_cluster_to_reconcile_is_heard_by_its_agent() {
    let lead = Lead::start().await;
    let unknown = lead.client.reconcile("fog").await.unwrap_err().to_string();
    assert!(unknown.contains("no agent has registered for `fog`"), "{unknown}");
    lead.register("fog", 1).await.unwrap();
    assert_eq!(lead.heartbeat("fog", 0, "0s").await.unwrap().reconcile, None);
    lead.client.reconcile("fog").await.unwrap();
    let asked = lead.heartbeat("fog", 0, "0s").await.unwrap().reconcile;
    assert!(asked.is_some());
    lead.client.reconcile("fog").await.unwrap();
    assert!(lead.heartbeat("fog", 0, "0s").await.unwrap().reconcile > asked);
}

#[tokio::test]
async fn who_does_not_belong_is_told_what_to_do() {
    let lead = Lead::start().await;
    let (status, reason, message) = refusal(lead.register("moon", 1).await);
    assert_eq!((status, &*reason), (404, "NotFound"));
    assert!(message.contains("clusters/moon.yaml"), "{message}");

    lead.register("fog", 5).await.unwrap();
    for old in [
        lead.register("fog", 4).await,
        lead.heartbeat("fog", 0, "0s").await,
        lead.report("fog", &report(1)).await,
    ] {
        assert_eq!(refusal(old).1, "Superseded");
    }
    let unknown = lead.client.explain("nothing").await.unwrap_err().to_string();
    assert!(unknown.contains("no application `nothing`"), "{unknown}");
}

#[tokio::test]
async fn a_heartbeat_that_waits_is_answered_as_soon_as_the_release_differs() {
    let lead = Lead::start().await;
    lead.register("fog", 1).await.unwrap();
    lead.release(1).await;
    let known = lead.heartbeat("fog", 0, "25s").await.unwrap();
    assert_eq!(known.release.unwrap().generation, 1, "what differs already is told at once");

    let start = Instant::now();
    let (told, ()) = tokio::join!(lead.heartbeat("fog", 1, "25s"), async {
        // Neither another cluster's news nor a report may wake it.
        lead.report("fog", &report(1)).await.unwrap();
        lead.release(2).await;
    });
    assert_eq!(told.unwrap().release.unwrap().generation, 2);
    assert!(start.elapsed() < Duration::from_secs(4), "it waited for its end: {:?}", start.elapsed());
}

#[tokio::test]
async fn a_heartbeat_never_waits_longer_than_the_lease_wants_signs_of_life() {
    let lease = Lease { heartbeat: Span(200), ..Default::default() };
    let lead = Lead::listen(open(), &Options::default(), lease).await;
    lead.register("fog", 1).await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(20), lead.heartbeat("fog", 0, "25s")).await;
    assert_eq!(answer.expect("an answer after 200 ms").unwrap().heartbeat_ms, 200);
}

#[tokio::test]
async fn silence_makes_a_cluster_suspect_then_lost_and_a_word_makes_it_ready() {
    let lease = Lease { heartbeat: Span(100), suspect_after: Span(1_000), lost_after: Span(3_000) };
    let lead = Lead::listen(open(), &Options::default(), lease).await;
    lead.register("fog", 1).await.unwrap();
    let mut changes = lead.consensus.changes();
    let mut seen = Vec::new();
    while seen.last() != Some(&ClusterStatus::Lost) {
        let status = changes.borrow_and_update().clusters["fog"].status;
        if seen.last() != Some(&status) {
            seen.push(status);
        }
        if status != ClusterStatus::Lost {
            tokio::time::timeout(PATIENCE, changes.changed()).await.unwrap().unwrap();
        }
    }
    assert_eq!(seen, [ClusterStatus::Ready, ClusterStatus::Suspect, ClusterStatus::Lost]);
    wait_for("the cluster to be Ready again", PATIENCE, async || {
        lead.heartbeat("fog", 0, "0s").await.unwrap();
        let status = lead.consensus.knowledge().clusters["fog"].status;
        if status == ClusterStatus::Ready { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
}

#[tokio::test]
async fn a_watch_sends_its_list_at_once_and_after_each_change_of_it() {
    let lead = Lead::start().await;
    let mut events = lead.client.watch::<Event>().await.unwrap();
    let mut clusters = lead.client.watch::<ClusterView>().await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().items, []);
    assert_eq!(clusters.next().await.unwrap().unwrap().items.len(), 2);
    lead.tell("hello").await;
    let told = tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(told.items[0].message, "hello");
    // The event changed no cluster: the next line of that watch is of what follows.
    lead.register("edge", 1).await.unwrap();
    let told = tokio::time::timeout(PATIENCE, clusters.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(told.items[0].status, ClusterStatus::Ready);
}

#[tokio::test]
async fn a_burst_of_reports_is_taken_in() {
    let lead = Lead::start().await;
    for cluster in ["fog", "edge"] {
        lead.register(cluster, 1).await.unwrap();
    }
    let mut all = Vec::new();
    for seq in 1..=50 {
        all.extend(["fog", "edge"].map(|cluster| (cluster, report(seq))));
    }
    let answers = join_all(all.iter().map(|(cluster, report)| lead.report(cluster, report))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let knowledge = lead.consensus.knowledge();
    assert_eq!((knowledge.clusters["fog"].seq, knowledge.clusters["edge"].seq), (50, 50));
}

#[tokio::test]
async fn the_hook_says_that_the_spec_branch_has_moved() {
    let lead = Lead::start().await;
    lead.client.hook().await.unwrap();
    tokio::time::timeout(PATIENCE, lead.fetch.notified()).await.expect("the lead was told");
}
