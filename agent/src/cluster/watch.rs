//! Watches: what the agent owns, and the nodes and pods that its facts come from.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::api::Api;
use kube::core::{PartialObjectMeta, Status};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use qonnect_schema::layout::label;
use qonnect_schema::manifest::ObjectId;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::warn;

use super::client::{Cluster, SILENCE_MAX};
use super::kinds::Served;
use super::problem;
use crate::backoff::Backoff;

/// Small pages: a list is never held whole, however many objects a kind has.
const PAGE: u32 = 50;
/// After so long the server ends a watch, and the next one goes on where it ended. Bookmarks would tell as well that
/// all is quiet, but not every server sends them in time.
const WATCH_SECS: u32 = 75;
const _: () =
    assert!((WATCH_SECS as u64) < SILENCE_MAX.as_secs(), "each quiet watch would pass for a dead one");
/// How often to look whether a kind is served by now.
const UNSERVED: Duration = Duration::from_secs(30);

/// Which objects of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Those with our label.
    Owned,
    All,
    /// The one of this name, of which nothing but the metadata is read.
    Metadata(&'static str),
}

/// What a watch tells.
#[derive(Debug)]
pub(crate) enum Seen {
    ListBegins {
        group: String,
        kind: String,
    },
    ListEnds {
        group: String,
        kind: String,
    },
    Object(ObjectId, Value),
    Gone(ObjectId),
    /// The agent may not look.
    Denied {
        kind: String,
        message: String,
    },
}

/// Why a watch is over; an error that passes is no end.
enum Ended {
    /// Nobody listens any more.
    Unheard,
    /// The kind is not served any more.
    Unserved,
}

impl Cluster {
    /// Watches one kind until the receiver is gone; errors are tried again with backoff.
    pub(crate) async fn watch(
        self: Arc<Self>,
        api_version: Arc<str>,
        kind: String,
        watched: Watched,
        seen: mpsc::Sender<Seen>,
    ) {
        let group = api_version.split_once('/').map_or("", |(group, _)| group).to_string();
        let mut backoff = Backoff::new(Duration::from_secs(1), UNSERVED);
        let mut starting = false;
        loop {
            match self.kinds.find(&self.client, &api_version, &kind).await {
                Ok(Some(served)) => match self.follow(&served, watched, &seen).await {
                    Ended::Unheard => return,
                    // Its definition is gone, and discovery may lag behind that; or the server is starting and does not
                    // know its definitions yet, and all is as it was.
                    Ended::Unserved => {
                        self.kinds.doubt(&api_version);
                        starting = true;
                        tokio::time::sleep(backoff.failed()).await;
                    }
                },
                // Nothing of it can exist: an empty list is the truth.
                Ok(None) => {
                    let (begins, ends) = borders(&group, &kind);
                    if !std::mem::take(&mut starting)
                        && (seen.send(begins).await.is_err() || seen.send(ends).await.is_err())
                    {
                        return;
                    }
                    tokio::time::sleep(UNSERVED).await;
                }
                Err(error) => {
                    warn!(kind, error = problem::message(&error), "kind not found, will retry");
                    tokio::time::sleep(backoff.failed()).await;
                }
            }
        }
    }

    async fn follow(&self, served: &Served, watched: Watched, seen: &mpsc::Sender<Seen>) -> Ended {
        let (group, kind) = (&served.resource.group, &served.resource.kind);
        let config = watcher::Config::default().page_size(PAGE).timeout(WATCH_SECS);
        let api = self.api(served, "");
        let mut events = match watched {
            Watched::Owned => {
                let ours = format!("{}={}", label::MANAGED_BY, label::QONNECT);
                watcher(api, config.labels(&ours)).map_ok(values).boxed()
            }
            Watched::All => watcher(api, config).map_ok(values).boxed(),
            Watched::Metadata(name) => {
                let named = format!("metadata.name={name}");
                let api = Api::<PartialObjectMeta>::all_with(self.client.clone(), &served.resource);
                watcher(api, config.fields(&named)).map_ok(values).boxed()
            }
        }
        .default_backoff()
        .boxed();
        let mut denied = false;
        while let Some(event) = events.next().await {
            let told = match event {
                Ok(Event::Init) => borders(group, kind).0,
                Ok(Event::InitDone) => borders(group, kind).1,
                Ok(Event::InitApply(object) | Event::Apply(object)) => {
                    Seen::Object(id(served, &object), object)
                }
                Ok(Event::Delete(object)) => Seen::Gone(id(served, &object)),
                Err(error) => match refusal(&error) {
                    Some(status) if status.code == 404 => return Ended::Unserved,
                    Some(status) if status.code == 403 => {
                        let message = status.message.clone();
                        if !std::mem::replace(&mut denied, true) {
                            warn!(kind, why = message, "not allowed to look, will retry");
                        }
                        Seen::Denied { kind: kind.clone(), message }
                    }
                    _ => {
                        warn!(kind, error = problem::message(&error), "watch interrupted, will retry");
                        continue;
                    }
                },
            };
            if seen.send(told).await.is_err() {
                break;
            }
        }
        Ended::Unheard
    }
}

/// What the API server says where it refuses to show a kind.
fn refusal(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status),
        _ => None,
    }
}

fn borders(group: &str, kind: &str) -> (Seen, Seen) {
    let (group, kind) = (group.to_string(), kind.to_string());
    (Seen::ListBegins { group: group.clone(), kind: kind.clone() }, Seen::ListEnds { group, kind })
}

/// Items of a list carry neither version nor kind.
fn id(served: &Served, object: &Value) -> ObjectId {
    let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_string();
    ObjectId {
        group: served.resource.group.clone(),
        kind: served.resource.kind.clone(),
        namespace: text("namespace"),
        name: text("name"),
    }
}

fn values<K: Serialize>(event: Event<K>) -> Event<Value> {
    let value = |object: K| serde_json::to_value(object).expect("an object from JSON is JSON");
    match event {
        Event::Apply(object) => Event::Apply(value(object)),
        Event::Delete(object) => Event::Delete(value(object)),
        Event::InitApply(object) => Event::InitApply(value(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}
