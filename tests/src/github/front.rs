//! The front door: fetches and pushes of those whom an app lets in, answered by the Git server of the test.

use std::sync::{Arc, LazyLock, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode};

use super::Hub;

static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);

pub(super) async fn serve(hub: &Arc<Mutex<Hub>>, head: Parts, body: Body) -> Response<Body> {
    let status =
        |status: StatusCode| Response::builder().status(status).body(Body::empty()).expect("it is one");
    let authorization = head.headers.get("authorization").cloned();
    let to = {
        let mut hub = hub.lock().expect("nobody panics");
        if !authorization.is_some_and(|given| hub.tokens.opens_git(|token| given == basic(token))) {
            return status(StatusCode::UNAUTHORIZED);
        }
        let inside = format!("/{}.git/", hub.site.name);
        match head.uri.path_and_query().and_then(|path| path.as_str().strip_prefix(&inside)) {
            Some(rest) => format!("{}/{rest}", hub.git),
            None => return status(StatusCode::NOT_FOUND),
        }
    };
    let bytes = to_bytes(body, 64 << 20).await.unwrap_or_default();
    let mut request = CLIENT.request(head.method, to).body(bytes);
    for name in ["content-type", "content-encoding", "accept", "git-protocol"] {
        if let Some(value) = head.headers.get(name) {
            request = request.header(name, value);
        }
    }
    let Ok(answer) = request.send().await else { return status(StatusCode::BAD_GATEWAY) };
    let mut response = Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get("content-type") {
        response = response.header("content-type", kind);
    }
    let bytes = answer.bytes().await.unwrap_or_default();
    response.body(Body::from(bytes)).expect("it is an answer")
}

/// As GitHub asks for it.
fn basic(token: &str) -> HeaderValue {
    let request = CLIENT.get("http://127.0.0.1").basic_auth("x-access-token", Some(token));
    request.build().expect("it is a request").headers()["authorization"].clone()
}
