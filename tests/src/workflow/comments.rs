//! The comments of one pull request, as GitHub's REST API serves them.

use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, patch};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

pub const TOKEN: &str = "ghs_of_the_job";
/// As many as a page holds: what counts is on the second.
const OTHERS: u64 = 100;

type Comments = Arc<Mutex<Vec<(u64, String)>>>;

#[derive(Debug, Clone)]
pub struct Forge {
    pub url: String,
    comments: Comments,
}

#[derive(Debug, Deserialize)]
struct Page {
    page: usize,
    per_page: usize,
}

#[derive(Debug, Deserialize)]
struct Body {
    body: String,
}

impl Forge {
    /// With a pull request that has been talked about at length.
    pub async fn start() -> Self {
        let comments: Comments =
            Arc::new(Mutex::new((1..=OTHERS).map(|id| (id, "I see.".to_owned())).collect()));
        let routes = Router::new()
            .route("/repos/octo/fleet/issues/7/comments", get(list).post(create))
            .route("/repos/octo/fleet/issues/comments/{id}", patch(edit))
            .with_state(comments.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has ports");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async { axum::serve(listener, routes).await });
        Self { url, comments }
    }

    /// What came since the start.
    pub fn ours(&self) -> Vec<String> {
        let comments = self.comments.lock().expect("nobody panics");
        comments.iter().skip(OTHERS as usize).map(|(_, body)| body.clone()).collect()
    }
}

type Answer = Result<(StatusCode, Json<Value>), (StatusCode, Json<Value>)>;

/// A branch of a fork has a token that may read.
fn may_write(headers: &HeaderMap) -> Result<(), (StatusCode, Json<Value>)> {
    let refusal = json!({"message": "Resource not accessible by integration", "status": "403"});
    let allowed = headers.get("authorization").is_some_and(|given| *given == format!("Bearer {TOKEN}"));
    allowed.then_some(()).ok_or((StatusCode::FORBIDDEN, Json(refusal)))
}

async fn list(State(comments): State<Comments>, Query(page): Query<Page>) -> Json<Value> {
    let comments = comments.lock().expect("nobody panics");
    let there = comments.iter().skip((page.page - 1) * page.per_page).take(page.per_page);
    Json(there.map(|(id, body)| json!({"id": id, "body": body})).collect())
}

async fn create(State(comments): State<Comments>, headers: HeaderMap, Json(given): Json<Body>) -> Answer {
    may_write(&headers)?;
    let mut comments = comments.lock().expect("nobody panics");
    let id = comments.len() as u64 + 1;
    comments.push((id, given.body));
    Ok((StatusCode::CREATED, Json(json!({"id": id}))))
}

async fn edit(
    State(comments): State<Comments>,
    Path(id): Path<u64>,
    headers: HeaderMap,
    Json(given): Json<Body>,
) -> Answer {
    may_write(&headers)?;
    let mut comments = comments.lock().expect("nobody panics");
    let known = comments.iter_mut().find(|(known, _)| *known == id).expect("it is a comment");
    known.1 = given.body;
    Ok((StatusCode::OK, Json(json!({"id": id}))))
}
