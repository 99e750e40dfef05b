//! The Kubernetes API over HTTP.

mod discovery;
mod options;
mod read;
mod route;
mod view;
mod watch;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::status::Status;
use options::Options;
use route::{Address, Route};

/// What the API server accepts in one body.
const BODY_MAX: usize = 3 << 20;

pub(super) fn router(cluster: Arc<Cluster>) -> Router {
    Router::new().fallback(answer).with_state(cluster)
}

/// One request with everything that its answer depends on.
struct Call {
    cluster: Arc<Cluster>,
    method: Method,
    headers: HeaderMap,
    options: Options,
    body: Bytes,
}

async fn answer(State(cluster): State<Arc<Cluster>>, request: Request) -> Response {
    cluster.running().await;
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_MAX).await else {
        return Status::too_large(BODY_MAX).into_response();
    };
    let options = Options::parse(parts.uri.query().unwrap_or_default());
    let route = Route::parse(parts.uri.path());
    let call = Call { cluster, method: parts.method, headers: parts.headers, options, body };
    dispatch(&call, route).unwrap_or_else(Status::into_response)
}

fn dispatch(call: &Call, route: Route) -> Result<Response, Status> {
    let accept = call.header(header::ACCEPT);
    let state = call.cluster.state();
    let found = match route {
        Route::Health => return Ok("ok".into_response()),
        Route::Version => Some(discovery::version()),
        Route::Paths => Some(discovery::paths(&state.kinds)),
        Route::Core if discovery::is_aggregated(accept) => {
            return Ok(discovery::aggregated(&state.kinds, true));
        }
        Route::Groups if discovery::is_aggregated(accept) => {
            return Ok(discovery::aggregated(&state.kinds, false));
        }
        Route::Core => Some(discovery::core()),
        Route::Groups => Some(discovery::groups(&state.kinds)),
        Route::Group(group) => discovery::group(&state.kinds, &group),
        Route::Resources { group, version } => discovery::resources(&state.kinds, &group, &version),
        Route::Unknown => None,
        Route::Object(address) => {
            drop(state);
            return object(call, &address);
        }
    };
    found.map(|document| json_response(StatusCode::OK, &document)).ok_or_else(Status::no_such_resource)
}

fn object(call: &Call, address: &Address) -> Result<Response, Status> {
    if let Some(review) = self_review(call, address) {
        return Ok(review);
    }
    let target = {
        let state = call.cluster.state();
        match address.resolve(&state.kinds) {
            Some(target) => target,
            None if address.is_in_known_group(&state.kinds) => return Err(Status::no_such_resource()),
            // What the API server says at a path that it does not know at all.
            None => return Ok((StatusCode::NOT_FOUND, "404 page not found\n").into_response()),
        }
    };
    match (&call.method, target.name.is_empty()) {
        (&Method::GET, true) if call.options.is_set("watch") => watch::watch(call, &target),
        (&Method::GET, true) => read::list(call, &target),
        (&Method::GET, false) => read::get(call, &target),
        (&Method::POST, _) => write::create(call, &target),
        (&Method::PUT, false) => write::update(call, &target),
        (&Method::PATCH, false) => write::patch(call, &target),
        (&Method::DELETE, false) => write::delete(call, &target),
        (&Method::DELETE, true) => write::delete_collection(call, &target),
        _ => Err(Status::method_not_allowed()),
    }
}

/// Everybody may do everything here.
fn self_review(call: &Call, address: &Address) -> Option<Response> {
    let asks = address.group == "authorization.k8s.io" && call.method == Method::POST;
    let mut review: Value = asks.then(|| serde_json::from_slice(&call.body).ok()).flatten()?;
    review["status"] = match address.plural.as_str() {
        "selfsubjectaccessreviews" => json!({"allowed": true}),
        "selfsubjectrulesreviews" => json!({
            "incomplete": false,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }),
        _ => return None,
    };
    Some(json_response(StatusCode::CREATED, &review))
}

impl Call {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl IntoResponse for Status {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json_response(code, &self.to_value())
    }
}

fn json_response(code: StatusCode, document: &Value) -> Response {
    bytes_response(code, document.to_string().into())
}

fn bytes_response(code: StatusCode, body: Bytes) -> Response {
    (code, [(header::CONTENT_TYPE, "application/json")], Body::from(body)).into_response()
}
