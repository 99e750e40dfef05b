//! Control of a running fleet over HTTP, for demos and tests: pause, resume, kill, fill.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::fleet::{Error, Fleet};

type Answer = Result<Json<Value>, (StatusCode, String)>;

/// Serves `GET /sim/clusters` and `POST /sim/{pause,resume,kill,fill}?cluster=NAME` on loopback.
///
/// Without `cluster` a verb is for the whole fleet. `fill` takes `share` (default 1).
pub async fn serve(fleet: Arc<Fleet>, port: u16) -> Result<SocketAddr, Error> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(Error::Listen)?;
    let address = listener.local_addr().map_err(Error::Listen)?;
    let router = Router::new()
        .route("/sim/clusters", get(clusters))
        .route("/sim/{verb}", post(command))
        .with_state(fleet);
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}

async fn clusters(State(fleet): State<Arc<Fleet>>) -> Json<Value> {
    let show =
        |member: &super::Member| json!({"name": member.name(), "url": member.url(), "state": member.state()});
    Json(fleet.members().iter().map(show).collect())
}

async fn command(
    State(fleet): State<Arc<Fleet>>,
    Path(verb): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Answer {
    let refuse = |code: StatusCode, message: String| Err((code, message));
    let members: Vec<_> = match query.get("cluster") {
        None => fleet.members().iter().collect(),
        Some(name) => match fleet.member(name) {
            Some(member) => vec![member],
            None => {
                return refuse(
                    StatusCode::NOT_FOUND,
                    format!("no cluster {name:?}; see GET /sim/clusters\n"),
                );
            }
        },
    };
    let share = query.get("share").map_or(Ok(1.0), |text| text.parse::<f64>());
    let Some(share) = share.ok().filter(|share| (0.0..=1.0).contains(share)) else {
        return refuse(StatusCode::BAD_REQUEST, "share must be a number from 0 to 1\n".into());
    };
    for member in members {
        match verb.as_str() {
            "pause" => member.pause(),
            "kill" => member.kill(),
            "fill" => member.fill(share),
            "resume" => {
                let resumed = member.resume().await;
                resumed.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")))?;
            }
            _ => return refuse(StatusCode::NOT_FOUND, "the verbs are pause, resume, kill and fill\n".into()),
        }
    }
    Ok(clusters(State(fleet)).await)
}
