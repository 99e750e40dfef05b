//! GitHub as leads meet it: every exchange is held against its published description, and the Git repository of the
//! test stands behind it. What people do in its pages are methods here.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::process::run;

mod checks;
mod contract;
mod front;
mod routes;
mod tokens;

use contract::Operation;
use routes::Site;
use tokens::Tokens;

/// Of a person.
pub const TOKEN: &str = "github_pat_of_the_tests";

/// What goes wrong, once for each time that it was asked for.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It answers with this, and does nothing.
    Answer(u16, Vec<(&'static str, String)>),
    /// It does what was asked, and nobody hears of it.
    LosesTheAnswer,
}

/// A request that came in.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: Instant,
    pub method: String,
    pub path: String,
    pub status: u16,
}

#[derive(Debug)]
pub struct GitHub {
    url: String,
    shared: Arc<Mutex<Hub>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Hub {
    site: Site,
    tokens: Tokens,
    /// Where the repository can be fetched from and pushed to.
    git: String,
    faults: Vec<(&'static str, &'static str, Fault)>,
    calls: Vec<Call>,
    /// What is not as GitHub describes it.
    violations: Vec<String>,
}

impl GitHub {
    /// With the bare repository that pushes go to, and where its server is.
    pub fn start(repository: &Path, git: &str) -> Self {
        let site = Site::new(repository);
        let (faults, calls, violations) = (Vec::new(), Vec::new(), Vec::new());
        let (tokens, git) = (Tokens::default(), git.to_owned());
        let hub = Hub { site, tokens, git, faults, calls, violations };
        let shared = Arc::new(Mutex::new(hub));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, port) = std::sync::mpsc::channel();
        let served = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
            runtime.block_on(async {
                let listener =
                    tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
                ready.send(listener.local_addr().expect("it is bound").port()).ok();
                let router = Router::new().fallback(serve).with_state(served);
                let end = async { drop(stopped.await) };
                axum::serve(listener, router).with_graceful_shutdown(end).await.ok();
            });
        });
        let url = format!("http://127.0.0.1:{}", port.recv().expect("the server starts"));
        shared.lock().expect("nobody panics").site.url = url.clone();
        Self { url, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// As GitHub Enterprise has it.
    pub fn api(&self) -> String {
        format!("{}/api/v3", self.url)
    }

    /// The next request like this meets a fault.
    pub fn fault(&self, method: &'static str, path: &'static str, fault: Fault) {
        self.hub().faults.push((method, path, fault));
    }

    /// The repository, for who comes in by its front door.
    pub fn repository(&self) -> String {
        format!("{}/{}.git", self.url, self.hub().site.name)
    }

    /// Of people.
    pub fn accept_only(&self, token: &str) {
        self.hub().tokens.accept_only(token);
    }

    /// Those of apps expire so soon from now on.
    pub fn tokens_last(&self, time: Duration) {
        self.hub().tokens.last(time);
    }

    /// Those of apps that have opened Git, in their order.
    pub fn tokens_in_git(&self) -> Vec<String> {
        self.hub().tokens.in_git()
    }

    /// The check runs of a commit, the oldest first.
    pub fn check_runs(&self, commit: &str) -> Vec<Value> {
        self.hub().site.check_runs(commit)
    }

    /// Who asks for the old name is sent to the new one.
    pub fn rename(&self, name: &str) {
        self.hub().site.rename(name);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.hub().calls.clone()
    }

    /// As GitHub shows them, the oldest first.
    pub fn pulls(&self) -> Vec<Value> {
        let mut hub = self.hub();
        hub.site.look();
        hub.site.pulls.clone()
    }

    /// Of a commit: the newest of each context, as `context: state, description`.
    pub fn statuses(&self, commit: &str) -> Vec<Value> {
        self.hub().site.newest_statuses(commit)
    }

    /// A person presses the button.
    pub fn merge(&self, number: u64, how: &str) {
        self.hub().site.merge(number, how);
    }

    pub fn close(&self, number: u64) {
        self.hub().site.close(number);
    }

    /// Nothing was asked in another way than GitHub describes.
    pub fn is_content(&self) {
        let violations = self.hub().violations.clone();
        assert_eq!(violations, [""; 0]);
        assert!(!self.calls().is_empty(), "nobody has asked");
    }

    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.shared.lock().expect("nobody panics while asking")
    }
}

impl Drop for GitHub {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn serve(State(shared): State<Arc<Mutex<Hub>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if head.uri.path().contains(".git/") {
        return front::serve(&shared, head, body).await;
    }
    let bytes = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect(),
        headers: head.headers,
        body: serde_json::from_slice(&bytes).ok(),
    };
    let Answer { status, body, headers } = shared.lock().expect("nobody panics").answer(&asked);
    let mut response = Response::builder().status(StatusCode::from_u16(status).expect("it is a status"));
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response = response.header("content-type", "application/json; charset=utf-8");
    response.body(Body::from(body.to_string())).expect("it is an answer")
}

struct Asked {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Option<Value>,
}

struct Answer {
    status: u16,
    body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Answer {
    fn new(status: u16, body: Value) -> Self {
        Self { status, body, headers: Vec::new() }
    }

    fn message(status: u16, message: &str) -> Self {
        Self::new(status, json!({"message": message, "documentation_url": "https://docs.github.com/rest"}))
    }
}

impl Hub {
    fn answer(&mut self, asked: &Asked) -> Answer {
        let at = Instant::now();
        let path = asked.path.strip_prefix("/api/v3").unwrap_or(&asked.path);
        let fits = |(method, part, _): &(&str, &str, Fault)| asked.method == *method && path.contains(part);
        let fault = self.faults.iter().position(fits).map(|at| self.faults.remove(at).2);
        let answer = match fault {
            Some(Fault::Answer(status, headers)) => {
                let why =
                    if matches!(status, 403 | 429) { "You have exceeded a secondary rate limit" } else { "" };
                Answer { headers, ..Answer::message(status, why) }
            }
            Some(Fault::LosesTheAnswer) => {
                let done = self.act(asked, path);
                Answer { status: 502, body: Value::Null, ..done }
            }
            None => self.act(asked, path),
        };
        let (method, path, status) = (asked.method.clone(), path.to_owned(), answer.status);
        self.calls.push(Call { at, method, path, status });
        answer
    }

    fn act(&mut self, asked: &Asked, path: &str) -> Answer {
        let header =
            |name: &str| asked.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header("user-agent").is_empty() {
            return Answer::message(403, "Request forbidden by administrative rules");
        }
        let bearer = header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let signs_in = path.starts_with("/app/") || path.ends_with("/installation");
        let app = self.tokens.is_of_an_app(bearer);
        let known = if signs_in { is_signed_by_an_app(bearer) } else { app || self.tokens.accepts(bearer) };
        if !known {
            return Answer::message(401, "Bad credentials");
        }
        if path.contains("/check-runs") && asked.method != "GET" && !app {
            return Answer::message(403, "You must authenticate via a GitHub App.");
        }
        if asked.path == "/api/graphql" {
            return self.site.query(asked.body.as_ref().unwrap_or(&Value::Null));
        }
        if let Some(moved) = self.site.moved(path) {
            let api = format!("{}/api/v3", self.site.url);
            let query: String =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&asked.query).finish();
            let location = format!("{api}{moved}{}{query}", if query.is_empty() { "" } else { "?" });
            let status = if asked.method == "GET" { 301 } else { 307 };
            return Answer {
                headers: vec![("location", location)],
                ..Answer::message(status, "Moved Permanently")
            };
        }
        let described = self.site.described(path);
        let operation = match Operation::find(&asked.method, &described) {
            Ok(operation) => operation,
            Err(why) => {
                self.violations.push(why);
                return Answer::message(404, "Not Found");
            }
        };
        let faults = operation.request(&asked.query, asked.body.as_ref());
        let what = format!("{} {}", asked.method, operation.path);
        if !faults.is_empty() {
            self.violations.push(format!("{what}: {faults:?}"));
            return Answer::message(422, "Validation Failed");
        }
        let answer = match operation.path.ends_with("/access_tokens") {
            true => self.tokens.give(),
            false => self.site.act(&asked.method, &operation.path, &described, asked),
        };
        let own = operation.answer(answer.status, &answer.body);
        if !own.is_empty() {
            self.violations.push(format!("the answer to {what}: {own:?}"));
        }
        answer
    }
}

/// Three parts, of which the middle one says who signs.
fn is_signed_by_an_app(token: &str) -> bool {
    token.split('.').count() == 3
}

fn git(repository: &Path, args: &[&str]) -> Option<String> {
    let mut command = std::process::Command::new("git");
    command.arg("--git-dir").arg(repository).args(args);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Ada").env(format!("GIT_{role}_EMAIL"), "ada@example.org");
    }
    let output = command.output().expect("git runs");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// A private key as GitHub gives it out with an app.
pub fn private_key(folder: &Path) -> PathBuf {
    let path = folder.join("app.pem");
    run("openssl", &["genrsa", "-traditional", "-out", path.to_str().expect("it is text"), "2048"]);
    path
}
