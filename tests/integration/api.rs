//! The HTTP API of a lead, over real sockets: agents and readers on one side, a Knowledge Base on a disk on the other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use jiff::Timestamp;
use qonnect::api::client::{Client, Error, Options};
use qonnect::api::{self, Config, Parts, Server, Tls};
use qonnect::consensus::{self, Consensus};
use qonnect::lead::liveness::Liveness;
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
use qonnect_tests::process::run;
use qonnect_tests::wait::wait_for;
use reqwest::Method;
use tokio::sync::{Notify, watch};

const PATIENCE: Duration = Duration::from_secs(30);

/// A lead without its git half.
struct Lead {
    consensus: Consensus,
    server: Server,
    client: Client,
    fetch: Arc<Notify>,
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
        let (fetch, liveness) = (Arc::new(Notify::new()), Arc::new(Liveness::default()));
        let (counter, counted, seen) = (liveness.clone(), consensus.clone(), revision.clone());
        tokio::spawn(async move { counter.run(counted, seen).await });
        let parts = Parts { consensus: consensus.clone(), revision, fetch: fetch.clone(), liveness };
        let server = api::serve(&config, parts).await.unwrap();
        let client = Client::new(&Options { leads: vec![server.url()], ..options.clone() }).unwrap();
        Self { consensus, server, client, fetch, _revision: keep }
    }

    async fn register(&self, cluster: &str, incarnation: u64) -> Result<Grant, Error> {
        let registration =
            Registration { incarnation, agent_version: "0.1.0".into(), kubernetes_version: "1.33".into() };
        let path = format!("/v1alpha1/clusters/{cluster}/registration");
        self.client.call(Method::PUT, &path, &registration).await
    }

    async fn heartbeat(&self, cluster: &str, generation: u64, wait: &str) -> Result<Grant, Error> {
        let digest = (generation > 0).then(|| format!("sha256:{generation}"));
        let heartbeat = Heartbeat { incarnation: 1, digest, generation };
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
    Config { listen: "127.0.0.1:0".parse().unwrap(), tls: None, tokens: None }
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
        manifests: BTreeMap::from([("web".into(), vec![])]),
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
    Report { incarnation: 1, seq, nodes: vec![node], ..Default::default() }
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

#[tokio::test]
async fn malformed_requests_are_problems_and_no_more() {
    let lead = Lead::start().await;
    let http = reqwest::Client::new();
    let url = lead.server.url();
    let too_large = vec![b' '; 9 << 20];
    for (method, path, body, status, reason) in [
        (Method::PUT, "/v1alpha1/clusters/fog/report", b"{".to_vec(), 400, "BadBody"),
        (
            Method::PUT,
            "/v1alpha1/clusters/fog/report",
            b"{\"incarnation\":1,\"x\":2}".to_vec(),
            400,
            "BadBody",
        ),
        (Method::PUT, "/v1alpha1/clusters/fog/report", too_large, 413, "TooLarge"),
        (
            Method::POST,
            "/v1alpha1/clusters/fog/heartbeat?wait=long",
            b"{\"incarnation\":1,\"generation\":0}".to_vec(),
            400,
            "BadQuery",
        ),
        (Method::GET, "/v1alpha1/clusters?wat=1", vec![], 400, "BadQuery"),
        (Method::GET, "/v1alpha1/nothing", vec![], 404, "NotFound"),
        (Method::DELETE, "/v1alpha1/clusters", vec![], 405, "MethodNotAllowed"),
    ] {
        let answer = http.request(method.clone(), format!("{url}{path}")).body(body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
        let problem: qonnect_schema::api::Problem = answer.json().await.unwrap();
        assert_eq!(problem.reason, reason, "{method} {path}: {}", problem.message);
    }
}

#[tokio::test]
async fn every_answer_is_as_the_openapi_document_describes_it() {
    let lead = Lead::start().await;
    lead.register("fog", 1).await.unwrap();
    lead.report("fog", &report(1)).await.unwrap();
    lead.release(1).await;
    let http = reqwest::Client::new();
    let url = lead.server.url();
    let get = async |path: &str| http.get(format!("{url}{path}")).send().await.unwrap();
    let document: serde_json::Value = get("/openapi.json").await.json().await.unwrap();
    let paths = document["paths"].as_object().unwrap();
    let described: Vec<_> = paths.keys().map(String::as_str).collect();
    for path in ["clusters", "nodes", "applications", "placements", "revisions", "events", "snapshot"] {
        assert!(described.contains(&&*format!("/v1alpha1/{path}")), "{path} is not described");
    }
    let mut checked = 0;
    for (path, operations) in paths {
        let Some(get_it) = operations.get("get") else { continue };
        let asked = path.replace("{application}", "shop");
        let answer = get(&asked).await;
        assert!(answer.status().is_success(), "GET {asked} gave {}", answer.status());
        let Some(schema) = get_it.pointer("/responses/200/content/application~1json/schema") else {
            continue;
        };
        let answer: serde_json::Value = answer.json().await.unwrap();
        conforms(&document, schema, &answer, path);
        checked += 1;
    }
    assert!(checked >= 8, "only {checked} answers were checked");
    let grant = lead.heartbeat("fog", 1, "0s").await.unwrap();
    let schema = &paths["/v1alpha1/clusters/{name}/heartbeat"]["post"]["responses"]["200"]["content"]["application/json"]
        ["schema"];
    conforms(&document, schema, &serde_json::to_value(grant).unwrap(), "grant");
}

/// References of the schema point into the document.
fn conforms(
    document: &serde_json::Value,
    schema: &serde_json::Value,
    answer: &serde_json::Value,
    what: &str,
) {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    let validator = jsonschema::options().offline().build(&whole).unwrap();
    let faults: Vec<_> =
        validator.iter_errors(answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(faults.is_empty(), "{what}: {faults:?}");
}

#[tokio::test]
async fn beyond_loopback_it_starts_only_with_tls_and_tokens() {
    let lead = Lead::start().await;
    let (_keep, revision) = watch::channel(None);
    let parts = Parts {
        consensus: lead.consensus.clone(),
        revision,
        fetch: Arc::default(),
        liveness: Arc::default(),
    };
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let refused = api::serve(&Config { listen: everywhere, ..open() }, parts).await.err().unwrap();
    assert!(matches!(refused, api::Error::Open(address) if address == everywhere), "{refused}");
}

/// Certificates and tokens of a small fleet.
struct Secrets {
    folder: PathBuf,
}

impl Secrets {
    fn make() -> Self {
        let folder = fresh("secrets");
        let at = |name: &str| folder.join(name).display().to_string();
        let authority =
            ["-x509", "-subj", "/CN=test authority", "-keyout", &at("ca.key"), "-out", &at("ca.pem")];
        let key = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        run("openssl", &[&key[..], &authority].concat());
        std::fs::write(at("ext"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n").unwrap();
        let request = ["-subj", "/CN=lead-1", "-keyout", &at("lead.key"), "-out", &at("lead.csr")];
        run("openssl", &[&key[..6], &request].concat());
        let sign = [
            "x509",
            "-req",
            "-in",
            &at("lead.csr"),
            "-CA",
            &at("ca.pem"),
            "-CAkey",
            &at("ca.key"),
            "-CAcreateserial",
        ];
        run(
            "openssl",
            &[&sign[..], &["-days", "2", "-extfile", &at("ext"), "-out", &at("lead.pem")]].concat(),
        );
        for identity in ["cluster/fog", "cluster/edge", "reader", "hook", "admin"] {
            let line = format!("{identity} token-of-{}-0123456789\n", identity.replace('/', "-"));
            let mut all = std::fs::read_to_string(at("tokens")).unwrap_or_default();
            all.push_str(&line);
            std::fs::write(at("tokens"), all).unwrap();
            let token = line.split_once(' ').unwrap().1;
            std::fs::write(at(&format!("{}.token", identity.replace('/', "-"))), token).unwrap();
        }
        Self { folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn config(&self, client_authority: Option<PathBuf>) -> Config {
        let tls = Tls { certificate: self.at("lead.pem"), key: self.at("lead.key"), client_authority };
        Config { tls: Some(tls), tokens: Some(self.at("tokens")), ..open() }
    }

    fn client(&self, lead: &Lead, token: &str) -> Client {
        let options = Options {
            leads: vec![lead.server.url()],
            token_file: Some(self.at(token)),
            authority: Some(self.at("ca.pem")),
        };
        Client::new(&options).unwrap()
    }
}

#[tokio::test]
async fn over_tls_each_token_opens_only_its_own_doors() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let secrets = Secrets::make();
    let lead = Lead::listen(secrets.config(None), &Options::default(), Lease::default()).await;
    assert!(lead.server.url().starts_with("https://"));

    let status = async |token: &str, method: Method, path: &str| {
        let registration =
            Registration { incarnation: 1, agent_version: "0".into(), kubernetes_version: "1".into() };
        let client = secrets.client(&lead, token);
        match client.call::<_, serde_json::Value>(method, path, &registration).await {
            Ok(_) => 200,
            Err(Error::Refused { status, .. }) => status,
            // Accepted, with nothing to read.
            Err(Error::Nonsense { .. }) => 202,
            Err(other) => panic!("{other}"),
        }
    };
    let fog = "/v1alpha1/clusters/fog/registration";
    assert_eq!(status("cluster-fog.token", Method::PUT, fog).await, 200);
    for (token, reads, fetches) in [
        ("reader.token", 200, 403),
        ("hook.token", 403, 202),
        ("admin.token", 200, 202),
        ("cluster-edge.token", 403, 403),
    ] {
        assert_eq!(status(token, Method::PUT, fog).await, 403, "{token} must not speak for fog");
        assert_eq!(status(token, Method::GET, "/v1alpha1/snapshot").await, reads, "{token}");
        assert_eq!(status(token, Method::POST, "/hooks/git").await, fetches, "{token}");
        assert_eq!(status(token, Method::GET, "/openapi.json").await, 200, "{token}");
    }
    std::fs::write(secrets.at("wrong.token"), "token-of-nobody-0123456789").unwrap();
    assert_eq!(status("wrong.token", Method::GET, "/v1alpha1/snapshot").await, 401);
}

#[tokio::test]
async fn with_a_client_authority_nobody_without_a_certificate_gets_in() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let secrets = Secrets::make();
    let config = secrets.config(Some(secrets.at("ca.pem")));
    let lead = Lead::listen(config, &Options::default(), Lease::default()).await;
    let refused = secrets.client(&lead, "reader.token").snapshot().await;
    assert!(matches!(refused, Err(Error::Nobody { .. })), "{refused:?}");
}
