//! Who may what: addresses, certificates, tokens.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use qonnect::api::client::{Client, Error, Options};
use qonnect::api::{self, Config, Parts, Tls};
use qonnect::lead::relay::Relay;
use qonnect::sim::{ClusterConfig, Fleet, FleetConfig};
use qonnect_schema::api::Registration;
use qonnect_schema::documents::fleet::Lease;
use qonnect_tests::folder::fresh;
use qonnect_tests::process::{Process, run, run_command};
use qonnect_tests::programs;
use qonnect_tests::wait::wait_for;
use reqwest::Method;
use tokio::sync::watch;

use super::{Lead, PATIENCE, fleet, open};

#[tokio::test]
async fn beyond_loopback_it_starts_only_with_tls_and_tokens() {
    let lead = Lead::start().await;
    let (_keep, revision) = watch::channel(None);
    let parts = Parts {
        consensus: lead.consensus.clone(),
        revision,
        review: Arc::default(),
        fetch: Arc::default(),
        liveness: Arc::default(),
        relay: Relay::default(),
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

    fn config(&self) -> Config {
        let tls = Tls { certificate: self.at("lead.pem"), key: self.at("lead.key"), client_authority: None };
        Config { tls: Some(tls), tokens: Some(self.at("tokens")), ..open() }
    }

    fn client(&self, lead: &Lead, token: &str) -> Client {
        let options = Options {
            leads: vec![lead.server.url()],
            token_file: Some(self.at(token)),
            authority: Some(self.at("ca.pem")),
            certificate: None,
        };
        Client::new(&options).unwrap()
    }
}

#[tokio::test]
async fn over_tls_each_token_opens_only_its_own_doors() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let secrets = Secrets::make();
    let lead = Lead::listen(secrets.config(), &Options::default(), Lease::default()).await;
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
    let release = "/v1alpha1/clusters/fog/release";
    assert_eq!(status("cluster-fog.token", Method::GET, release).await, 404, "nothing is published yet");
    for (token, reads, fetches) in [
        ("reader.token", 200, 403),
        ("hook.token", 403, 202),
        ("admin.token", 200, 202),
        ("cluster-edge.token", 403, 403),
    ] {
        assert_eq!(status(token, Method::PUT, fog).await, 403, "{token} must not speak for fog");
        assert_eq!(
            status(token, Method::GET, "/v1alpha1/clusters/fog/release").await,
            403,
            "{token}: secrets"
        );
        assert_eq!(status(token, Method::GET, "/v1alpha1/snapshot").await, reads, "{token}");
        assert_eq!(status(token, Method::POST, "/hooks/git").await, fetches, "{token}");
        assert_eq!(status(token, Method::GET, "/openapi.json").await, 200, "{token}");
    }
    std::fs::write(secrets.at("wrong.token"), "token-of-nobody-0123456789").unwrap();
    assert_eq!(status("wrong.token", Method::GET, "/v1alpha1/snapshot").await, 401);
}

/// What `qonnect certs` makes.
struct Issued {
    folder: PathBuf,
}

impl Issued {
    fn make() -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let issued = Self { folder: fresh("issued") };
        issued.issue(&["--lead", "lead-1", "--cluster", "fog,edge", "--tokens"]);
        issued
    }

    fn issue(&self, words: &[&str]) {
        let mut certs = Command::new(programs::qonnect());
        certs.arg("certs").arg("--out").arg(&self.folder).args(words);
        run_command(certs);
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn config(&self) -> Config {
        let tls = Tls {
            certificate: self.at("lead-1.pem"),
            key: self.at("lead-1.key"),
            client_authority: Some(self.at("ca.pem")),
        };
        Config { tls: Some(tls), tokens: Some(self.at("tokens")), ..open() }
    }

    /// Who shows the certificate of this name, the token of that one, or nothing.
    fn client(&self, lead: &Lead, certificate: Option<&str>, token: Option<&str>) -> Client {
        let pair = |name: &str| (self.at(&format!("{name}.pem")), self.at(&format!("{name}.key")));
        let options = Options {
            leads: vec![lead.server.url()],
            token_file: token.map(|name| self.at(&format!("{name}.token"))),
            authority: Some(self.at("ca.pem")),
            certificate: certificate.map(pair),
        };
        Client::new(&options).unwrap()
    }
}

async fn status(client: &Client, method: Method, path: &str) -> u16 {
    let registration =
        Registration { incarnation: 1, agent_version: "0".into(), kubernetes_version: "1".into() };
    match client.call::<_, serde_json::Value>(method, path, &registration).await {
        Ok(_) => 200,
        Err(Error::Refused { status, .. }) => status,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_certificate_says_who_asks_and_without_one_a_token_does() {
    let issued = Issued::make();
    let lead = Lead::listen(issued.config(), &Options::default(), Lease::default()).await;
    let fog = "/v1alpha1/clusters/fog/registration";
    for (who, registers, reads) in
        [("cluster-fog", 200, 403), ("cluster-edge", 403, 403), ("reader", 403, 200), ("admin", 403, 200)]
    {
        for client in [issued.client(&lead, Some(who), None), issued.client(&lead, None, Some(who))] {
            assert_eq!(status(&client, Method::PUT, fog).await, registers, "{who}");
            assert_eq!(status(&client, Method::GET, "/v1alpha1/snapshot").await, reads, "{who}");
        }
    }
    // The certificate goes before the token.
    let both = issued.client(&lead, Some("cluster-edge"), Some("cluster-fog"));
    assert_eq!(status(&both, Method::PUT, fog).await, 403);
    let nobody = issued.client(&lead, None, None);
    assert_eq!(status(&nobody, Method::GET, "/v1alpha1/snapshot").await, 401);
    // A lead's certificate is for other leads.
    let peer = issued.client(&lead, Some("lead-1"), None);
    assert_eq!(status(&peer, Method::GET, "/v1alpha1/snapshot").await, 401);
    let strangers = Issued::make();
    let options = Options {
        leads: vec![lead.server.url()],
        authority: Some(issued.at("ca.pem")),
        certificate: Some((strangers.at("admin.pem"), strangers.at("admin.key"))),
        ..Options::default()
    };
    let refused = Client::new(&options).unwrap().snapshot().await;
    assert!(matches!(refused, Err(Error::Nobody { .. })), "{refused:?}");
}

#[tokio::test]
async fn renewed_certificates_and_new_tokens_need_no_restart() {
    let issued = Issued::make();
    let lead = Lead::listen(issued.config(), &Options::default(), Lease::default()).await;
    issued.issue(&["--cluster", "fog,edge,cloud", "--tokens"]);
    let cloud = issued.client(&lead, None, Some("cluster-cloud"));
    wait_for("the new token to count", PATIENCE, async || {
        // Known, and refused for reading.
        match status(&cloud, Method::GET, "/v1alpha1/snapshot").await {
            403 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    let others = Issued::make();
    for file in ["lead-1.key", "lead-1.pem", "ca.pem"] {
        std::fs::copy(others.at(file), issued.at(file)).unwrap();
    }
    wait_for("the new certificate", PATIENCE, async || {
        let admin = others.client(&lead, Some("admin"), None);
        admin.snapshot().await.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_shows_the_certificate_of_its_cluster() {
    let issued = Issued::make();
    let lead =
        Lead::listen(Config { tokens: None, ..issued.config() }, &Options::default(), Lease::default()).await;
    let cluster = ClusterConfig::from(&fleet(Lease::default()).clusters["fog"]);
    let simulated = Fleet::start(FleetConfig::new([cluster])).await.unwrap();
    let kubeconfigs = simulated.write_kubeconfigs(&issued.folder).unwrap();
    let config = serde_json::json!({
        "cluster": "fog", "data": issued.at("agent"), "leads": [lead.server.url()],
        "authority": issued.at("ca.pem"), "kubeconfig": kubeconfigs[0],
        "certificate": issued.at("agent.pem"), "key": issued.at("agent.key"),
        // Not there: what counts here is whether the leads hear it.
        "repository": {"url": "http://127.0.0.1:9/fleet.git"},
    });
    std::fs::write(issued.at("agent.yaml"), config.to_string()).unwrap();
    let wear = |whose: &str| {
        for ending in ["pem", "key"] {
            std::fs::copy(issued.at(&format!("{whose}.{ending}")), issued.at(&format!("agent.{ending}")))
                .unwrap();
        }
    };
    wear("cluster-edge");
    let mut agent = Command::new(programs::agent());
    agent.arg("--config").arg(issued.at("agent.yaml"));
    let agent = Process::start("agent", agent, &issued.at("agent.log")).unwrap();
    wait_for("the agent of another cluster to be refused", PATIENCE, async || {
        if agent.log().contains("Forbidden") { Ok(()) } else { Err(agent.tail()) }
    })
    .await;
    assert!(lead.consensus.knowledge().clusters.is_empty());
    wear("cluster-fog");
    wait_for("it to register with its own", PATIENCE, async || {
        let known = lead.consensus.knowledge().clusters.contains_key("fog");
        if known { Ok(()) } else { Err(agent.tail()) }
    })
    .await;
}
