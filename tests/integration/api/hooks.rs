//! Deliveries of GitHub's webhooks: signed, for this repository and branch, and counted once.

use std::path::PathBuf;

use qonnect::api::client::Options;
use qonnect::api::{Config, Github};
use qonnect_schema::documents::fleet::Lease;
use qonnect_tests::folder::fresh;
use qonnect_tests::process::run;
use qonnect_tests::wait::wait_for;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{Lead, PATIENCE, open};

/// Secret, payload and signature as GitHub's documentation gives them for trying an implementation.
const SECRET: &str = "It's a Secret to Everybody";
const PAYLOAD: &str = "Hello, World!";
const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

struct Hub {
    lead: Lead,
    http: reqwest::Client,
    secret: PathBuf,
}

impl Hub {
    async fn new() -> Self {
        let folder = fresh("webhook");
        let secret = folder.join("secret");
        std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
        let repository = "git@github.com:Codertocat/Hello-World.git".to_owned();
        let github = Github { secret: secret.clone(), repository, branch: "main".into() };
        let config = Config { github: Some(github), ..open() };
        let lead = Lead::listen(config, &Options::default(), Lease::default()).await;
        Self { lead, http: reqwest::Client::new(), secret }
    }

    /// What the openssl program calls the signature of a body.
    fn sign(&self, body: &str) -> String {
        let path = self.secret.with_file_name("body");
        std::fs::write(&path, body).unwrap();
        let path = path.to_str().unwrap();
        let digest = run("openssl", &["dgst", "-sha256", "-hmac", SECRET, "-r", path]);
        format!("sha256={}", digest.split_whitespace().next().unwrap())
    }

    async fn deliver(&self, id: &str, event: &str, signature: &str, body: String) -> (u16, String) {
        let url = format!("{}/hooks/github", self.lead.server.url());
        let request = self.http.post(url).body(body).header(CONTENT_TYPE, "application/json");
        let request = request.header("X-GitHub-Delivery", id).header("X-GitHub-Event", event);
        let answer = request.header("X-Hub-Signature-256", signature).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn push(&self, id: &str, payload: &Value) -> (u16, String) {
        let body = payload.to_string();
        self.deliver(id, "push", &self.sign(&body), body).await
    }

    /// Whether somebody was told to fetch since the last time.
    async fn told(&self) -> bool {
        let told = self.lead.fetch.notified();
        tokio::select! {
            biased;
            () = told => true,
            () = std::future::ready(()) => false,
        }
    }
}

fn payload(repository: &str, reference: &str, after: &str) -> Value {
    json!({"ref": reference, "after": after, "repository": {"id": 186_853_002, "full_name": repository}})
}

#[tokio::test]
async fn a_signed_push_makes_the_leads_look_once() {
    let hub = Hub::new().await;
    let push = payload("Codertocat/Hello-World", "refs/heads/main", "a1");
    assert_eq!(hub.push("1", &push).await.0, 202);
    assert!(hub.told().await);
    // The same again, also under another number, which nobody signs.
    for id in ["1", "2"] {
        let (status, text) = hub.push(id, &push).await;
        assert_eq!(status, 200);
        assert!(text.contains("was here before"), "{text}");
    }
    for (id, irrelevant, why) in [
        (
            "3",
            payload("Codertocat/Hello-World", "refs/heads/other", "a2"),
            "refs/heads/other is not the spec",
        ),
        ("4", payload("Codertocat/Hello-World", "refs/tags/main", "a2"), "refs/tags/main is not the spec"),
        ("5", payload("somebody/Hello-World", "refs/heads/main", "a2"), "is not the repository of this lead"),
    ] {
        let (status, text) = hub.push(id, &irrelevant).await;
        assert_eq!(status, 200);
        assert!(text.contains(why), "{text}");
    }
    let (status, text) = hub.deliver("6", "ping", SIGNATURE, PAYLOAD.into()).await;
    assert_eq!((status, text.as_str()), (200, "ignored: `ping` is no push\n"));
    assert!(!hub.told().await, "nothing of this is a reason to fetch");
    // A storm is one fetch.
    for number in 0..50 {
        let push = payload("codertocat/hello-world", "refs/heads/main", &number.to_string());
        assert_eq!(hub.push(&format!("storm-{number}"), &push).await.0, 202);
    }
    assert!(hub.told().await);
    assert!(!hub.told().await);
}

#[tokio::test]
async fn what_github_has_not_signed_changes_nothing() {
    let hub = Hub::new().await;
    let body = payload("Codertocat/Hello-World", "refs/heads/main", "a1").to_string();
    let good = hub.sign(&body);
    let reversed: String = good.strip_prefix("sha256=").unwrap().chars().rev().collect();
    for signature in
        ["", "sha256=", "sha1=00", &good["sha256=".len()..], &format!("sha256={reversed}"), SIGNATURE]
    {
        let (status, text) = hub.deliver("1", "push", signature, body.clone()).await;
        assert_eq!(status, 401, "{signature}");
        assert!(!text.contains("Secret to Everybody"), "a secret leaked");
    }
    let (status, text) = hub.deliver("1", "push", SIGNATURE, PAYLOAD.into()).await;
    assert_eq!(status, 400, "{text}");
    let too_large = " ".repeat(26 << 20);
    assert_eq!(hub.deliver("1", "push", &good, too_large).await.0, 413);
    assert!(!hub.told().await);
    // None of these has used up the delivery.
    assert_eq!(hub.deliver("1", "push", &good, body).await.0, 202);
}

#[tokio::test]
async fn the_secret_can_be_renewed_and_without_one_nothing_is_taken() {
    let hub = Hub::new().await;
    std::fs::write(&hub.secret, "another secret of sixteen").unwrap();
    wait_for("the new secret", PATIENCE, async || {
        let (status, text) = hub.deliver("1", "ping", SIGNATURE, PAYLOAD.into()).await;
        if status == 401 { Ok(()) } else { Err(text) }
    })
    .await;
    let open = Hub { lead: Lead::start().await, ..hub };
    let (status, text) = open.deliver("1", "ping", SIGNATURE, PAYLOAD.into()).await;
    assert_eq!(status, 404);
    assert!(text.contains("webhookSecretFile"), "{text}");
}
