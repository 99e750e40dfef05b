//! Deliveries of GitHub's webhooks, as it publishes them: signed, for this repository and its branches, counted once.

use std::path::PathBuf;
use std::sync::LazyLock;

use qonnect::api::client::Options;
use qonnect::api::{Config, Github};
use qonnect_schema::documents::fleet::Lease;
use qonnect_tests::folder::fresh;
use qonnect_tests::process::run;
use qonnect_tests::programs;
use qonnect_tests::wait::wait_for;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::sync::Notify;

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
        let github = Github { secret: secret.clone(), repository, branch: "master".into() };
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

    async fn say(&self, id: &str, event: &str, payload: &Value) -> (u16, String) {
        let body = payload.to_string();
        self.deliver(id, event, &self.sign(&body), body).await
    }

    async fn push(&self, id: &str, payload: &Value) -> (u16, String) {
        self.say(id, "push", payload).await
    }

    /// Whether somebody was told to read the spec branch, and the review branches, since the last time.
    async fn told(&self) -> (bool, bool) {
        (told(&self.lead.fetch).await, told(&self.lead.review).await)
    }
}

async fn told(somebody: &Notify) -> bool {
    tokio::select! {
        biased;
        () = somebody.notified() => true,
        () = std::future::ready(()) => false,
    }
}

/// What GitHub publishes as the payload of an event, the first that has this.
fn published(event: &str, pointer: &str, value: &str) -> Value {
    static EVENTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        let text = std::fs::read_to_string(programs::github("webhooks.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    });
    let event = EVENTS.iter().find(|one| one["name"] == event).unwrap();
    let mut examples = event["examples"].as_array().unwrap().iter();
    examples.find(|one| one.pointer(pointer) == Some(&json!(value))).unwrap().clone()
}

/// The published push, by this repository, to this branch or tag.
fn payload(repository: &str, reference: &str, after: &str) -> Value {
    let mut push = published("push", "/ref", "refs/heads/master");
    (push["ref"], push["after"]) = (json!(reference), json!(after));
    push["repository"]["full_name"] = json!(repository);
    push
}

#[tokio::test]
async fn a_signed_push_makes_the_leads_look_once() {
    let hub = Hub::new().await;
    let push = published("push", "/ref", "refs/heads/master");
    assert_eq!(hub.push("1", &push).await.0, 202);
    assert_eq!(hub.told().await, (true, false));
    // The same again, also under another number, which nobody signs.
    for id in ["1", "2"] {
        let (status, text) = hub.push(id, &push).await;
        assert_eq!(status, 200);
        assert!(text.contains("was here before"), "{text}");
    }
    for (id, irrelevant, why) in [
        ("3", payload("Codertocat/Hello-World", "refs/heads/other", "a2"), "other is neither the spec"),
        ("4", payload("Codertocat/Hello-World", "refs/tags/master", "a2"), "it is about no branch"),
        (
            "5",
            payload("somebody/Hello-World", "refs/heads/master", "a2"),
            "is not the repository of this lead",
        ),
    ] {
        let (status, text) = hub.push(id, &irrelevant).await;
        assert_eq!(status, 200);
        assert!(text.contains(why), "{text}");
    }
    let (status, text) = hub.deliver("6", "ping", SIGNATURE, PAYLOAD.into()).await;
    assert_eq!((status, text.as_str()), (200, "ignored: `ping` moves no branch\n"));
    assert_eq!(hub.told().await, (false, false), "nothing of this is a reason to fetch");
    // A storm is one fetch.
    for number in 0..50 {
        let push = payload("codertocat/hello-world", "refs/heads/master", &number.to_string());
        assert_eq!(hub.push(&format!("storm-{number}"), &push).await.0, 202);
    }
    assert_eq!(hub.told().await, (true, false));
    assert_eq!(hub.told().await, (false, false));
}

#[tokio::test]
async fn what_people_do_with_a_proposal_makes_the_leader_look_at_it() {
    let hub = Hub::new().await;
    let merged = payload("Codertocat/Hello-World", "refs/heads/qonnect/review", "a1");
    let mut gone = payload("Codertocat/Hello-World", "refs/heads/qonnect/review-next", "0");
    gone["deleted"] = json!(true);
    let mut deleted = published("delete", "/ref_type", "tag");
    (deleted["ref"], deleted["ref_type"]) = (json!("qonnect/review-next"), json!("branch"));
    let mut closed = published("pull_request", "/action", "closed");
    closed["pull_request"]["base"]["ref"] = json!("qonnect/review");
    for (id, event, payload) in [
        ("1", "push", &merged),
        ("2", "push", &gone),
        ("3", "delete", &deleted),
        ("4", "pull_request", &closed),
    ] {
        let (status, text) = hub.say(id, event, payload).await;
        assert_eq!(status, 202, "{event}: {text}");
        assert_eq!(hub.told().await, (false, true), "{event}");
    }
    closed["pull_request"]["base"]["ref"] = json!("another");
    assert_eq!(hub.say("5", "pull_request", &closed).await.0, 200);
    assert_eq!(hub.say("6", "delete", &published("delete", "/ref_type", "tag")).await.0, 200);
    assert_eq!(hub.told().await, (false, false), "none of the leads' branches");
}

#[tokio::test]
async fn what_github_has_not_signed_changes_nothing() {
    let hub = Hub::new().await;
    let body = published("push", "/ref", "refs/heads/master").to_string();
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
    assert_eq!(hub.told().await, (false, false));
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
