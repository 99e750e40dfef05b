//! An API server's front that answers in its place as a busy or broken one does: 429, 500, and watches that expire.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// As much as an API server takes.
const BODY_MAX: usize = 8 << 20;

#[derive(Debug)]
pub struct Front {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    server: String,
    client: reqwest::Client,
    refusals: Mutex<Vec<Refusal>>,
    /// Grows whenever all watches expire.
    expired: watch::Sender<u64>,
    held: watch::Sender<Held>,
}

/// Lists that wait.
#[derive(Debug, Default)]
struct Held {
    /// Of their path and query; absent while none has to wait.
    part: Option<&'static str>,
    waiting: usize,
}

impl Held {
    fn holds(&self, place: &str) -> bool {
        let list = place.contains("limit=") && !place.contains("watch=true");
        list && self.part.is_some_and(|part| place.contains(part))
    }
}

#[derive(Debug)]
struct Refusal {
    method: &'static str,
    part: String,
    status: u16,
    left: u32,
}

impl Front {
    /// Without TLS, before the API server of a kubeconfig that the harness wrote.
    pub async fn start(kubeconfig: &Path) -> Self {
        let text = std::fs::read(kubeconfig).expect("the kubeconfig is there");
        let kubeconfig: Value = serde_json::from_slice(&text).expect("the harness writes JSON");
        let cluster = &kubeconfig["clusters"][0]["cluster"];
        let text = |name: &str| cluster[name].as_str().expect("the harness wrote it").to_string();
        let authority = std::fs::read(text("certificate-authority")).expect("the API server has written it");
        let authority = reqwest::Certificate::from_pem_bundle(&authority).expect("it is PEM");
        let client = reqwest::Client::builder().tls_certs_only(authority).build().expect("a client");
        let shared = Arc::new(Shared {
            server: text("server"),
            client,
            refusals: Mutex::default(),
            expired: watch::Sender::new(0),
            held: watch::Sender::default(),
        });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let router = Router::new().fallback(pass).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, shared, task }
    }

    /// The next requests of a method whose path and query contain `part` get this status instead of an answer.
    pub fn refuse(&self, method: &'static str, part: &str, status: u16, times: u32) {
        let refusal = Refusal { method, part: part.into(), status, left: times };
        self.shared.refusals.lock().expect("nobody panics").push(refusal);
    }

    /// How many of them are still to come.
    pub fn refusals_left(&self) -> u32 {
        self.shared.refusals.lock().expect("nobody panics").iter().map(|refusal| refusal.left).sum()
    }

    /// Every open watch is told that its version is too old.
    pub fn expire_watches(&self) {
        self.shared.expired.send_modify(|count| *count += 1);
    }

    /// From now on the lists that begin a watch are not answered, where path and query contain `part`.
    pub fn hold_lists(&self, part: &'static str) {
        self.shared.held.send_replace(Held { part: Some(part), waiting: 0 });
    }

    /// How many wait.
    pub fn lists_held(&self) -> usize {
        self.shared.held.borrow().waiting
    }

    /// They are answered, with what is there by now.
    pub fn let_lists_go(&self) {
        self.shared.held.send_replace(Held::default());
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn refusal(&self, method: &str, place: &str) -> Option<u16> {
        let mut refusals = self.refusals.lock().expect("nobody panics");
        let fits = |refusal: &&mut Refusal| {
            refusal.left > 0 && refusal.method == method && place.contains(&refusal.part)
        };
        let refusal = refusals.iter_mut().find(fits)?;
        refusal.left -= 1;
        Some(refusal.status)
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let place = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    if let Some(status) = shared.refusal(head.method.as_str(), &place) {
        return refused(status);
    }
    if head.method == "GET" && shared.held.borrow().holds(&place) {
        shared.held.send_modify(|held| held.waiting += 1);
        drop(shared.held.subscribe().wait_for(|held| !held.holds(&place)).await);
    }
    let expired = shared.expired.subscribe();
    let body = to_bytes(body, BODY_MAX).await.unwrap_or_default();
    let mut onward = shared.client.request(head.method, format!("{}{place}", shared.server)).body(body);
    for name in ["accept", "authorization", "content-type", "impersonate-user"] {
        if let Some(value) = head.headers.get(name) {
            onward = onward.header(name, value);
        }
    }
    let Ok(answer) = onward.send().await else { return refused(502) };
    let mut response = Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get("content-type") {
        response = response.header("content-type", kind);
    }
    let body = match place.contains("watch=true") {
        true => Body::from_stream(until_expired(answer, expired)),
        false => Body::from_stream(answer.bytes_stream()),
    };
    response.body(body).expect("it is an answer")
}

/// What the server tells a watch, and in the end that its version is too old.
fn until_expired(
    answer: reqwest::Response,
    mut expired: watch::Receiver<u64>,
) -> impl futures::Stream<Item = reqwest::Result<Bytes>> {
    let end = async move { expired.changed().await.ok() };
    let told = answer.bytes_stream().take_until(Box::pin(end));
    let event = json!({"type": "ERROR", "object": status(410, "Expired", "too old resource version")});
    told.chain(futures::stream::once(async move { Ok(Bytes::from(format!("{event}\n"))) }))
}

fn refused(code: u16) -> Response<Body> {
    let reason = match code {
        429 => "TooManyRequests",
        500 => "InternalError",
        _ => "ServiceUnavailable",
    };
    let text = status(code, reason, "the front of a test says so").to_string();
    Response::builder()
        .status(StatusCode::from_u16(code).expect("it is a status"))
        .header("content-type", "application/json")
        .header("retry-after", "1")
        .body(Body::from(text))
        .expect("it is an answer")
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code})
}
