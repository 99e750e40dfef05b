//! Who may what: addresses, certificates, tokens.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use qonnect::api::client::{Client, Error, Options};
use qonnect::api::{self, Config, Parts, Tls};
use qonnect_schema::api::Registration;
use qonnect_schema::documents::fleet::Lease;
use qonnect_tests::folder::fresh;
use qonnect_tests::process::run;
use reqwest::Method;
use tokio::sync::watch;

use super::{Lead, open};

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
