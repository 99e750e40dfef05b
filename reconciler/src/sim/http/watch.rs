//! WATCH: changes as lines of JSON, until the client has enough.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::Call;
use super::route::Target;
use super::view::View;
use crate::sim::cluster::Cluster;
use crate::sim::kinds::Kind;
use crate::sim::selector::Selector;
use crate::sim::status::Status;
use crate::sim::store::{Change, Object};

/// Changes sent in one piece, so that a long history holds the lock only for moments.
const BATCH: usize = 256;
/// As often as the API server sends bookmarks.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a watch lasts that names no time.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

struct Watch {
    cluster: Arc<Cluster>,
    kind: Arc<Kind>,
    version: String,
    namespace: String,
    selector: Selector,
    view: View,
    changes: watch::Receiver<u64>,
    /// Everything up to this revision was sent.
    at: u64,
    first: Option<Vec<u8>>,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

pub(super) fn watch(call: &Call, target: &Target) -> Result<Response, Status> {
    let permit = call.cluster.watches.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Status::too_many("too many watches, please try again later"))?;
    let timeout = call.options.number("timeoutSeconds")?.map_or(TIMEOUT, Duration::from_secs);
    let asked = call.options.number("resourceVersion")?.filter(|version| *version != 0);
    let mut state = call.cluster.state();
    let revision = state.store.revision();
    if let Some(asked) = asked.filter(|asked| *asked > revision) {
        return Err(Status::version_in_the_future(asked, revision));
    }
    let id = state.kinds.id(&target.kind.qualified()).ok_or_else(Status::no_such_resource)?;
    let mut watch = Watch {
        changes: state.store.subscribe(&id),
        cluster: call.cluster.clone(),
        view: View::new(call.header(header::ACCEPT), &target.kind, &target.version),
        kind: target.kind.clone(),
        version: target.version.clone(),
        namespace: target.namespace.clone(),
        selector: call.options.selector()?,
        at: asked.unwrap_or(revision),
        first: None,
        bookmarks: call.options.is_set("allowWatchBookmarks"),
        next_bookmark: Instant::now() + BOOKMARK_EVERY,
        deadline: Instant::now() + timeout,
        ended: false,
        _permit: permit,
    };
    let initial = call.options.is_set("sendInitialEvents");
    if initial || asked.is_none() {
        let mut lines = Vec::new();
        let objects = state.store.list(&id, &target.namespace);
        objects
            .filter(|object| watch.selector.takes(&object.value))
            .for_each(|object| watch.line("ADDED", object, &mut lines));
        watch.at = revision;
        if initial {
            watch.bookmark(&mut lines, json!({"k8s.io/initial-events-end": "true"}));
        }
        watch.first = Some(lines);
    }
    drop(state);
    let body = Body::from_stream(stream::unfold(watch, |mut watch| async move {
        let lines = watch.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(lines)), watch))
    }));
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

impl Watch {
    /// The next lines, or `None` at the end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        while !self.ended {
            self.cluster.running().await;
            let lines = self.first.take().unwrap_or_else(|| self.collect());
            if !lines.is_empty() {
                return Some(lines);
            }
            let mut lines = Vec::new();
            tokio::select! {
                changed = self.changes.changed() => self.ended = changed.is_err(),
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.next_bookmark += BOOKMARK_EVERY;
                    self.bookmark(&mut lines, json!({}));
                }
                () = tokio::time::sleep_until(self.deadline) => self.ended = true,
            }
            if !lines.is_empty() {
                return Some(lines);
            }
        }
        None
    }

    /// What happened since the last lines.
    fn collect(&mut self) -> Vec<u8> {
        let mut lines = Vec::new();
        self.changes.mark_unchanged();
        let (changes, revision) = {
            let state = self.cluster.state();
            (state.store.changes(&self.kind.qualified(), self.at, BATCH), state.store.revision())
        };
        match changes {
            Err(oldest) => {
                let expired = Status::expired(self.at, oldest).to_value();
                append(&mut lines, "ERROR", expired.to_string().as_bytes());
                self.ended = true;
            }
            Ok(changes) => {
                self.at = if changes.len() == BATCH { changes[BATCH - 1].revision } else { revision };
                if changes.len() == BATCH {
                    self.changes.mark_changed();
                }
                changes.iter().for_each(|change| self.change(change, &mut lines));
            }
        }
        lines
    }

    fn change(&self, change: &Change, lines: &mut Vec<u8>) {
        let metadata = &change.object.value["metadata"];
        if !self.namespace.is_empty() && metadata["namespace"] != self.namespace.as_str() {
            return;
        }
        let before = change.before.as_ref().filter(|object| self.selector.takes(&object.value));
        let after = !change.deleted && self.selector.takes(&change.object.value);
        match (before, after) {
            (None, true) => self.line("ADDED", &change.object, lines),
            (Some(_), true) => self.line("MODIFIED", &change.object, lines),
            (Some(_), false) if change.deleted => self.line("DELETED", &change.object, lines),
            (Some(before), false) => {
                // It left the selection: what is sent is what was selected, at the revision of the change.
                let mut gone = before.value.clone();
                gone["metadata"]["resourceVersion"] = metadata["resourceVersion"].clone();
                self.line("DELETED", &Object::new(gone), lines);
            }
            (None, false) => {}
        }
    }

    fn line(&self, event: &str, object: &Object, lines: &mut Vec<u8>) {
        append(lines, event, &self.view.object(object));
    }

    fn bookmark(&self, lines: &mut Vec<u8>, annotations: Value) {
        let mut object = self.view.bookmark(&self.kind, &self.version);
        object["metadata"] = json!({"resourceVersion": self.at.to_string(), "creationTimestamp": null});
        if annotations.as_object().is_some_and(|map| !map.is_empty()) {
            object["metadata"]["annotations"] = annotations;
        }
        append(lines, "BOOKMARK", object.to_string().as_bytes());
    }
}

fn append(lines: &mut Vec<u8>, event: &str, object: &[u8]) {
    lines.extend_from_slice(br#"{"type":""#);
    lines.extend_from_slice(event.as_bytes());
    lines.extend_from_slice(br#"","object":"#);
    lines.extend_from_slice(object);
    lines.extend_from_slice(b"}\n");
}
