//! What readers ask.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::stream;
use qonnect_core::knowledge::Knowledge;
use qonnect_schema::Snapshot;
use qonnect_schema::api::List;
use qonnect_schema::revision::Revision;
use serde::{Deserialize, Serialize};

use super::problem::Refusal;
use super::shared::Shared;

/// A busy fleet changes its lists many times a second; people and programs need less.
const WATCH_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mode {
    /// Go on with a line after each change.
    #[serde(default)]
    watch: bool,
    consistency: Option<Consistency>,
}

/// Every lead answers from what it knows, which may be a moment old.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Consistency {
    /// Nothing is missing that was acknowledged before the question, whoever acknowledged it.
    Linearizable,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reading {
    consistency: Option<Consistency>,
}

impl Shared {
    /// Waits until this lead knows enough.
    pub(super) async fn catch_up(&self, consistency: Option<Consistency>) -> Result<(), Refusal> {
        match consistency {
            Some(Consistency::Linearizable) => Ok(self.parts.consensus.linearizable().await?),
            None => Ok(()),
        }
    }

    pub(super) async fn catch_up_for(
        &self,
        reading: Result<Query<Reading>, QueryRejection>,
    ) -> Result<(), Refusal> {
        let Query(Reading { consistency }) = reading?;
        self.catch_up(consistency).await
    }
}

/// How a list is made of what is known.
pub(super) type View<T> = fn(&Knowledge, Option<&Revision>) -> Vec<T>;

pub(super) async fn list<T: Serialize + PartialEq + Send + 'static>(
    shared: Arc<Shared>,
    mode: Result<Query<Mode>, QueryRejection>,
    view: View<T>,
) -> Result<Response, Refusal> {
    let Query(Mode { watch: goes_on, consistency }) = mode?;
    shared.catch_up(consistency).await?;
    match goes_on {
        false => Ok(Json(current(&shared, view)).into_response()),
        true => watch(shared, view),
    }
}

fn current<T>(shared: &Shared, view: View<T>) -> List<T> {
    let knowledge = shared.knowledge();
    List { index: knowledge.index, items: view(&knowledge, shared.revision().as_deref()) }
}

fn watch<T: Serialize + PartialEq + Send + 'static>(
    shared: Arc<Shared>,
    view: View<T>,
) -> Result<Response, Refusal> {
    let permit = shared.watchers.clone().try_acquire_owned();
    let permit = permit
        .map_err(|_| Refusal::busy("too many readers watch; try again later, or read without watching"))?;
    let feeds = (shared.parts.consensus.changes(), shared.parts.revision.clone());
    let lines =
        stream::unfold((shared, feeds, None, permit), move |(shared, mut feeds, told, permit)| async move {
            let mut told: Option<Vec<T>> = told;
            loop {
                if told.is_some() {
                    let changed = tokio::select! {
                        changed = feeds.0.changed() => changed,
                        changed = feeds.1.changed() => changed,
                    };
                    changed.ok()?;
                    tokio::time::sleep(WATCH_PAUSE).await;
                }
                feeds.0.borrow_and_update();
                feeds.1.borrow_and_update();
                let now = current(&shared, view);
                if told.as_ref() != Some(&now.items) {
                    let mut line = serde_json::to_vec(&now).ok()?;
                    line.push(b'\n');
                    told = Some(now.items);
                    return Some((
                        Ok::<_, std::convert::Infallible>(Bytes::from(line)),
                        (shared, feeds, told, permit),
                    ));
                }
            }
        });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

pub(super) async fn snapshot(
    State(shared): State<Arc<Shared>>,
    reading: Result<Query<Reading>, QueryRejection>,
) -> Result<Json<Snapshot>, Refusal> {
    shared.catch_up_for(reading).await?;
    Ok(Json(Snapshot::new("knowledge", shared.knowledge().snapshot())))
}

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready to serve agents: what they say counts, and the spec branch was read.
pub(super) async fn readyz(State(shared): State<Arc<Shared>>) -> Result<&'static str, Refusal> {
    shared.hears()?;
    if let Some(origin) = &shared.knowledge().blocked {
        return Err(Refusal::not_ready(format!(
            "the deploy branch belongs to the group {}, and nothing is published; the event BranchOfOthers says more",
            origin.group
        )));
    }
    match shared.revision() {
        Some(_) => Ok("ok\n"),
        None => Err(Refusal::not_ready("the spec branch was not read yet")),
    }
}
