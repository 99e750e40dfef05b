//! Watches: what the agent owns, and the nodes and pods that its facts come from.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use qonnect_schema::layout::label;
use qonnect_schema::manifest::ObjectId;
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::warn;

use super::client::Cluster;
use super::kinds::Served;
use super::problem;
use crate::backoff::Backoff;

/// Small pages: a list is never held whole, however many objects a kind has.
const PAGE: u32 = 50;
/// How often to look whether a kind is served by now.
const UNSERVED: Duration = Duration::from_secs(30);

/// Which objects of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Those with our label.
    Owned,
    All,
    /// The one of this name.
    Named(&'static str),
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
        let served = loop {
            match self.kinds.find(&self.client, &api_version, &kind).await {
                Ok(Some(served)) => break served,
                // Nothing of it can exist: an empty list is the truth.
                Ok(None) => {
                    let (begins, ends) = borders(&group, &kind);
                    if seen.send(begins).await.is_err() || seen.send(ends).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(UNSERVED).await;
                }
                Err(error) => {
                    warn!(kind, error = problem::message(&error), "kind not found, will retry");
                    tokio::time::sleep(backoff.failed()).await;
                }
            }
        };
        self.follow(&served, watched, seen).await;
    }

    async fn follow(&self, served: &Served, watched: Watched, seen: mpsc::Sender<Seen>) {
        let (group, kind) = (&served.resource.group, &served.resource.kind);
        let config = watcher::Config::default().page_size(PAGE);
        let config = match watched {
            Watched::Owned => config.labels(&format!("{}={}", label::MANAGED_BY, label::QONNECT)),
            Watched::All => config,
            Watched::Named(name) => config.fields(&format!("metadata.name={name}")),
        };
        let mut events = watcher(self.api(served, ""), config).default_backoff().boxed();
        let mut denied = false;
        while let Some(event) = events.next().await {
            let told = match event {
                Ok(Event::Init) => borders(group, kind).0,
                Ok(Event::InitDone) => borders(group, kind).1,
                Ok(Event::InitApply(object) | Event::Apply(object)) => {
                    let id = id(served, &object);
                    Seen::Object(id, serde_json::to_value(object).expect("an object from JSON is JSON"))
                }
                Ok(Event::Delete(object)) => Seen::Gone(id(served, &object)),
                Err(error) => match denial(&error) {
                    Some(message) => {
                        if !std::mem::replace(&mut denied, true) {
                            warn!(kind, why = message, "not allowed to look, will retry");
                        }
                        Seen::Denied { kind: kind.clone(), message }
                    }
                    None => {
                        warn!(kind, error = problem::message(&error), "watch interrupted, will retry");
                        continue;
                    }
                },
            };
            if seen.send(told).await.is_err() {
                return;
            }
        }
    }
}

/// What the API server says where it refuses to show a kind.
fn denial(error: &watcher::Error) -> Option<String> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            if status.code == 403 =>
        {
            Some(status.message.clone())
        }
        _ => None,
    }
}

fn borders(group: &str, kind: &str) -> (Seen, Seen) {
    let (group, kind) = (group.to_string(), kind.to_string());
    (Seen::ListBegins { group: group.clone(), kind: kind.clone() }, Seen::ListEnds { group, kind })
}

/// Items of a list carry neither version nor kind.
fn id(served: &Served, object: &DynamicObject) -> ObjectId {
    ObjectId {
        group: served.resource.group.clone(),
        kind: served.resource.kind.clone(),
        namespace: object.metadata.namespace.clone().unwrap_or_default(),
        name: object.metadata.name.clone().unwrap_or_default(),
    }
}
